use std::ops::Range;

use ndarray_rand::rand_distr::{Distribution, StandardNormal, Uniform};

use crate::{Key, Scalar};

/// How a parameter's first values are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// Every value the same.
    Constant(f64),
    /// Uniform on `[-bound, bound)`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Normal with mean zero.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform with bound `sqrt(6 / (I + O))` for a weight `[O, I]`, where `I` and `O` are times the elements of the window
    /// for one `[O, I, ..]` of a convolution: keeps the variance of activations and gradients
    /// alike (X. Glorot, Y. Bengio, *Understanding the difficulty of training deep feedforward neural networks*, 2010).
    /// Keras's default for dense layers and convolutions.
    GlorotUniform,
    /// Normal with standard deviation `sqrt(2 / I)` for a weight `[O, I]` or `[O, I, ..]`, `I` as above: made for rectifiers (K. He et al.,
    /// *Delving deep into rectifiers*, 2015).
    HeNormal,
}

/// One named parameter of a [`Layout`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    name: String,
    shape: Vec<usize>,
    initializer: Initializer,
    offset: usize,
}

impl Parameter {
    /// The name, such as `dense1.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape; a weight is `[out, in]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How its first values are drawn.
    pub fn initializer(&self) -> Initializer {
        self.initializer
    }

    /// Its elements' place in the arena.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What can be wrong with a parameter's declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Two parameters of one name.
    #[error("parameter {name} is declared twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
}

/// The parameters of a model in the order of their declaration: name, shape, initialiser and range of each in one flat
/// arena.
///
/// Parameters, gradients and optimizer state are arenas of this layout.
///
/// # Example
///
/// ```
/// use tidemill_tensor::{Initializer, Key, Layout};
///
/// let mut layout = Layout::new();
/// let weight = layout.push("dense1.weight", &[3, 2], Initializer::GlorotUniform)?;
/// layout.push("dense1.bias", &[3], Initializer::Constant(0.0))?;
/// assert_eq!(layout.len(), 9);
/// let arena = layout.initialize::<f32>(Key::new(7));
/// assert_eq!(arena[layout[weight].range()].len(), 6);
/// # Ok::<(), tidemill_tensor::LayoutError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    parameters: Vec<Parameter>,
    len: usize,
}

impl Layout {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a parameter and returns its index.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        initializer: Initializer,
    ) -> Result<usize, LayoutError> {
        let name = name.into();
        if self.find(&name).is_some() {
            return Err(LayoutError::DuplicateName { name });
        }
        let parameter = Parameter { name, shape: shape.to_vec(), initializer, offset: self.len };
        self.len += parameter.len();
        self.parameters.push(parameter);
        Ok(self.parameters.len() - 1)
    }

    /// Elements of an arena: the sum over all parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameters, in arena order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The parameter of that name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// An arena with first values: each parameter's are a function of the key and its place in the layout.
    pub fn initialize<T: Scalar>(&self, key: Key) -> Vec<T> {
        let mut arena = Vec::with_capacity(self.len);
        for (index, parameter) in self.parameters.iter().enumerate() {
            draw(parameter, key.fold(index as u64), &mut arena);
        }
        arena
    }
}

impl std::ops::Index<usize> for Layout {
    type Output = Parameter;

    fn index(&self, index: usize) -> &Parameter {
        &self.parameters[index]
    }
}

fn draw<T: Scalar>(parameter: &Parameter, key: Key, arena: &mut Vec<T>) {
    let mut rng = key.rng();
    let window = parameter.shape.iter().skip(2).product::<usize>();
    let fan_out = parameter.shape.first().copied().unwrap_or(1) * window;
    let fan_in = parameter.shape.iter().skip(1).product::<usize>();
    let n = parameter.len();
    match parameter.initializer {
        Initializer::Constant(value) => arena.extend(std::iter::repeat_n(T::of(value), n)),
        Initializer::Uniform { bound } => uniform(bound, n, &mut rng, arena),
        Initializer::Normal { std } => normal(std, n, &mut rng, arena),
        Initializer::GlorotUniform => uniform((6.0 / (fan_in + fan_out) as f64).sqrt(), n, &mut rng, arena),
        Initializer::HeNormal => normal((2.0 / fan_in.max(1) as f64).sqrt(), n, &mut rng, arena),
    }
}

fn uniform<T: Scalar>(bound: f64, n: usize, rng: &mut crate::Philox, arena: &mut Vec<T>) {
    let unit = Uniform::new(-1.0, 1.0).expect("the interval from -1 to 1 is not empty");
    arena.extend(unit.sample_iter(rng).take(n).map(|u: f64| T::of(bound * u)));
}

fn normal<T: Scalar>(std: f64, n: usize, rng: &mut crate::Philox, arena: &mut Vec<T>) {
    arena.extend(StandardNormal.sample_iter(rng).take(n).map(|z: f64| T::of(std * z)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_declaration_order() {
        let mut layout = Layout::new();
        layout.push("a", &[2, 3], Initializer::Constant(1.0)).unwrap();
        layout.push("b", &[4], Initializer::Constant(2.0)).unwrap();
        assert_eq!(layout[0].range(), 0..6);
        assert_eq!(layout[1].range(), 6..10);
        assert_eq!(layout.initialize::<f64>(Key::new(0)), [[1.0; 6].as_slice(), &[2.0; 4]].concat());
    }

    #[test]
    fn a_name_is_used_once() {
        let mut layout = Layout::new();
        layout.push("a", &[1], Initializer::Constant(0.0)).unwrap();
        let error = layout.push("a", &[1], Initializer::Constant(0.0)).unwrap_err();
        assert_eq!(error.to_string(), "parameter a is declared twice");
    }

    #[test]
    fn initial_values_have_the_stated_spread() {
        let mut layout = Layout::new();
        layout.push("glorot", &[100, 200], Initializer::GlorotUniform).unwrap();
        layout.push("he", &[100, 200], Initializer::HeNormal).unwrap();
        layout.push("window", &[60, 40, 3, 3], Initializer::GlorotUniform).unwrap();
        let arena = layout.initialize::<f64>(Key::new(3));
        let std = |range: Range<usize>| {
            let n = range.len() as f64;
            (arena[range].iter().map(|x| x * x).sum::<f64>() / n).sqrt()
        };
        assert!((std(layout[0].range()) - (2.0 / 300.0_f64).sqrt()).abs() < 1e-3);
        assert!((std(layout[1].range()) - 0.1).abs() < 2e-3);
        assert!((std(layout[2].range()) - (2.0 / 900.0_f64).sqrt()).abs() < 1e-3);
        assert!(arena[layout[0].range()].iter().all(|x| x.abs() <= (6.0 / 300.0_f64).sqrt()));
    }
}
