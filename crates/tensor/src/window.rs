use std::fmt;

/// A window that slides over an image: of a convolution, or of pooling. Pairs are `[height, width]`.
///
/// # Example
///
/// ```
/// use tidemill_tensor::Window;
///
/// let window = Window::new([3, 3]).stride([2, 2]).padding([1, 1]);
/// assert_eq!(window.output([28, 28]), Ok([14, 14]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its size, in elements that it looks at.
    pub kernel: [usize; 2],
    /// How far it moves.
    pub stride: [usize; 2],
    /// Rows and columns added on both sides of the image.
    pub padding: [usize; 2],
    /// How far apart the elements are that it looks at.
    pub dilation: [usize; 2],
}

/// A window that makes no sense, or does not fit an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// A number that must not be zero.
    #[error("{what} is {}, expected at least 1", Pair(*.value))]
    Zero {
        /// Kernel, stride or dilation.
        what: &'static str,
        /// What it is.
        value: [usize; 2],
    },
    /// An image smaller than the window.
    #[error("a window of {} does not fit an image of {} with padding {}", Pair(*.extent), Pair(*.image), Pair(*.padding))]
    TooLarge {
        /// What the window spans, dilation included.
        extent: [usize; 2],
        /// The image.
        image: [usize; 2],
        /// The padding.
        padding: [usize; 2],
    },
}

/// `3x3`.
struct Pair([usize; 2]);

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.0[0], self.0[1])
    }
}

impl Window {
    /// Of this size; it moves by one, without padding or dilation.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1, 1], padding: [0, 0], dilation: [1, 1] }
    }

    /// Moves by so much.
    #[must_use]
    pub fn stride(mut self, stride: [usize; 2]) -> Self {
        self.stride = stride;
        self
    }

    /// Begins so far outside of the image, on all sides.
    #[must_use]
    pub fn padding(mut self, padding: [usize; 2]) -> Self {
        self.padding = padding;
        self
    }

    /// Looks at elements so far apart.
    #[must_use]
    pub fn dilation(mut self, dilation: [usize; 2]) -> Self {
        self.dilation = dilation;
        self
    }

    /// Elements that it looks at.
    pub fn len(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether it looks at none, which [`output`](Self::output) refuses.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it spans: `dilation (kernel - 1) + 1`.
    pub fn extent(&self) -> [usize; 2] {
        [0, 1].map(|i| self.dilation[i].saturating_mul(self.kernel[i].max(1) - 1).saturating_add(1))
    }

    /// How many places it has in an image: `⌊(size + 2 padding - extent) / stride⌋ + 1`. What is left over at the far
    /// sides is not looked at, as in PyTorch.
    ///
    /// # Errors
    ///
    /// When a kernel, stride or dilation is zero, or the window larger than the image.
    pub fn output(&self, image: [usize; 2]) -> Result<[usize; 2], WindowError> {
        for (what, value) in [("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)] {
            if value.contains(&0) {
                return Err(WindowError::Zero { what, value });
            }
        }
        let (extent, padding) = (self.extent(), self.padding);
        let left = [0, 1].map(|i| (image[i].checked_add(padding[i].checked_mul(2)?)?).checked_sub(extent[i]));
        match left {
            [Some(height), Some(width)] => Ok([height / self.stride[0] + 1, width / self.stride[1] + 1]),
            _ => Err(WindowError::TooLarge { extent, image, padding }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_in_pytorch() {
        let window = Window::new([3, 2]).stride([2, 1]).padding([1, 0]).dilation([1, 2]);
        assert_eq!(window.output([7, 9]), Ok([4, 7]));
        assert_eq!(Window::new([2, 2]).stride([2, 2]).output([5, 7]), Ok([2, 3]));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let told = |window: Window| window.output([4, 4]).unwrap_err().to_string();
        assert_eq!(told(Window::new([0, 3])), "kernel is 0x3, expected at least 1");
        assert_eq!(told(Window::new([1, 1]).stride([0, 1])), "stride is 0x1, expected at least 1");
        assert_eq!(told(Window::new([1, 1]).dilation([1, 0])), "dilation is 1x0, expected at least 1");
        let large = Window::new([3, 3]).dilation([1, 3]).padding([0, 1]);
        assert_eq!(told(large), "a window of 3x7 does not fit an image of 4x4 with padding 0x1");
    }
}
