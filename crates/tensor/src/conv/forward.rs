use crate::conv::kernel::{Store, Tile};
use crate::conv::panels::{Image, from_panel};
use crate::conv::plan::{Band, Panel, Plan};
use crate::parts::parts;
use crate::scratch::with_scratch;
use crate::{Scalar, Write};

pub(super) fn forward<T: Scalar>(
    plan: &Plan<T>,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    y: &mut [T],
    activate: impl Fn(&mut [T]),
) {
    plan.check(x.len(), y.len(), weight.len(), bias.map(<[T]>::len));
    let (depth, whole) = (plan.depth(), plan.whole(plan.outputs));
    let lens = [
        Image::len(plan),
        plan.band_places(plan.outputs) * plan.panel_width(plan.outputs),
        plan.groups * depth * whole,
        plan.groups * whole,
    ];
    with_scratch(lens, |[image, sums, weights, biases]| {
        pack(plan, weight, weights);
        biases.fill(T::zero());
        for (to, from) in biases.chunks_exact_mut(whole).zip(bias.iter().flat_map(|b| b.chunks_exact(plan.outputs))) {
            to[..plan.outputs].copy_from_slice(from);
        }
        let mut image = Image::new(plan, image);
        let (x_len, y_len) = (plan.channels * plan.pixels(), plan.outputs * plan.places());
        let images = x.chunks_exact(plan.groups * x_len).zip(y.chunks_exact_mut(plan.groups * y_len));
        for (x, y) in images {
            for (group, (x, y)) in x.chunks_exact(x_len).zip(y.chunks_exact_mut(y_len)).enumerate() {
                let x = image.load(plan, x);
                for panel in plan.panels(plan.outputs) {
                    let weights = &weights[group * depth * whole..][panel.start * depth..][..panel.width * depth];
                    let biases = &biases[group * whole..][panel.start..][..panel.width];
                    for band in plan.bands(plan.outputs) {
                        let sums = &mut sums[..band.places * panel.width];
                        multiply(plan, panel, &band, x, weights, biases, sums);
                        activate(sums);
                        from_panel(plan, sums, panel, &band, y);
                    }
                }
            }
        }
    });
}

/// Weights `[O, C, kh, kw]` of all groups to panels `[kh, kw, C, width]`, padded with zeros.
fn pack<T: Scalar>(plan: &Plan<T>, weight: &[T], to: &mut [T]) {
    let (depth, taps, whole) = (plan.depth(), plan.taps(), plan.whole(plan.outputs));
    to.fill(T::zero());
    for (weight, to) in weight.chunks_exact(plan.outputs * depth).zip(to.chunks_exact_mut(whole * depth)) {
        for panel in plan.panels(plan.outputs) {
            let to = &mut to[panel.start * depth..][..panel.width * depth];
            let weight = &weight[panel.start * depth..][..panel.count * depth];
            for channel in 0..plan.channels {
                let to = (&mut to[channel * panel.width..], plan.channels * panel.width);
                plan.transpose([panel.count, taps], (&weight[channel * taps..], depth), to, Write::Assign);
            }
        }
    }
}

/// A band of the outputs of a panel, `[places, width]`.
fn multiply<T: Scalar>(plan: &Plan<T>, panel: Panel, band: &Band, x: &[T], weights: &[T], biases: &[T], to: &mut [T]) {
    let (channels, width) = (plan.channels, panel.width);
    let tiles = plan.kernels.apart[width / plan.kernels.lanes - 1];
    let (runs, length) = plan.runs();
    let parts = parts(plan.output[1], tiles.len());
    for row in band.rows.clone() {
        for (column, count) in parts.clone() {
            let pixel = row * plan.place_row() + column * plan.stride[1];
            let place = row * plan.output[1] + column - band.start;
            let tile = Tile {
                counts: [plan.kernel[0], runs, length],
                a: x[pixel * channels..].as_ptr(),
                a_steps: [plan.tap_row() * channels, plan.tap_column() * channels, 1],
                a_r: 0,
                a_m: plan.stride[1] * channels,
                b: weights.as_ptr(),
                b_row: width,
                c: to[place * width..][..count * width].as_mut_ptr(),
                c_r: 0,
                c_m: width,
                store: Store::Begin(biases.as_ptr()),
            };
            // SAFETY: the windows of these places lie within the padded image, as the plan's sizes say; weights and
            // biases are as long as the loops; the kernels are those of this processor.
            unsafe { tiles[count - 1](&tile) };
        }
    }
}
