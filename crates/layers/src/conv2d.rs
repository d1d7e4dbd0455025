use tidemill_autograd::{Activation, Error, Graph, Initializer, Var, ops};

use crate::conv::{Kind, Padding, Settings, settings};
use crate::{Layer, Pair};

/// `y[o, p] = f(b[o] + Σ_c Σ_t w[o, c, t] x[c, stride p + dilation t - padding])`: every output sees all channels of its
/// group, in a window that slides over the image. A cross-correlation, as in every framework.
///
/// Defaults: stride 1, no padding, no dilation, one group, `f` the identity. Weights are drawn from [`Initializer::GlorotUniform`] and biases are zero, as in Keras. (PyTorch draws both from the uniform
/// distribution on `±1 / sqrt(C kh kw / groups)`.)
///
/// Channels come first and weights are `[out, in, height, width]`, as in PyTorch. (Keras has channels last by default,
/// and weights `[height, width, in, out]`.)
///
/// # Shapes
///
/// `x [C, H, W]`, `y [O, H', W']` with `H' = ⌊(H + 2 padding - dilation (kh - 1) - 1) / stride⌋ + 1`; parameters
/// `weight [O, C / groups, kh, kw]`, `bias [O]`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Conv2d, Dense, Flatten, Layer, MaxPool2d, Sequential};
///
/// let digits = Sequential::new()
///     .add(Conv2d::new(16, 3).relu())
///     .add(MaxPool2d::new(2))
///     .add(Conv2d::new(32, 3).relu())
///     .add(MaxPool2d::new(2))
///     .add(Flatten)
///     .add(Dense::new(10));
///
/// let mut graph = Graph::new();
/// let image = graph.input("image", &[1, 28, 28])?;
/// let logits = digits.apply(&mut graph, image)?;
/// assert_eq!(graph.shape(logits), [10]);
/// assert_eq!(graph.layout().find("conv2.weight").unwrap().shape(), [32, 16, 3, 3]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # References
///
/// Y. LeCun et al., *Gradient-based learning applied to document recognition*, 1998.
#[derive(Clone, Debug)]
pub struct Conv2d {
    settings: Settings,
}

const KIND: Kind = Kind {
    name: "conv",
    input: "[channels, height, width]",
    weight: |outputs, channels, [height, width]| vec![outputs, channels, height, width],
    op: ops::Conv::two_dimensional,
};

impl Conv2d {
    /// With this many outputs and a window of this size: `3`, or `[height, width]`.
    pub fn new(outputs: usize, kernel: impl Into<Pair>) -> Self {
        Self { settings: Settings::new(outputs, kernel.into().0) }
    }

    /// Moves the window by so much; 1 without it.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Pair>) -> Self {
        self.settings.window.stride = stride.into().0;
        self
    }

    /// Zeros on all sides of the image; none without it.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Pair>) -> Self {
        self.settings.padding = Padding::Zeros(padding.into().0);
        self
    }

    /// Looks at elements so far apart; 1 without it.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Pair>) -> Self {
        self.settings.window.dilation = dilation.into().0;
        self
    }

    settings!();
}

impl Layer for Conv2d {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        self.settings.apply(graph, input, &KIND, |shape| match *shape {
            [channels, height, width] => Some((channels, [height, width])),
            _ => None,
        })
    }
}
