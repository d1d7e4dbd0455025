//! Convolutions on one thread, without allocation.

mod backward_input;
mod backward_weight;
mod forward;
mod kernel;
mod panels;
mod plan;
mod sets;
#[cfg(test)]
mod tests;

pub(crate) use crate::conv::sets::Convolve;
use crate::{Scalar, Window, Write};

/// A convolution of images with given sizes, in the field's sense, which is a cross-correlation:
///
/// `y[o, p] = b[o] + Σ_c Σ_t w[o, c, t] x[c, stride p + dilation t - padding]`
///
/// where `p` goes over places, `t` over the window, `c` over the channels of `o`'s group, and `x` is zero outside of the
/// image. Every image of a batch is computed by itself, in an order that does not depend on the others; sums over
/// images are taken in the images' order. Nothing is allocated, except that the first calls on a thread grow its buffer.
///
/// # Shapes
///
/// Images `x [B, C, H, W]`, weight `[O, C / groups, kh, kw]`, bias `[O]`, `y [B, O, H', W']`.
///
/// # Example
///
/// ```
/// use tidemill_tensor::{Convolution, Window};
///
/// let edges = Convolution { channels: 1, outputs: 1, groups: 1, image: [1, 4], window: Window::new([1, 2]) };
/// let mut y = [0.0_f32; 3];
/// edges.forward(&[1.0, 3.0, 3.0, 0.0], &[-1.0, 1.0], Some(&[0.5]), &mut y, |_| ());
/// assert_eq!(y, [2.5, 0.5, -2.5]);
/// ```
///
/// # References
///
/// Channels of a pixel lie side by side inside the kernels, and sums of a few pixels and as many output channels as a
/// register holds stay in registers: E. Georganas et al., *Anatomy of high-performance deep learning convolutions on
/// SIMD architectures*, 2018.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// `C`.
    pub channels: usize,
    /// `O`.
    pub outputs: usize,
    /// Into so many parts channels and outputs are divided, each of which sees only its own.
    pub groups: usize,
    /// `[H, W]`.
    pub image: [usize; 2],
    /// What slides over the image.
    pub window: Window,
}

impl Convolution {
    /// `y` of every image. While numbers of `y` are in the cache, `activate` is called on them, a part at a time and in no
    /// particular order, to apply a function to each.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn forward<T: Scalar>(
        &self,
        x: &[T],
        weight: &[T],
        bias: Option<&[T]>,
        y: &mut [T],
        activate: impl Fn(&mut [T]),
    ) {
        forward::forward(&self.plan(self.outputs), x, weight, bias, y, activate);
    }

    /// The gradients with respect to weight and bias, added to what is there, from `g`, the one with respect to `y`.
    ///
    /// Before an image's `g` is read, `prepare` is called with the image's number and its `g`.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn backward_weight<T: Scalar>(
        &self,
        x: &[T],
        g: &mut [T],
        weight: &mut [T],
        bias: Option<&mut [T]>,
        prepare: impl FnMut(usize, &mut [T]),
    ) {
        backward_weight::backward_weight(&self.plan(self.outputs), x, g, weight, bias, prepare);
    }

    /// The gradient with respect to `x`, written or added to what is there, from `g`, the one with respect to `y`.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn backward_input<T: Scalar>(&self, g: &[T], weight: &[T], x: &mut [T], write: Write) {
        backward_input::backward_input(&self.plan(self.channels), g, weight, x, write);
    }
}
