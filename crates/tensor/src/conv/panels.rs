//! Images, gradients and weights laid out as the kernels read them.
//!
//! An image lies pixel by pixel with the channels of a pixel side by side, with its padding. Outputs and their gradients
//! lie in panels of a register or two of channels, each pixel by pixel.

use crate::conv::plan::{Band, Panel, Plan};
use crate::transpose::Transposition;
use crate::{Scalar, Write};

/// An image of one group with the channels of a pixel side by side.
pub(super) struct Image<'a, T> {
    scratch: &'a mut [T],
}

impl<'a, T: Scalar> Image<'a, T> {
    /// Numbers of scratch that it needs.
    pub fn len(plan: &Plan<T>) -> usize {
        if Self::lies_ready(plan) { 0 } else { plan.padded_pixels() * plan.channels }
    }

    pub fn new(plan: &Plan<T>, scratch: &'a mut [T]) -> Self {
        if plan.padding != [0, 0] {
            scratch.fill(T::zero());
        }
        Self { scratch }
    }

    /// Whether planes of channels are as the kernels want them.
    fn lies_ready(plan: &Plan<T>) -> bool {
        plan.channels == 1 && plan.padding == [0, 0]
    }

    /// Brings in planes `[C, H, W]`.
    pub fn load<'b>(&'b mut self, plan: &Plan<T>, planes: &'b [T]) -> &'b [T] {
        if Self::lies_ready(plan) {
            return planes;
        }
        let ([height, width], channels) = (plan.image, plan.channels);
        let (lines, length) = if plan.padding == [0, 0] { (1, height * width) } else { (height, width) };
        let padded_width = plan.padded()[1];
        for y in 0..lines {
            let pixel = (y + plan.padding[0]) * padded_width + plan.padding[1];
            let to = &mut self.scratch[pixel * channels..][..length * channels];
            plan.transpose([channels, length], (&planes[y * length..], plan.pixels()), (to, channels), Write::Assign);
        }
        self.scratch
    }
}

/// A band of planes `[C, places]` to `[places of the band, width]`; what is beyond the panel's channels becomes zero.
pub(super) fn to_panel<T: Scalar>(plan: &Plan<T>, planes: &[T], panel: Panel, band: &Band, to: &mut [T]) {
    let places = plan.places();
    let from = &planes[panel.start * places + band.start..];
    if panel.count < panel.width {
        to.fill(T::zero());
    }
    plan.transpose([panel.count, band.places], (from, places), (to, panel.width), Write::Assign);
}

/// `[places of the band, width]` to a band of planes `[C, places]`.
pub(super) fn from_panel<T: Scalar>(plan: &Plan<T>, from: &[T], panel: Panel, band: &Band, planes: &mut [T]) {
    let places = plan.places();
    let to = &mut planes[panel.start * places + band.start..];
    plan.transpose([band.places, panel.count], (from, panel.width), (to, places), Write::Assign);
}

/// `[padded pixels, width]` without the padding to planes `[C, H, W]`, or added to them.
pub(super) fn from_padded<T: Scalar>(plan: &Plan<T>, from: &[T], panel: Panel, planes: &mut [T], write: Write) {
    let [height, width] = plan.image;
    let (lines, length) = if plan.padding == [0, 0] { (1, height * width) } else { (height, width) };
    for y in 0..lines {
        let pixel = (y + plan.padding[0]) * plan.padded()[1] + plan.padding[1];
        let from = &from[pixel * panel.width..][..length * panel.width];
        let to = &mut planes[panel.start * plan.pixels() + y * length..];
        plan.transpose([length, panel.count], (from, panel.width), (to, plan.pixels()), write);
    }
}

impl<T: Scalar> Plan<T> {
    /// `to[j, i] ← from[i, j]`, or added to it, for `rows × columns` numbers; beside each matrix is how far apart its
    /// rows are.
    ///
    /// # Panics
    ///
    /// When either is too short.
    pub fn transpose(
        &self,
        [rows, columns]: [usize; 2],
        (from, from_row): (&[T], usize),
        (to, to_row): (&mut [T], usize),
        write: Write,
    ) {
        if rows == 0 || columns == 0 {
            return;
        }
        assert!(from.len() >= (rows - 1) * from_row + columns && to.len() >= (columns - 1) * to_row + rows);
        let (from, from_row, to) = (from.as_ptr(), from_row as isize, to.as_mut_ptr());
        let to_row = to_row as isize;
        // SAFETY: both lengths were checked; the kernels are those of this processor.
        unsafe { (self.kernels.transpose)(&Transposition { rows, columns, from, from_row, to, to_row, write }) };
    }
}
