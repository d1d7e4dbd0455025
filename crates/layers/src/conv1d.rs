use tidemill_autograd::{Activation, Error, Graph, Initializer, Var, ops};

use crate::Layer;
use crate::conv::{Kind, Padding, Settings, settings};

/// `y[o, p] = f(b[o] + Σ_c Σ_t w[o, c, t] x[c, stride p + dilation t - padding])`: every output sees all channels of its
/// group, in a window that slides over time.
///
/// Defaults are those of [`Conv2d`](crate::Conv2d), and so are the differences from PyTorch and Keras.
///
/// # Shapes
///
/// `x [C, T]`, `y [O, T']` with `T' = ⌊(T + 2 padding - dilation (k - 1) - 1) / stride⌋ + 1`; parameters
/// `weight [O, C / groups, k]`, `bias [O]`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Conv1d, Layer};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[6, 100])?;
/// let y = Conv1d::new(8, 5).stride(2).padding(2).relu().apply(&mut graph, x)?;
/// assert_eq!(graph.shape(y), [8, 50]);
/// assert_eq!(graph.layout().find("conv1.weight").unwrap().shape(), [8, 6, 5]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # References
///
/// A. Waibel et al., *Phoneme recognition using time-delay neural networks*, 1989.
#[derive(Clone, Debug)]
pub struct Conv1d {
    settings: Settings,
}

const KIND: Kind = Kind {
    name: "conv",
    input: "[channels, time]",
    weight: |outputs, channels, [_, width]| vec![outputs, channels, width],
    op: ops::Conv::one_dimensional,
};

impl Conv1d {
    /// With this many outputs and a window of this length.
    pub fn new(outputs: usize, kernel: usize) -> Self {
        Self { settings: Settings::new(outputs, [1, kernel]) }
    }

    /// Moves the window by so much; 1 without it.
    #[must_use]
    pub fn stride(mut self, stride: usize) -> Self {
        self.settings.window.stride = [1, stride];
        self
    }

    /// Zeros before and behind; none without it.
    #[must_use]
    pub fn padding(mut self, padding: usize) -> Self {
        self.settings.padding = Padding::Zeros([0, padding]);
        self
    }

    /// Looks at elements so far apart; 1 without it.
    #[must_use]
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.settings.window.dilation = [1, dilation];
        self
    }

    settings!();
}

impl Layer for Conv1d {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        self.settings.apply(graph, input, &KIND, |shape| match *shape {
            [channels, time] => Some((channels, [1, time])),
            _ => None,
        })
    }
}
