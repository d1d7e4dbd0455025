use tidemill_autograd::{Error, Graph, Initializer, Var, ops};

use crate::Layer;
use crate::layer::{add, name};

/// `y = (x - mean) / sqrt(variance + ε) · w + b`, mean and biased variance taken over the last axis of each row.
///
/// `ε` is `1e-5` as in PyTorch (Keras takes `1e-3`); `w` begins as ones, `b` as zeros.
///
/// # Shapes
///
/// `x` and `y [.., N]`; parameters `weight [N]`, `bias [N]`, where `N` stands for the normalised axes.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Layer, LayerNorm};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[3, 8])?;
/// LayerNorm::new().apply(&mut graph, x)?;
/// assert_eq!(graph.layout().find("layer_norm1.weight").unwrap().shape(), [8]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # References
///
/// J. Ba, J. Kiros, G. Hinton, *Layer normalization*, 2016.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    axes: usize,
    epsilon: f64,
    affine: bool,
    name: Option<String>,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self { axes: 1, epsilon: 1e-5, affine: true, name: None }
    }
}

impl LayerNorm {
    /// Over the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// Over the last `axes` axes together.
    #[must_use]
    pub fn axes(mut self, axes: usize) -> Self {
        self.axes = axes;
        self
    }

    /// What is added to the variance, not below zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Without `w` and `b`.
    #[must_use]
    pub fn without_affine(mut self) -> Self {
        self.affine = false;
        self
    }

    /// What it and its parameters are called: `norm.weight`, `norm.bias`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Layer for LayerNorm {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = name(graph, self.name.as_deref(), "layer_norm");
        let shape = graph.shape(input);
        let Some(outer) = shape.len().checked_sub(self.axes).filter(|_| self.axes > 0) else {
            let problem =
                format!("{} is {shape:?}, of which the last {} cannot be taken", graph.label(input), self.axes);
            return Err(Error::invalid(format_args!("layer {name}"), problem));
        };
        let normalized = shape[outer..].to_vec();
        let op = ops::LayerNorm::new(normalized.iter().product(), self.epsilon);
        let mut params = Vec::new();
        if self.affine {
            params.push(graph.parameter(&format!("{name}.weight"), &normalized, Initializer::Constant(1.0))?);
            params.push(graph.parameter(&format!("{name}.bias"), &normalized, Initializer::Constant(0.0))?);
        }
        add(graph, &name, op, input, &params)
    }
}
