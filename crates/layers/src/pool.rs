use tidemill_autograd::tensor::{Divisor, Pooling, Window};
use tidemill_autograd::{Error, Graph, Var, ops};

use crate::layer::add;
use crate::{Layer, Pair};

/// `y[c, p] = max_t x[c, stride p + dilation t - padding]`: the largest number of each window.
///
/// The window moves by its own size unless told otherwise, as in PyTorch and Keras, and what is left over at the far
/// sides is dropped. What is outside of the image does not count. The gradient goes to the first of several largest.
///
/// # Shapes
///
/// `x [C, H, W]`, `y [C, H', W']` with `H' = ⌊(H + 2 padding - dilation (kh - 1) - 1) / stride⌋ + 1`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Layer, MaxPool2d};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[16, 26, 26])?;
/// let y = MaxPool2d::new(2).apply(&mut graph, x)?;
/// assert_eq!(graph.shape(y), [16, 13, 13]);
/// let error = MaxPool2d::new(14).apply(&mut graph, y).unwrap_err();
/// let said = "layer max_pool2: a window of 14x14 does not fit an image of 13x13 with padding 0x0";
/// assert_eq!(error.to_string(), said);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    window: Window,
}

impl MaxPool2d {
    /// With a window of this size: `2`, or `[height, width]`.
    pub fn new(kernel: impl Into<Pair>) -> Self {
        let kernel = kernel.into().0;
        Self { window: Window::new(kernel).stride(kernel) }
    }

    /// Moves the window by so much; by its size without it.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Pair>) -> Self {
        self.window.stride = stride.into().0;
        self
    }

    /// Lets the window reach so far out of the image, at most half of what it spans; 0 without it.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Pair>) -> Self {
        self.window.padding = padding.into().0;
        self
    }

    /// Looks at elements so far apart; 1 without it.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Pair>) -> Self {
        self.window.dilation = dilation.into().0;
        self
    }
}

impl Layer for MaxPool2d {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("max_pool");
        let pooling = pooling(graph, &name, input, self.window)?;
        add(graph, &name, ops::MaxPool(pooling), input, &[])
    }
}

/// `y[c, p] = Σ_t x[c, stride p + t - padding] / n`: the average of each window.
///
/// The window moves by its own size unless told otherwise, as in PyTorch and Keras. Where it reaches outside of the
/// image there are zeros, which count, as in PyTorch; [`without_padding_counted`](Self::without_padding_counted) leaves
/// them out of `n`, as Keras does.
///
/// # Shapes
///
/// `x [C, H, W]`, `y [C, H', W']` with `H' = ⌊(H + 2 padding - kh) / stride⌋ + 1`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{AvgPool2d, Layer};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[16, 7, 7])?;
/// let y = AvgPool2d::new(3).stride(2).padding(1).apply(&mut graph, x)?;
/// assert_eq!(graph.shape(y), [16, 4, 4]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d {
    window: Window,
    divisor: Divisor,
}

impl AvgPool2d {
    /// With a window of this size: `2`, or `[height, width]`.
    pub fn new(kernel: impl Into<Pair>) -> Self {
        let kernel = kernel.into().0;
        Self { window: Window::new(kernel).stride(kernel), divisor: Divisor::Window }
    }

    /// Moves the window by so much; by its size without it.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Pair>) -> Self {
        self.window.stride = stride.into().0;
        self
    }

    /// Lets the window reach so far out of the image, at most half of its size; 0 without it.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Pair>) -> Self {
        self.window.padding = padding.into().0;
        self
    }

    /// Divides by the number of elements inside the image: `count_include_pad=False` in PyTorch.
    #[must_use]
    pub fn without_padding_counted(mut self) -> Self {
        self.divisor = Divisor::Inside;
        self
    }
}

impl Layer for AvgPool2d {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("avg_pool");
        let pooling = pooling(graph, &name, input, self.window)?;
        add(graph, &name, ops::AveragePool::new(pooling, self.divisor), input, &[])
    }
}

fn pooling(graph: &Graph, name: &str, input: Var, window: Window) -> Result<Pooling, Error> {
    match *graph.shape(input) {
        [_, height, width] => Ok(Pooling { image: [height, width], window }),
        ref shape => {
            let problem = format!("{} is {shape:?}, expected [channels, height, width]", graph.label(input));
            Err(Error::invalid(format_args!("layer {name}"), problem))
        }
    }
}

/// `y[c] = Σ_p x[c, p] / (H W)`: the average of each channel over the whole image.
///
/// Height and width stay as axes of one element, as in PyTorch's `AdaptiveAvgPool2d(1)`; a [`Flatten`](crate::Flatten)
/// takes them away. (Keras's `GlobalAveragePooling2D` gives `[C]`.)
///
/// # Shapes
///
/// `x [C, H, W]`, `y [C, 1, 1]`.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_layers::{Flatten, GlobalAveragePool2d, Layer, Sequential};
///
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[64, 7, 7])?;
/// let y = Sequential::new().add(GlobalAveragePool2d).add(Flatten).apply(&mut graph, x)?;
/// assert_eq!(graph.shape(y), [64]);
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
///
/// # References
///
/// M. Lin, Q. Chen, S. Yan, *Network in network*, 2014.
#[derive(Clone, Copy, Debug, Default)]
pub struct GlobalAveragePool2d;

impl Layer for GlobalAveragePool2d {
    fn apply(&self, graph: &mut Graph, input: Var) -> Result<Var, Error> {
        let name = graph.unique("global_average_pool");
        add(graph, &name, ops::GlobalAveragePool, input, &[])
    }
}
