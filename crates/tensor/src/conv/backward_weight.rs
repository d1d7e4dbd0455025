use crate::conv::kernel::{Store, Tile};
use crate::conv::panels::{Image, to_panel};
use crate::conv::plan::{Band, Panel, Plan};
use crate::parts::parts;
use crate::scratch::with_scratch;
use crate::{Scalar, Write};

pub(super) fn backward_weight<T: Scalar>(
    plan: &Plan<T>,
    x: &[T],
    g: &mut [T],
    weight: &mut [T],
    bias: Option<&mut [T]>,
    mut prepare: impl FnMut(usize, &mut [T]),
) {
    plan.check(x.len(), g.len(), weight.len(), bias.as_ref().map(|b| b.len()));
    let (depth, whole) = (plan.depth(), plan.whole(plan.outputs));
    let lens = [
        Image::len(plan),
        plan.band_places(plan.outputs) * plan.panel_width(plan.outputs),
        plan.groups * depth * whole,
        plan.groups * whole,
    ];
    with_scratch(lens, |[image, gradient, weights, biases]| {
        weights.fill(T::zero());
        biases.fill(T::zero());
        let mut image = Image::new(plan, image);
        let (x_len, y_len) = (plan.channels * plan.pixels(), plan.outputs * plan.places());
        let images = x.chunks_exact(plan.groups * x_len).zip(g.chunks_exact_mut(plan.groups * y_len));
        for (number, (x, g)) in images.enumerate() {
            prepare(number, g);
            for (group, (x, g)) in x.chunks_exact(x_len).zip(g.chunks_exact(y_len)).enumerate() {
                let x = image.load(plan, x);
                for panel in plan.panels(plan.outputs) {
                    let weights = &mut weights[group * depth * whole..][panel.start * depth..][..panel.width * depth];
                    let biases = &mut biases[group * whole..][panel.start..][..panel.width];
                    for band in plan.bands(plan.outputs) {
                        let gradient = &mut gradient[..band.places * panel.width];
                        to_panel(plan, g, panel, &band, gradient);
                        multiply(plan, panel, &band, x, gradient, weights);
                        if bias.is_some() {
                            let to = biases.as_mut_ptr();
                            // SAFETY: there are as many rows of that width; the kernels are those of this processor.
                            unsafe { (plan.kernels.column_sums)(gradient.as_ptr(), band.places, panel.width, to) };
                        }
                    }
                }
            }
        }
        unpack(plan, weights, weight);
        if let Some(bias) = bias {
            for (to, from) in bias.chunks_exact_mut(plan.outputs).zip(biases.chunks_exact(whole)) {
                to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
            }
        }
    });
}

/// Adds panels `[kh, kw, C, width]` to weights `[O, C, kh, kw]` of all groups.
fn unpack<T: Scalar>(plan: &Plan<T>, from: &[T], weight: &mut [T]) {
    let (depth, taps, whole) = (plan.depth(), plan.taps(), plan.whole(plan.outputs));
    for (weight, from) in weight.chunks_exact_mut(plan.outputs * depth).zip(from.chunks_exact(whole * depth)) {
        for panel in plan.panels(plan.outputs) {
            let from = &from[panel.start * depth..][..panel.width * depth];
            let weight = &mut weight[panel.start * depth..][..panel.count * depth];
            for channel in 0..plan.channels {
                let from = (&from[channel * panel.width..], plan.channels * panel.width);
                plan.transpose([taps, panel.count], from, (&mut weight[channel * taps..], depth), Write::Add);
            }
        }
    }
}

/// Adds a band's part of the gradients with respect to a panel of weights, `[kh, kw, C, width]`.
fn multiply<T: Scalar>(plan: &Plan<T>, panel: Panel, band: &Band, x: &[T], gradient: &[T], weights: &mut [T]) {
    let vectors = panel.width / plan.kernels.lanes;
    let (together, thrice) = (plan.kernels.together[vectors - 1], plan.kernels.thrice[vectors - 1]);
    let (runs, length) = plan.runs();
    let first = band.rows.start * plan.place_row();
    let run = |row: usize, run: usize| first + row * plan.tap_row() + run * plan.tap_column();
    let tile = |pixel: usize, within: usize, weights: &mut [T]| Tile {
        counts: [1, band.rows.len(), plan.output[1]],
        a: x[pixel * plan.channels + within..].as_ptr(),
        a_steps: [0, plan.place_row() * plan.channels, plan.stride[1] * plan.channels],
        a_r: plan.tap_row() * plan.channels,
        a_m: 1,
        b: gradient.as_ptr(),
        b_row: panel.width,
        c: weights.as_mut_ptr(),
        c_r: length * panel.width,
        c_m: panel.width,
        store: Store::Add,
    };
    let mut row = 0;
    while row < plan.kernel[0] {
        let rows = if runs == 1 && length <= thrice.len() && row + 3 <= plan.kernel[0] { 3 } else { 1 };
        for r in 0..runs {
            let kernels = if rows == 3 { thrice } else { together };
            for (within, count) in parts(length, kernels.len()) {
                let weights = &mut weights[((row * runs + r) * length + within) * panel.width..];
                assert!(weights.len() >= ((rows - 1) * length + count) * panel.width);
                // SAFETY: the numbers at these elements of the windows lie within the padded image, as the plan's sizes
                // say; gradients are as long as the loops; the weights' length was checked; the kernels are those of
                // this processor.
                unsafe { kernels[count - 1](&tile(run(row, r), within, weights)) };
            }
        }
        row += rows;
    }
}
