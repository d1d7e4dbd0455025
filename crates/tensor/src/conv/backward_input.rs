use crate::conv::kernel::{Store, Tile};
use crate::conv::panels::{from_padded, to_panel};
use crate::conv::plan::{Band, Panel, Plan};
use crate::parts::parts;
use crate::scratch::with_scratch;
use crate::{Scalar, Write};

pub(super) fn backward_input<T: Scalar>(plan: &Plan<T>, g: &[T], weight: &[T], x: &mut [T], write: Write) {
    plan.check(x.len(), g.len(), weight.len(), None);
    let whole = plan.whole(plan.channels);
    let weights_len = plan.taps() * plan.outputs * whole;
    let lens = [
        plan.padded_pixels() * whole,
        plan.band_places(plan.outputs) * plan.panel_width(plan.outputs),
        plan.groups * weights_len,
    ];
    with_scratch(lens, |[image, gradient, weights]| {
        pack(plan, weight, weights);
        let (x_len, y_len) = (plan.channels * plan.pixels(), plan.outputs * plan.places());
        for (x, g) in x.chunks_exact_mut(plan.groups * x_len).zip(g.chunks_exact(plan.groups * y_len)) {
            for (group, (x, g)) in x.chunks_exact_mut(x_len).zip(g.chunks_exact(y_len)).enumerate() {
                image.fill(T::zero());
                let weights = &weights[group * weights_len..][..weights_len];
                for outputs in plan.panels(plan.outputs) {
                    let weights = &weights[plan.taps() * outputs.start * whole..];
                    for band in plan.bands(plan.outputs) {
                        let gradient = &mut gradient[..band.places * outputs.width];
                        to_panel(plan, g, outputs, &band, gradient);
                        for channels in plan.panels(plan.channels) {
                            let weights = &weights[plan.taps() * outputs.count * channels.start..];
                            let weights = &weights[..plan.taps() * outputs.count * channels.width];
                            let image = &mut image[channels.start * plan.padded_pixels()..];
                            multiply(plan, [outputs, channels], &band, gradient, weights, image);
                        }
                    }
                }
                for channels in plan.panels(plan.channels) {
                    from_padded(plan, &image[channels.start * plan.padded_pixels()..], channels, x, write);
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
                    let from = &weight[(outputs.start + o) * depth + channels.start * taps..];
                    let to = (&mut these[o * channels.width..], outputs.count * channels.width);
                    plan.transpose([channels.count, taps], (from, taps), to, Write::Assign);
                }
            }
        }
    }
}

/// Adds a band of a panel of outputs' part of the gradient with respect to a panel of channels, `[padded pixels, width]`.
fn multiply<T: Scalar>(
    plan: &Plan<T>,
    [outputs, channels]: [Panel; 2],
    band: &Band,
    gradient: &[T],
    weights: &[T],
    image: &mut [T],
) {
    let width = channels.width;
    let tiles = plan.kernels.apart[width / plan.kernels.lanes - 1];
    let parts = parts(plan.output[1], tiles.len());
    for row in band.rows.clone() {
        for (column, count) in parts.clone() {
            let place = row * plan.output[1] + column - band.start;
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
