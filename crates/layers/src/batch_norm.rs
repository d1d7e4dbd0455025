use tidemill_autograd::{Error, Graph, Initializer, Var, ops};

use crate::Layer;
use crate::layer::name;

/// `y = (x - μ) / sqrt(σ² + ε) · w + b` for each channel: in training, mean and biased variance are those of the batch;
/// otherwise they are running averages of the batches' means and unbiased variances.
///
/// `ε` is `1e-5` and the running averages move by the momentum `0.1` of the distance to a batch's, as in PyTorch. (Keras's
/// `momentum` is what is kept, `0.99`, and its `ε` is `1e-3`.) Rows count as often as they weigh.
///
/// It makes the rows of a batch depend on each other. An engine that cuts batches refuses such a model unless batches are
/// normalised in [groups](BatchNorm::groups), which it then keeps whole.
///
/// # Shapes
///
/// `x` and `y [C, ..]`: `[C]`, `[C, T]` or `[C, H, W]`; parameters `weight [C]`, `bias [C]`, buffers `running_mean [C]`,
/// `running_var [C]`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{BatchNorm, Conv2d, Layer, Sequential};
///
/// let block = Sequential::new().add(Conv2d::new(16, 3).without_bias()).add(BatchNorm::new().groups(32));
/// let mut graph = Graph::new();
/// let image = graph.input("image", &[1, 28, 28])?;
/// block.apply(&mut graph, image)?;
/// assert_eq!(graph.layout().find("batch_norm1.running_var").unwrap().shape(), [16]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # References
///
/// S. Ioffe, C. Szegedy, *Batch normalization: accelerating deep network training by reducing internal covariate shift*,
/// 2015.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    epsilon: f64,
    momentum: f64,
    groups: Option<usize>,
    affine: bool,
    name: Option<String>,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchNorm {
    /// With weight and bias, over the whole batch.
    pub fn new() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1, groups: None, affine: true, name: None }
    }

    /// What is added to variances.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// How far the running averages move to those of a batch, from 0 to 1.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Normalises groups of so many consecutive rows of a batch each by itself, so that batches can be cut between them:
    /// on any number of threads and ranks the result is that of one. (E. Hoffer et al., *Train longer, generalize better*,
    /// 2017: ghost batch normalization.)
    #[must_use]
    pub fn groups(mut self, rows: usize) -> Self {
        self.groups = Some(rows);
        self
    }

    /// Without `w` and `b`.
    #[must_use]
    pub fn without_affine(mut self) -> Self {
        self.affine = false;
        self
    }

    /// What it, its parameters and its buffers are called: `norm.weight`, `norm.running_mean`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Layer for BatchNorm {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = name(graph, self.name.as_deref(), "batch_norm");
        let Some(&channels) = graph.shape(input).first() else {
            let problem = format!("{} has no axis of channels", graph.label(input));
            return Err(Error::invalid(format_args!("layer {name}"), problem));
        };
        let mut params = Vec::new();
        if self.affine {
            for (part, first) in [("weight", 1.0), ("bias", 0.0)] {
                params.push(graph.parameter(&format!("{name}.{part}"), &[channels], Initializer::Constant(first))?);
            }
        }
        let mut buffers = Vec::new();
        for (part, first) in [("running_mean", 0.0), ("running_var", 1.0)] {
            buffers.push(graph.buffer(&format!("{name}.{part}"), &[channels], Initializer::Constant(first))?);
        }
        let op = ops::BatchNorm::new(self.epsilon, self.momentum);
        let op = self.groups.map_or(op, |rows| op.groups(rows));
        let added = graph.add_with_buffers(op, &[input], &params, &buffers).map_err(|error| match error {
            Error::Invalid { problem, .. } => Error::invalid(format_args!("layer {name}"), problem),
            other => other,
        })?;
        graph.set_label(added[0], name);
        Ok(added[0])
    }
}
