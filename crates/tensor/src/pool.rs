//! Pooling on one thread, without allocation.

mod general;
mod sets;
#[cfg(test)]
mod tests;
mod two_by_two;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use crate::pool::sets::Pool;
use crate::{Scalar, Window, Write};

/// A window over images of a given size, of which the largest element or the average is taken, each plane by itself.
///
/// # Shapes
///
/// Planes `x [N, H, W]`, `y [N, H', W']`.
///
/// # Example
///
/// ```
/// use tidemill_tensor::{Divisor, Pooling, Window};
///
/// let pooling = Pooling { image: [2, 4], window: Window::new([2, 2]).stride([2, 2]) };
/// let x = [1.0_f32, 5.0, -4.0, -1.0, 2.0, 4.0, -2.0, -1.0];
/// let (mut y, mut places) = ([0.0; 2], [0.0; 2]);
/// pooling.max(&x, &mut y, &mut places);
/// assert_eq!((y, places), ([5.0, -1.0], [1.0, 1.0]));
/// pooling.average(Divisor::Window, &x, &mut y);
/// assert_eq!(y, [3.0, -2.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// `[H, W]`.
    pub image: [usize; 2],
    /// What slides over the image.
    pub window: Window,
}

/// What an average divides by, where a window reaches outside of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// The elements of the window, as if there were zeros outside.
    Window,
    /// Those of its elements that lie inside.
    Inside,
}

impl Pooling {
    /// The largest element of each window, and which of the window's elements it is, counted row by row: the first one
    /// of several. A NaN counts as largest, the last one of several. A window without an element inside the image gives
    /// minus infinity, and -1 for its place.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn max<T: Scalar>(&self, x: &[T], y: &mut [T], places: &mut [T]) {
        self.check(x.len(), y.len());
        assert_eq!(y.len(), places.len(), "pooling: places");
        if self.is_two_by_two() {
            T::max_two_by_two(self.image, x, y, places);
        } else {
            general::max(self, x, y, places);
        }
    }

    /// The gradient with respect to `x`, from `g`, the one with respect to `y`, and the places that
    /// [`max`](Self::max) found.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn max_backward<T: Scalar>(&self, g: &[T], places: &[T], x: &mut [T], write: Write) {
        self.check(x.len(), g.len());
        assert_eq!(g.len(), places.len(), "pooling: places");
        if self.is_two_by_two() {
            T::max_backward_two_by_two(self.image, g, places, x, write);
        } else {
            general::max_backward(self, g, places, x, write);
        }
    }

    /// The average of each window, in which what is outside of the image counts as zero.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn average<T: Scalar>(&self, divisor: Divisor, x: &[T], y: &mut [T]) {
        self.check(x.len(), y.len());
        if self.is_two_by_two() {
            two_by_two::average(self.image, x, y);
        } else {
            general::average(self, divisor, x, y);
        }
    }

    /// The gradient with respect to `x`, from `g`, the one with respect to [`average`](Self::average).
    ///
    /// # Panics
    ///
    /// When the sizes do not fit.
    pub fn average_backward<T: Scalar>(&self, divisor: Divisor, g: &[T], x: &mut [T], write: Write) {
        self.check(x.len(), g.len());
        if self.is_two_by_two() {
            two_by_two::average_backward(self.image, g, x, write);
        } else {
            general::average_backward(self, divisor, g, x, write);
        }
    }

    fn is_two_by_two(&self) -> bool {
        self.window == Window::new([2, 2]).stride([2, 2])
    }

    fn output(&self) -> [usize; 2] {
        self.window.output(self.image).unwrap_or_else(|error| panic!("pooling: {error}"))
    }

    fn check(&self, x: usize, y: usize) {
        let ([height, width], [rows, columns]) = (self.image, self.output());
        let fits = |planes: usize| Some(x) == height.checked_mul(width).and_then(|pixels| planes.checked_mul(pixels));
        let places = rows.checked_mul(columns).expect("pooling: an output fits the address space");
        let planes = y / places;
        assert!(y == planes * places && fits(planes), "pooling: {x} numbers and {y} for planes of {:?}", self.image);
    }
}
