use std::ops::Range;

use ndarray_rand::rand_distr::{Distribution, StandardNormal, Uniform};

use crate::{Key, Scalar, pattern};

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

/// What training does to the elements of a [`Parameter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterKind {
    /// It has a gradient, and the optimizer updates it.
    Trainable,
    /// It stays as it is: no gradient, no optimizer memory.
    Frozen,
    /// It has no gradient; the operation that owns it updates it from each batch, such as running statistics.
    Buffer,
}

/// One named parameter or buffer of a [`Layout`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    name: String,
    shape: Vec<usize>,
    initializer: Initializer,
    kind: ParameterKind,
    is_table: bool,
    offset: usize,
}

impl Parameter {
    /// The name, such as `dense1.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its name matches a pattern, in which `*` stands for any characters, dots included, and `?` for one.
    pub fn matches(&self, pattern: &str) -> bool {
        pattern::matches(pattern, &self.name)
    }

    /// The shape; a weight is `[out, in]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How its first values are drawn.
    pub fn initializer(&self) -> Initializer {
        self.initializer
    }

    /// What training does to it.
    pub fn kind(&self) -> ParameterKind {
        self.kind
    }

    /// Whether it is a [table](Layout::set_table).
    pub fn is_table(&self) -> bool {
        self.is_table
    }

    /// The part of the arena that it lies in.
    fn part(&self) -> usize {
        match (self.kind, self.is_table) {
            (ParameterKind::Trainable, false) => 0,
            (ParameterKind::Trainable, true) => 1,
            (ParameterKind::Frozen, _) => 2,
            (ParameterKind::Buffer, _) => 3,
        }
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

/// The parameters and buffers of a model in the order of their declaration: name, shape, initialiser, kind and range of
/// each in one flat arena.
///
/// The arena holds trainable parameters first, of which [tables](Self::set_table) are the last, then frozen ones, then
/// buffers, each in the order of declaration. So a gradient arena and each slot of an optimizer are as long as the
/// [trainable](Self::trainable_len) front of it, and what every step changes is the [front of that](Self::dense_len).
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
    /// Elements of each part: trainable parameters but tables, tables, frozen ones, buffers.
    lens: [usize; 4],
}

impl Layout {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a trainable parameter and returns its index.
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
        self.push_kind(name.into(), shape, initializer, ParameterKind::Trainable)
    }

    /// Appends a buffer and returns its index.
    ///
    /// # Errors
    ///
    /// When the name is taken.
    pub fn push_buffer(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        initializer: Initializer,
    ) -> Result<usize, LayoutError> {
        self.push_kind(name.into(), shape, initializer, ParameterKind::Buffer)
    }

    fn push_kind(
        &mut self,
        name: String,
        shape: &[usize],
        initializer: Initializer,
        kind: ParameterKind,
    ) -> Result<usize, LayoutError> {
        if self.find(&name).is_some() {
            return Err(LayoutError::DuplicateName { name });
        }
        self.parameters.push(Parameter { name, shape: shape.to_vec(), initializer, kind, is_table: false, offset: 0 });
        self.place();
        Ok(self.parameters.len() - 1)
    }

    /// Makes a parameter or buffer [frozen](ParameterKind::Frozen). The ranges of others move.
    ///
    /// # Panics
    ///
    /// When there is none of this index.
    pub fn freeze(&mut self, index: usize) {
        self.parameters[index].kind = ParameterKind::Frozen;
        self.place();
    }

    /// Says that a parameter is a table `[N, ..]`, of which a step reads some rows and trains those alone. The ranges of
    /// others move.
    ///
    /// # Panics
    ///
    /// When there is none of this index.
    pub fn set_table(&mut self, index: usize) {
        self.parameters[index].is_table = true;
        self.place();
    }

    /// Gives each part its place in the arena, and each parameter its own there.
    fn place(&mut self) {
        self.lens = [0; 4];
        for parameter in &self.parameters {
            self.lens[parameter.part()] += parameter.len();
        }
        let [dense, tables, frozen, _] = self.lens;
        let mut ends = [0, dense, dense + tables, dense + tables + frozen];
        for parameter in &mut self.parameters {
            let end = &mut ends[parameter.part()];
            parameter.offset = *end;
            *end += parameter.len();
        }
    }

    /// Elements of an arena: the sum over all parameters and buffers.
    pub fn len(&self) -> usize {
        self.lens.iter().sum()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements that are trained: the front of the arena.
    pub fn trainable_len(&self) -> usize {
        self.lens[0] + self.lens[1]
    }

    /// Elements that are trained and in no [table](Self::set_table): the front of the arena.
    pub fn dense_len(&self) -> usize {
        self.lens[0]
    }

    /// Elements of buffers: the end of the arena.
    pub fn buffer_len(&self) -> usize {
        self.lens[3]
    }

    /// The trainable parameters alone, in the order of their places, which are the same: what gradients and optimizers have.
    #[must_use]
    pub fn trainable(&self) -> Self {
        self.front(2)
    }

    /// Those of them that are in no [table](Self::set_table), at the same places.
    #[must_use]
    pub fn dense(&self) -> Self {
        self.front(1)
    }

    fn front(&self, parts: usize) -> Self {
        let mut parameters: Vec<Parameter> =
            self.parameters.iter().filter(|parameter| parameter.part() < parts).cloned().collect();
        parameters.sort_by_key(|parameter| parameter.offset);
        let lens = std::array::from_fn(|part| if part < parts { self.lens[part] } else { 0 });
        Self { parameters, lens }
    }

    /// The parameters and buffers, in the order of their declaration.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The parameter or buffer of that name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// An arena with first values: each parameter's are a function of the key and its place in the layout.
    pub fn initialize<T: Scalar>(&self, key: Key) -> Vec<T> {
        let mut arena = vec![T::zero(); self.len()];
        for (index, parameter) in self.parameters.iter().enumerate() {
            draw(parameter, key.fold(index as u64), &mut arena[parameter.range()]);
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

fn draw<T: Scalar>(parameter: &Parameter, key: Key, values: &mut [T]) {
    let mut rng = key.rng();
    let window = parameter.shape.iter().skip(2).product::<usize>();
    let fan_out = parameter.shape.first().copied().unwrap_or(1) * window;
    let fan_in = parameter.shape.iter().skip(1).product::<usize>();
    match parameter.initializer {
        Initializer::Constant(value) => values.fill(T::of(value)),
        Initializer::Uniform { bound } => uniform(bound, &mut rng, values),
        Initializer::Normal { std } => normal(std, &mut rng, values),
        Initializer::GlorotUniform => uniform((6.0 / (fan_in + fan_out) as f64).sqrt(), &mut rng, values),
        Initializer::HeNormal => normal((2.0 / fan_in.max(1) as f64).sqrt(), &mut rng, values),
    }
}

fn uniform<T: Scalar>(bound: f64, rng: &mut crate::Philox, values: &mut [T]) {
    let unit = Uniform::new(-1.0, 1.0).expect("the interval from -1 to 1 is not empty");
    values.iter_mut().zip(unit.sample_iter(rng)).for_each(|(value, u): (_, f64)| *value = T::of(bound * u));
}

fn normal<T: Scalar>(std: f64, rng: &mut crate::Philox, values: &mut [T]) {
    values.iter_mut().zip(StandardNormal.sample_iter(rng)).for_each(|(value, z): (_, f64)| *value = T::of(std * z));
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
    fn trainable_parameters_come_first_and_buffers_last() {
        let mut layout = Layout::new();
        layout.push("a", &[2], Initializer::Normal { std: 1.0 }).unwrap();
        let drawn =
            |layout: &Layout, name| layout.initialize::<f64>(Key::new(1))[layout.find(name).unwrap().range()].to_vec();
        layout.push_buffer("mean", &[1], Initializer::Constant(5.0)).unwrap();
        layout.push("b", &[3], Initializer::Normal { std: 1.0 }).unwrap();
        let before = ["a", "mean", "b"].map(|name| drawn(&layout, name));
        assert_eq!([layout[0].range(), layout[1].range(), layout[2].range()], [0..2, 5..6, 2..5]);
        layout.freeze(0);
        assert_eq!([layout[0].range(), layout[1].range(), layout[2].range()], [3..5, 5..6, 0..3]);
        assert_eq!((layout.len(), layout.trainable_len(), layout.buffer_len()), (6, 3, 1));
        assert_eq!(["a", "mean", "b"].map(|name| drawn(&layout, name)), before);
        let trainable = layout.trainable();
        assert_eq!((trainable.len(), trainable.parameters().len(), trainable[0].name()), (3, 1, "b"));
    }

    #[test]
    fn tables_are_the_last_of_what_is_trained() {
        let mut layout = Layout::new();
        layout.push("table", &[3, 2], Initializer::Constant(0.0)).unwrap();
        layout.push_buffer("mean", &[1], Initializer::Constant(5.0)).unwrap();
        layout.push("weight", &[2], Initializer::Constant(0.0)).unwrap();
        layout.set_table(0);
        assert_eq!([layout[0].range(), layout[1].range(), layout[2].range()], [2..8, 8..9, 0..2]);
        assert_eq!((layout.dense_len(), layout.trainable_len(), layout.len()), (2, 8, 9));
        let (dense, trainable) = (layout.dense(), layout.trainable());
        assert_eq!((dense.len(), dense.parameters().len(), dense[0].name()), (2, 1, "weight"));
        assert_eq!((trainable.len(), trainable.dense_len(), trainable[0].name()), (8, 2, "weight"));
        layout.freeze(0);
        assert_eq!((layout.dense_len(), layout.trainable_len(), layout[0].range()), (2, 2, 2..8));
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
