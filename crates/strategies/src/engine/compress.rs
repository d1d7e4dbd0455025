use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use tidemill_autograd::tensor::{Layout, Scalar, kernels};
use tidemill_collective::{Collective, Error as Lost, Gathered};

/// What ranks send of a gradient in place of all of it. What is not sent is kept, in
/// [`State::feedback`](crate::State::feedback), and added to the next gradient, so that nothing is lost but time.
///
/// All ranks take the same step, to the bit; it is not the step that whole gradients would give. Every rank gets what
/// every other sends, so that with many ranks a message must be much smaller to be worth it: whole gradients cost a
/// rank `2 · (R − 1) / R` times the gradient's bytes whatever the number `R` of ranks, these `R − 1` messages.
///
/// # References
///
/// S. U. Stich, J.-B. Cordonnier, M. Jaggi, *Sparsified SGD with memory*, 2018. S. P. Karimireddy et al., *Error feedback
/// fixes SignSGD and other gradient compression schemes*, 2019.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Compression {
    /// Numbers of 16 bits, with one power of two as their common scale: half of the bytes.
    Half,
    /// Only the elements that are furthest from zero, this fraction of all: eight bytes each.
    TopK(f64),
    /// The sign of each element, and for each parameter two numbers: the means of those above and below zero. A 32nd of
    /// the bytes. Optimizers that divide by a second moment, such as Adam, want it after a while only
    /// ([`compress_after`](crate::Distributed::compress_after)).
    ///
    /// F. Seide et al., *1-bit stochastic gradient descent and its application to data-parallel distributed training of
    /// speech DNNs*, 2014; H. Tang et al., *1-bit Adam*, 2021.
    OneBit,
}

/// Sends gradients in small, and keeps what it sends them in.
pub(super) struct Compressor {
    kind: Compression,
    /// The elements of each parameter.
    groups: Vec<Range<usize>>,
    message: Vec<u8>,
    order: Vec<u32>,
    all: Gathered,
}

impl Compressor {
    pub(super) fn new(kind: Compression, layout: &Layout) -> Self {
        let groups = layout.parameters().iter().map(|parameter| parameter.range()).collect();
        Self { kind, groups, message: Vec::new(), order: Vec::new(), all: Gathered::default() }
    }

    /// Makes of each rank's gradient the sum of what all have sent.
    pub(super) fn exchange<T: Scalar>(
        &mut self,
        collective: &mut dyn Collective,
        gradients: &mut [T],
        feedback: &mut Vec<T>,
    ) -> Result<(), Lost> {
        feedback.resize(gradients.len(), T::zero());
        kernels::add_assign(feedback, gradients);
        self.message.clear();
        match self.kind {
            Compression::Half => halves(feedback, &mut self.message),
            Compression::TopK(fraction) => largest(feedback, fraction, &mut self.order, &mut self.message),
            Compression::OneBit => signs(feedback, &self.groups, &mut self.message),
        }
        self.add(&self.message, -T::one(), feedback);
        collective.gather(&self.message, &mut self.all)?;
        gradients.fill(T::zero());
        for message in self.all.iter() {
            self.add(message, T::one(), gradients);
        }
        Ok(())
    }

    /// Adds what a message says, times `factor`.
    fn add<T: Scalar>(&self, message: &[u8], factor: T, into: &mut [T]) {
        match self.kind {
            Compression::Half => add_halves(message, factor, into),
            Compression::TopK(_) => {
                for [a, b, c, d, value @ ..] in message.as_chunks::<8>().0 {
                    let at = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                    into[at] += factor * T::of(f32::from_le_bytes(*value).into());
                }
            }
            Compression::OneBit => add_signs(message, factor, &self.groups, into),
        }
    }
}

/// Numbers that are converted at a time.
const PIECE: usize = 256;

/// A power of two, and each number divided by it.
fn halves<T: Scalar>(values: &[T], message: &mut Vec<u8>) {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.widen().abs()));
    // Half precision ends at 65504.
    let scale = if largest > 0.0 { 2.0_f64.powi(largest.log2().floor() as i32 - 14) } else { 1.0 };
    message.extend(scale.to_le_bytes());
    let (mut singles, mut converted) = ([0.0; PIECE], [f16::ZERO; PIECE]);
    for piece in values.chunks(PIECE) {
        for (single, value) in singles.iter_mut().zip(piece) {
            *single = (value.widen() / scale) as f32;
        }
        converted.convert_from_f32_slice(&singles);
        message.extend(converted[..piece.len()].iter().flat_map(|half| half.to_le_bytes()));
    }
}

fn add_halves<T: Scalar>(message: &[u8], factor: T, into: &mut [T]) {
    let Some((scale, message)) = message.split_first_chunk() else { return };
    let factor = factor * T::of(f64::from_le_bytes(*scale));
    let (mut singles, mut converted) = ([0.0; PIECE], [f16::ZERO; PIECE]);
    for (piece, bytes) in into.chunks_mut(PIECE).zip(message.as_chunks::<2>().0.chunks(PIECE)) {
        for (half, bytes) in converted.iter_mut().zip(bytes) {
            *half = f16::from_le_bytes(*bytes);
        }
        converted.convert_to_f32_slice(&mut singles);
        for (value, single) in piece.iter_mut().zip(&singles) {
            *value += factor * T::of(f64::from(*single));
        }
    }
}

/// Where the numbers furthest from zero are, and what they are; of equals the first.
fn largest<T: Scalar>(values: &[T], fraction: f64, order: &mut Vec<u32>, message: &mut Vec<u8>) {
    let count = ((values.len() as f64 * fraction).ceil() as usize).clamp(1, values.len());
    order.clear();
    order.extend(0..values.len() as u32);
    let size = |at: &u32| values[*at as usize].widen().abs();
    if count < order.len() {
        order.select_nth_unstable_by(count - 1, |a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
        order.truncate(count);
    }
    order.sort_unstable();
    for &at in &*order {
        message.extend(at.to_le_bytes());
        message.extend((values[at as usize].widen() as f32).to_le_bytes());
    }
}

/// For each parameter, the mean above and that below zero, and a bit for each element: whether it is above.
fn signs<T: Scalar>(values: &[T], groups: &[Range<usize>], message: &mut Vec<u8>) {
    for group in groups {
        let values = &values[group.clone()];
        let mean = |above: bool| {
            let these = values.iter().filter(|value| (**value > T::zero()) == above);
            let (sum, count) = these.fold((0.0, 0), |(sum, count), value| (sum + value.widen(), count + 1));
            if count == 0 { 0.0_f32 } else { (sum / f64::from(count)) as f32 }
        };
        message.extend(mean(true).to_le_bytes());
        message.extend(mean(false).to_le_bytes());
        message.extend(values.chunks(8).map(|eight| {
            eight.iter().enumerate().fold(0, |bits, (i, value)| bits | u8::from(*value > T::zero()) << i)
        }));
    }
}

fn add_signs<T: Scalar>(mut message: &[u8], factor: T, groups: &[Range<usize>], into: &mut [T]) {
    for group in groups {
        let Some(([a, b, c, d, below @ ..], rest)) = message.split_first_chunk::<8>() else { return };
        let mean = |bytes: [u8; 4]| factor * T::of(f32::from_le_bytes(bytes).into());
        let means = [mean(*below), mean([*a, *b, *c, *d])];
        let (bits, rest) = rest.split_at(group.len().div_ceil(8));
        message = rest;
        for (eight, bits) in into[group.clone()].chunks_mut(8).zip(bits) {
            for (i, value) in eight.iter_mut().enumerate() {
                *value += means[usize::from(bits >> i & 1)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemill_autograd::tensor::{Initializer, Key};
    use tidemill_collective::Solo;

    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::new();
        layout.push("weight", &[30, 11], Initializer::Constant(0.0)).unwrap();
        layout.push("bias", &[3], Initializer::Constant(0.0)).unwrap();
        layout
    }

    fn gradient(step: u64) -> Vec<f32> {
        let number = |i| {
            let [bits, exponent, ..] = Key::new(step).block(i);
            bits as i32 as f32 * 2.0_f32.powi(exponent as i32 % 8)
        };
        (0..333).map(number).collect()
    }

    /// What has been sent and what is kept make up what was to be sent.
    #[test]
    fn nothing_is_lost() {
        for kind in [Compression::Half, Compression::TopK(0.1), Compression::OneBit] {
            let mut compressor = Compressor::new(kind, &layout());
            let (mut feedback, mut sent, mut wanted) = (Vec::new(), vec![0.0_f64; 333], vec![0.0_f64; 333]);
            for step in 0..5 {
                let mut gradient = gradient(step);
                wanted.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += f64::from(*g));
                compressor.exchange(&mut Solo, &mut gradient, &mut feedback).unwrap();
                sent.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += f64::from(*g));
            }
            let largest = wanted.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            for i in 0..333 {
                let error = (sent[i] + f64::from(feedback[i]) - wanted[i]).abs();
                assert!(error <= 1e-5 * largest, "{kind:?}, element {i}: off by {error}");
            }
        }
    }

    #[test]
    fn messages_are_as_small_as_said() {
        for (kind, bytes) in [
            (Compression::Half, 8 + 2 * 333),
            (Compression::TopK(0.1), 8 * 34),
            (Compression::TopK(1.0), 8 * 333),
            (Compression::OneBit, 8 + 42 + 8 + 1),
        ] {
            let mut compressor = Compressor::new(kind, &layout());
            compressor.exchange(&mut Solo, &mut gradient(1), &mut Vec::new()).unwrap();
            assert_eq!(compressor.message.len(), bytes, "{kind:?}");
        }
    }

    #[test]
    fn each_keeps_what_it_says() {
        let sent = |kind, values: &[f64]| {
            let mut layout = Layout::new();
            layout.push("weight", &[values.len()], Initializer::Constant(0.0)).unwrap();
            let mut gradient = values.to_vec();
            Compressor::new(kind, &layout).exchange(&mut Solo, &mut gradient, &mut Vec::new()).unwrap();
            gradient
        };
        assert_eq!(sent(Compression::TopK(0.4), &[1.0, -5.0, 2.0, -2.0, 0.0]), [0.0, -5.0, 2.0, 0.0, 0.0]);
        assert_eq!(sent(Compression::OneBit, &[1.0, -5.0, 3.0, -1.0, 0.0]), [2.0, -2.0, 2.0, -2.0, -2.0]);
        assert_eq!(sent(Compression::OneBit, &[0.0; 3]), [0.0; 3]);
        assert_eq!(sent(Compression::Half, &[0.0; 3]), [0.0; 3]);
        // Ten bits behind the first, however large or small all numbers are.
        for scale in [1e-30, 1.0, 1e30] {
            let values = [1.0, -0.7, 1e-3, 0.1].map(|x| x * scale);
            for (got, want) in sent(Compression::Half, &values).iter().zip(values) {
                assert!((got - want).abs() <= want.abs() / 2048.0, "{got}, not {want}");
            }
        }
    }
}
