use tidemill_tensor::Scalar;

use crate::{Backward, Bound, Coupling, Forward, Kernel, Merge, Op, Specs};

/// `y = (x - μ) / sqrt(σ² + ε) · w + b` for each channel; in training, `μ` and the biased variance `σ²` are those of the
/// batch, each row as often as it weighs; otherwise those of the buffers.
///
/// The buffers are exponential moving averages of the batches' means and unbiased variances. With groups of rows, each
/// group is normalised by itself, and the buffers get the groups' average.
///
/// # Shapes
///
/// `x [C, ..]`, `w [C]` and `b [C]` or neither, buffers `μ [C]` and `σ² [C]`, `y` as `x`.
///
/// # References
///
/// S. Ioffe, C. Szegedy, *Batch normalization*, 2015; groups: E. Hoffer, I. Hubara, D. Soudry, *Train longer, generalize
/// better*, 2017 ("ghost batch normalization").
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    epsilon: f64,
    momentum: f64,
    coupling: Coupling,
}

impl BatchNorm {
    /// With a number that is added to variances, and how far the buffers move to those of a batch.
    pub fn new(epsilon: f64, momentum: f64) -> Self {
        Self { epsilon, momentum, coupling: Coupling::Batch }
    }

    /// Normalises groups of so many consecutive rows each by itself.
    #[must_use]
    pub fn groups(mut self, rows: usize) -> Self {
        self.coupling = Coupling::Group(rows);
        self
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn bind(&self, specs: &Specs<'_>) -> Result<Bound, String> {
        let [x] = specs.reals()?;
        let [mean, variance] = specs.buffers()?;
        if !specs.params.is_empty() {
            specs.params::<2>()?;
        }
        let Some((&channels, rest)) = x.shape.split_first() else {
            return Err(format!("{} has no axis of channels", x.label));
        };
        let others = specs.params.iter().copied().chain([mean, variance]);
        if let Some(shape) = others.into_iter().find(|shape| *shape != [channels]) {
            return Err(format!(
                "a parameter or buffer is {shape:?}, expected one number for each of {channels} channels"
            ));
        }
        if !(self.epsilon.is_finite() && self.epsilon >= 0.0) {
            return Err(format!("epsilon is {}, expected a number not below zero", self.epsilon));
        }
        let sizes = Sizes { channels, plane: rest.iter().product(), epsilon: self.epsilon };
        let merge = Merge::Mean { momentum: self.momentum };
        // Mean and one over the standard deviation of each channel, and what the rows weigh.
        let bound = Bound::new(x.shape, sizes).saves_of_batch(2 * channels + 1);
        Ok(bound.buffer(merge).buffer(merge).couples_in_training(self.coupling))
    }
}

/// The operation for an input of this size.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    channels: usize,
    /// Elements of a channel in a row.
    plane: usize,
    epsilon: f64,
}

/// Channels that are added up at a time.
const BLOCK: usize = 64;

impl Sizes {
    /// Calls `each` with every channel and the sum over all rows and elements of what `value` gives for channel, row and
    /// element.
    fn sums(self, rows: usize, value: impl Fn(usize, usize, usize) -> f64, mut each: impl FnMut(usize, f64)) {
        let Self { channels, plane, .. } = self;
        for first in (0..channels).step_by(BLOCK) {
            let block = first..channels.min(first + BLOCK);
            let mut sums = [0.0; BLOCK];
            for row in 0..rows {
                for (sum, channel) in sums.iter_mut().zip(block.clone()) {
                    let start = (row * channels + channel) * plane;
                    *sum += (start..start + plane).map(|i| value(channel, row, i)).sum::<f64>();
                }
            }
            block.zip(sums).for_each(|(channel, sum)| each(channel, sum));
        }
    }

    /// Calls `each` with every element's number and its channel.
    fn each(self, rows: usize, mut each: impl FnMut(usize, usize)) {
        let Self { channels, plane, .. } = self;
        for start in (0..rows * channels).map(|i| i * plane) {
            let channel = start / plane % channels;
            (start..start + plane).for_each(|i| each(i, channel));
        }
    }

    /// Mean and one over the standard deviation of the buffers.
    fn of_buffers<T: Scalar>(self, mean: &[T], variance: &[T], channel: usize) -> (T, T) {
        (mean[channel], T::of((variance[channel].widen() + self.epsilon).sqrt().recip()))
    }
}

impl<T: Scalar> Kernel<T> for Sizes {
    fn forward(&self, cx: &mut Forward<'_, T>) {
        let (x, rows, channels) = (cx.operand(0), cx.rows, self.channels);
        let affine = (cx.param_count() == 2).then(|| (cx.param(0), cx.param(1)));
        let (mean, variance) = (cx.buffer(0), cx.buffer(1));
        let (means, rest) = cx.saved_of_batch.split_at_mut(channels);
        let (scales, total) = rest.split_at_mut(channels);
        if cx.training {
            let weight = |row: usize| cx.weights.map_or(1.0, |weights| weights[row].widen());
            let weights = (0..rows).map(weight).sum::<f64>();
            let n = weights * self.plane as f64;
            total[0] = T::of(n);
            let [mean_update, variance_update] = cx.updates.get();
            self.sums(rows, |_, row, i| weight(row) * x[i].widen(), |c, sum| mean_update[c] = T::of(sum / n));
            let square = |c: usize, row: usize, i: usize| {
                let apart = x[i].widen() - mean_update[c].widen();
                weight(row) * apart * apart
            };
            self.sums(rows, square, |c, sum| {
                scales[c] = T::of((sum / n + self.epsilon).sqrt().recip());
                variance_update[c] = T::of(sum / if n > 1.0 { n - 1.0 } else { n });
            });
            means.copy_from_slice(mean_update);
        } else {
            for channel in 0..channels {
                (means[channel], scales[channel]) = self.of_buffers(mean, variance, channel);
            }
        }
        let output = &mut *cx.output;
        match affine {
            None => self.each(rows, |i, c| output[i] = (x[i] - means[c]) * scales[c]),
            Some((w, b)) => self.each(rows, |i, c| output[i] = (x[i] - means[c]) * scales[c] * w[c] + b[c]),
        }
    }

    // With z = (x - μ) s and h = g w: dx = s (h - ω/n Σ h - z ω/n Σ h z), where ω weighs the row and n all of them; without
    // the sums where μ and s are those of the buffers.
    fn backward(&self, cx: &mut Backward<'_, T>) {
        let (x, rows, channels) = (cx.operand_values(0), cx.rows, self.channels);
        let (means, rest) = cx.saved_of_batch.split_at(channels);
        let (scales, total) = rest.split_at(channels);
        let z = |i: usize, c: usize| (x[i] - means[c]) * scales[c];
        let has_affine = cx.param_count() == 2;
        if has_affine {
            if let Some(w) = cx.param(0) {
                w.write.begin(w.into);
                self.sums(rows, |c, _, i| w.upstream[i].widen() * z(i, c).widen(), |c, sum| w.into[c] += T::of(sum));
            }
            if let Some(b) = cx.param(1) {
                b.write.begin(b.into);
                self.sums(rows, |_, _, i| b.upstream[i].widen(), |c, sum| b.into[c] += T::of(sum));
            }
        }
        let (training, weights) = (cx.training, cx.weights);
        let gains = has_affine.then(|| cx.param_values(0));
        let gain = |c: usize| gains.map_or(T::one(), |gains| gains[c]);
        let Some(dx) = cx.operand(0) else { return };
        let upstream = &*dx.upstream;
        let assigns = dx.write == crate::Write::Assign;
        let mut put = |i: usize, value: T| dx.into[i] = if assigns { value } else { dx.into[i] + value };
        if !training {
            return self.each(rows, |i, c| put(i, upstream[i] * gain(c) * scales[c]));
        }
        let plane = self.plane;
        let n = total[0].widen();
        for first in (0..channels).step_by(BLOCK) {
            let block = first..channels.min(first + BLOCK);
            let mut sums = [[0.0; 2]; BLOCK];
            for row in 0..rows {
                for (sum, c) in sums.iter_mut().zip(block.clone()) {
                    let start = (row * channels + c) * plane;
                    for (i, g) in (start..).zip(&upstream[start..start + plane]) {
                        sum[0] += g.widen();
                        sum[1] += g.widen() * z(i, c).widen();
                    }
                }
            }
            for row in 0..rows {
                let share = weights.map_or(1.0, |weights| weights[row].widen()) / n;
                for (sum, c) in sums.iter().zip(block.clone()) {
                    let [mean, slope] = sum.map(|sum| T::of(sum * share));
                    let start = (row * channels + c) * plane;
                    for (i, &g) in (start..).zip(&upstream[start..start + plane]) {
                        put(i, gain(c) * scales[c] * (g - mean - z(i, c) * slope));
                    }
                }
            }
        }
    }
}
