use crate::conv::kernel::{Store, Tile};
use crate::conv::panels::{from_padded, to_panel};
use crate::conv::plan::{Panel, Plan, parts};
use crate::conv::scratch::with_scratch;
use crate::{Accumulate, Scalar};

pub(super) fn backward_input<T: Scalar>(plan: &Plan<T>, g: &[T], weight: &[T], x: &mut [T], onto: Accumulate) {
    plan.check(x.len(), g.len(), weight.len(), None);
    let whole = plan.whole(plan.channels);
    let weights_len = plan.taps() * plan.outputs * whole;
    let lens =
        [plan.padded_pixels() * whole, plan.places() * plan.panel_width(plan.outputs), plan.groups * weights_len];
    with_scratch(lens, |[image, gradient, weights]| {
        pack(plan, weight, weights);
        let (x_len, y_len) = (plan.channels * plan.pixels(), plan.outputs * plan.places());
        for (x, g) in x.chunks_exact_mut(plan.groups * x_len).zip(g.chunks_exact(plan.groups * y_len)) {
            for (group, (x, g)) in x.chunks_exact_mut(x_len).zip(g.chunks_exact(y_len)).enumerate() {
                image.fill(T::zero());
                let mut weights = &weights[group * weights_len..][..weights_len];
                for outputs in plan.panels(plan.outputs) {
                    let gradient = &mut gradient[..plan.places() * outputs.width];
                    to_panel(plan, g, outputs, gradient);
                    for channels in plan.panels(plan.channels) {
                        let (these, others) = weights.split_at(plan.taps() * outputs.count * channels.width);
                        weights = others;
                        let image = &mut image[channels.start * plan.padded_pixels()..];
                        multiply(plan, outputs, channels, gradient, these, image);
                    }
                }
                for channels in plan.panels(plan.channels) {
                    from_padded(plan, &image[channels.start * plan.padded_pixels()..], channels, x, onto);
                }
            }
        }
    });
}

/// Weights `[O, C, kh, kw]` of all groups to `[kh, kw, O, width]`, for each panel of channels of each panel of outputs,
/// padded with zeros.
fn pack<T: Scalar>(plan: &Plan<T>, weight: &[T], mut to: &mut [T]) {
    let (depth, taps) = (plan.depth(), plan.taps());
    to.fill(T::zero());
    for weight in weight.chunks_exact(plan.outputs * depth) {
        for outputs in plan.panels(plan.outputs) {
            for channels in plan.panels(plan.channels) {
                let (these, others) = to.split_at_mut(taps * outputs.count * channels.width);
                to = others;
                for o in 0..outputs.count {
                    let weight = &weight[(outputs.start + o) * depth..][channels.start * taps..];
                    for (c, weight) in weight.chunks_exact(taps).take(channels.count).enumerate() {
                        for (tap, &w) in weight.iter().enumerate() {
                            these[(tap * outputs.count + o) * channels.width + c] = w;
                        }
                    }
                }
            }
        }
    }
}

/// Adds a panel of outputs' part of the gradient with respect to a panel of channels, `[padded pixels, width]`.
fn multiply<T: Scalar>(
    plan: &Plan<T>,
    outputs: Panel,
    channels: Panel,
    gradient: &[T],
    weights: &[T],
    image: &mut [T],
) {
    let width = channels.width;
    let tiles = plan.kernels.apart[width / plan.kernels.lanes - 1];
    for row in 0..plan.output[0] {
        for (column, count) in parts(plan.output[1], tiles.len()) {
            let place = row * plan.output[1] + column;
            let pixel = row * plan.place_row() + column * plan.stride[1];
            for (tap, weights) in weights.chunks_exact(outputs.count * width).enumerate() {
                let (tap_row, tap_column) = (tap / plan.kernel[1], tap % plan.kernel[1]);
                let pixel = pixel + tap_row * plan.tap_row() + tap_column * plan.tap_column();
                let tile = Tile {
                    counts: [1, 1, outputs.count],
                    a: gradient[place * outputs.width..][..count * outputs.width].as_ptr(),
                    a_steps: [0, 0, 1],
                    a_r: 0,
                    a_m: outputs.width,
                    b: weights.as_ptr(),
                    b_row: width,
                    c: image[pixel * width..][..((count - 1) * plan.stride[1] + 1) * width].as_mut_ptr(),
                    c_r: 0,
                    c_m: plan.stride[1] * width,
                    store: Store::Add,
                };
                // SAFETY: all three lengths were checked; the kernels are those of this processor.
                unsafe { tiles[count - 1](&tile) };
            }
        }
    }
}
