//! Gradients as smaller messages.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use tidemill_autograd::tensor::{Layout, Scalar};

/// What [`Compress`](super::Compress) sends of a gradient in place of all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Compression {
    /// Numbers of 16 bits, with one power of two as their common scale: half of the bytes.
    Half,
    /// Only the elements that are furthest from zero, this fraction of all: eight bytes each.
    TopK(f64),
    /// The sign of each element, and for each parameter two numbers: the means of those above and below zero. A 32nd of
    /// the bytes. Optimizers that divide by a second moment, such as Adam, want it after a while only
    /// ([`Compress::after`](super::Compress::after)).
    ///
    /// F. Seide et al., *1-bit stochastic gradient descent and its application to data-parallel distributed training of
    /// speech DNNs*, 2014; H. Tang et al., *1-bit Adam*, 2021.
    OneBit,
}

/// Writes and reads messages of one kind.
pub(super) struct Codec {
    kind: Compression,
    /// The elements of each parameter.
    parameters: Vec<Range<usize>>,
    /// The parameters, as far as they are in what a message is of.
    groups: Vec<Range<usize>>,
    order: Vec<u32>,
}

impl Codec {
    pub(super) fn new(kind: Compression, layout: &Layout) -> Self {
        let parameters = layout.parameters().iter().map(|parameter| parameter.range()).collect();
        Self { kind, parameters, groups: Vec::new(), order: Vec::new() }
    }

    /// Adds what is to be sent of the values, which are those at `range` of a gradient.
    pub(super) fn encode<T: Scalar>(&mut self, range: Range<usize>, values: &[T], message: &mut Vec<u8>) {
        match self.kind {
            Compression::Half => halves(values, message),
            Compression::TopK(fraction) => largest(values, fraction, &mut self.order, message),
            Compression::OneBit => {
                self.group(range);
                signs(values, &self.groups, message);
            }
        }
    }

    /// Adds what the front of a message says of the values at `range`, times `factor`; gives the rest of the message.
    pub(super) fn decode<'m, T: Scalar>(
        &mut self,
        range: Range<usize>,
        message: &'m [u8],
        factor: T,
        into: &mut [T],
    ) -> &'m [u8] {
        let len = range.len();
        let bytes = match self.kind {
            Compression::Half => 8 + 2 * len,
            Compression::TopK(fraction) => 8 * count(len, fraction),
            Compression::OneBit => {
                self.group(range);
                self.groups.iter().map(|group| 8 + group.len().div_ceil(8)).sum()
            }
        };
        let (message, rest) = message.split_at(bytes);
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
        rest
    }

    /// The parameters within a range, from its start.
    fn group(&mut self, range: Range<usize>) {
        self.groups.clear();
        let within = self.parameters.iter().map(|p| p.start.max(range.start)..p.end.min(range.end));
        let within = within.filter(|group| !group.is_empty());
        self.groups.extend(within.map(|group| group.start - range.start..group.end - range.start));
    }
}

/// How many of so many numbers are sent.
fn count(len: usize, fraction: f64) -> usize {
    ((len as f64 * fraction).ceil() as usize).clamp(1, len)
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
    let count = count(values.len(), fraction);
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

/// For each parameter, or part of one, the mean above and that below zero, and a bit for each element: whether it is above.
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
