use std::ops::Range;

use tidemill_tensor::{Scalar, kernels, vectorized};

use crate::transform::{Norm, Norms};

/// Elements that are summed into one [`BlockSum`].
const BLOCK: usize = 4096;

/// Independent partial maxima within a block: as many as fill two vector registers of the widest machines.
const LANES: usize = 16;

/// What one block contributes to the norms of updates and parameters: a sum of squares or a maximum.
pub(crate) type BlockSum = [f64; 2];

/// A part of the arena that is reduced to one [`BlockSum`]; all blocks of a group make one pair of norms.
///
/// Where blocks begin depends on the layout alone, and they are always combined in the same order: the norms have the
/// same bits whoever computes which blocks.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) blocks: Vec<Range<usize>>,
}

impl Group {
    pub(crate) fn new(ranges: &[Range<usize>]) -> Self {
        let cut = |r: &Range<usize>| {
            let end = r.end;
            r.clone().step_by(BLOCK).map(move |start| start..end.min(start + BLOCK))
        };
        Self { blocks: ranges.iter().flat_map(cut).collect() }
    }

    /// The parts of its blocks that lie in a range.
    pub(crate) fn within(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let first = self.blocks.partition_point(|block| block.end <= range.start);
        let blocks = self.blocks[first..].iter().take_while(move |block| block.start < range.end);
        blocks.map(move |block| block.start.max(range.start)..block.end.min(range.end))
    }

    /// Whether a range, which lies in one parameter, is among its elements.
    pub(crate) fn holds(&self, range: &Range<usize>) -> bool {
        let at = self.blocks.partition_point(|block| block.end <= range.start);
        self.blocks.get(at).is_some_and(|block| block.start <= range.start)
    }
}

/// The norm of one block before the root is taken.
pub(crate) fn measure<T: Scalar>(norm: Norm, x: &[T]) -> f64 {
    match norm {
        Norm::L2 => kernels::sum_of_squares(x),
        Norm::Max => max_abs(x),
    }
}

/// The sum of several blocks.
pub(crate) fn combine(norm: Norm, sums: impl Iterator<Item = BlockSum>) -> BlockSum {
    sums.fold([0.0; 2], |[u, p], [du, dp]| match norm {
        Norm::L2 => [u + du, p + dp],
        Norm::Max => [larger(u, du), larger(p, dp)],
    })
}

/// The norms of which these are the sums.
pub(crate) fn root(norm: Norm, [updates, parameters]: BlockSum) -> Norms {
    match norm {
        Norm::L2 => Norms { updates: updates.sqrt(), parameters: parameters.sqrt() },
        Norm::Max => Norms { updates, parameters },
    }
}

/// The maximum, in which NaN is not forgotten.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

vectorized! {
    fn max_abs<T: Scalar>(x: &[T]) -> f64 {
        let mut lanes = [0.0_f64; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = larger(*lane, x.widen().abs());
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane = larger(*lane, x.widen().abs());
        }
        lanes.iter().fold(0.0, |a, &b| larger(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_their_ranges_in_order() {
        let group = Group::new(&[3..10, 20..20 + 2 * BLOCK + 1]);
        assert_eq!(group.within(5..22).collect::<Vec<_>>(), [5..10, 20..22]);
        assert!(group.within(10..20).next().is_none());
        assert_eq!(group.blocks, [3..10, 20..20 + BLOCK, 20 + BLOCK..20 + 2 * BLOCK, 20 + 2 * BLOCK..21 + 2 * BLOCK]);
    }

    #[test]
    fn measures_agree_with_plain_loops() {
        for n in [0, 1, 15, 16, 17, 100] {
            let x: Vec<f32> = (0..n).map(|i| (i as f32 - 40.0) / 7.0).collect();
            let squares: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            assert!((measure(Norm::L2, &x) - squares).abs() <= 1e-12 * squares);
            assert_eq!(measure(Norm::Max, &x), x.iter().fold(0.0, |a: f64, &x| a.max(f64::from(x.abs()))));
        }
    }

    #[test]
    fn squares_of_large_f32_do_not_overflow() {
        assert_eq!(measure(Norm::L2, &[1e30_f32]), f64::from(1e30_f32).powi(2));
    }

    #[test]
    fn a_maximum_with_nan_is_nan() {
        let mut x = [1.0; 40];
        x[7] = f64::NAN;
        assert!(measure(Norm::Max, &x).is_nan());
        assert!(combine(Norm::Max, [[f64::NAN, 0.0], [1.0, 0.0]].into_iter())[0].is_nan());
    }
}
