//! Which kernel runs where.

use crate::Write;
use crate::pool::two_by_two;
#[cfg(target_arch = "x86_64")]
use crate::pool::x86;

/// The types that there are kernels for, with those that differ between types.
pub trait Pool: Sized {
    /// [`two_by_two::max`].
    fn max_two_by_two(image: [usize; 2], x: &[Self], y: &mut [Self], places: &mut [Self]);

    /// [`two_by_two::max_backward`].
    fn max_backward_two_by_two(image: [usize; 2], g: &[Self], places: &[Self], x: &mut [Self], write: Write);
}

impl Pool for f32 {
    fn max_two_by_two(image: [usize; 2], x: &[f32], y: &mut [f32], places: &mut [f32]) {
        match crate::isa::arch() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: pulp hands out this token only where it found the features.
            pulp::Arch::V4(_) => unsafe { x86::max(image, x, y, places) },
            _ => two_by_two::max(image, x, y, places),
        }
    }

    fn max_backward_two_by_two(image: [usize; 2], g: &[f32], places: &[f32], x: &mut [f32], write: Write) {
        match crate::isa::arch() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            pulp::Arch::V4(_) => unsafe { x86::max_backward(image, g, places, x, write) },
            _ => two_by_two::max_backward(image, g, places, x, write),
        }
    }
}

impl Pool for f64 {
    fn max_two_by_two(image: [usize; 2], x: &[f64], y: &mut [f64], places: &mut [f64]) {
        two_by_two::max(image, x, y, places);
    }

    fn max_backward_two_by_two(image: [usize; 2], g: &[f64], places: &[f64], x: &mut [f64], write: Write) {
        two_by_two::max_backward(image, g, places, x, write);
    }
}
