use tidemill_autograd::{Error, Graph, Var, ops};

use crate::Layer;
use crate::layer::add;

/// While training, sets each element to zero with probability `p` and divides the others by `1 - p`; otherwise the
/// identity. As in PyTorch and Keras.
///
/// # Shapes
///
/// `y` is of `x`'s.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Dropout, Layer};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[4])?;
/// let error = Dropout::new(1.0).apply(&mut graph, x).unwrap_err();
/// assert_eq!(error.to_string(), "layer dropout1: probability is 1, expected 0 <= p < 1");
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # References
///
/// N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    probability: f64,
}

impl Dropout {
    /// Drops with this probability, `0 <= p < 1`.
    pub fn new(probability: f64) -> Self {
        Self { probability }
    }
}

impl Layer for Dropout {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("dropout");
        add(graph, &name, ops::Dropout::new(self.probability), input, &[])
    }
}
