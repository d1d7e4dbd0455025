//! Softmax and its logarithm over the rows of `[B, K]`, row-major and without gaps.

use crate::Scalar;
use crate::kernels::rows::check_rows;

/// Partial results of a reduction along a row. A constant, so that the result depends on nothing but the row; the last
/// block of a row is padded to it, so that rows of a few classes also run in vectors.
const LANES: usize = 16;

vectorized! {
    /// `xₖ ← e^xₖ / Σⱼ e^xⱼ` in each row, without overflow.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows of that width.
    pub fn softmax_rows<T: Scalar>(x: &mut [T], width: usize) {
        check_rows(x.len(), width);
        for row in x.chunks_exact_mut(width.max(1)) {
            let factor = T::one() / exponentials(row, maximum(row));
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
}

vectorized! {
    /// `g ← y (g - Σⱼ gⱼ yⱼ)` in each row: the gradient of [`softmax_rows`] from its output `y`.
    ///
    /// # Panics
    ///
    /// When the lengths differ or are not whole rows of that width.
    pub fn softmax_backward<T: Scalar>(y: &[T], g: &mut [T], width: usize) {
        assert_eq!(y.len(), g.len());
        check_rows(g.len(), width);
        for (y, g) in y.chunks_exact(width.max(1)).zip(g.chunks_exact_mut(width.max(1))) {
            let mean = y.iter().zip(&*g).fold(T::zero(), |sum, (&y, &g)| sum + y * g);
            for (g, &y) in g.iter_mut().zip(y) {
                *g = y * (*g - mean);
            }
        }
    }
}

vectorized! {
    /// `xₖ ← xₖ - ln Σⱼ e^xⱼ` in each row, without overflow.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows of that width.
    pub fn log_softmax_rows<T: Scalar>(x: &mut [T], width: usize) {
        check_rows(x.len(), width);
        for row in x.chunks_exact_mut(width.max(1)) {
            let max = maximum(row);
            let log = sum_of_exponentials(row, max).ln();
            row.iter_mut().for_each(|x| *x = (*x - max) - log);
        }
    }
}

vectorized! {
    /// `g ← g - e^y Σⱼ gⱼ` in each row: the gradient of [`log_softmax_rows`] from its output `y`.
    ///
    /// # Panics
    ///
    /// When the lengths differ or are not whole rows of that width.
    pub fn log_softmax_backward<T: Scalar>(y: &[T], g: &mut [T], width: usize) {
        assert_eq!(y.len(), g.len());
        check_rows(g.len(), width);
        for (y, g) in y.chunks_exact(width.max(1)).zip(g.chunks_exact_mut(width.max(1))) {
            let sum = g.iter().fold(T::zero(), |sum, &g| sum + g);
            for (g, &y) in g.iter_mut().zip(y) {
                *g -= sum * y.fast_exp();
            }
        }
    }
}

vectorized! {
    /// `yᵢ ← ln Σₖ e^xᵢₖ` for each row `i`, without overflow; `x [B, K]`, `y [B]`.
    ///
    /// # Panics
    ///
    /// When `x` is not made of as many rows of that width as `y` has elements.
    pub fn log_sum_exp_rows<T: Scalar>(x: &[T], width: usize, y: &mut [T]) {
        assert_eq!(x.len(), width * y.len());
        for (row, y) in x.chunks_exact(width.max(1)).zip(y) {
            let max = maximum(row);
            *y = max + sum_of_exponentials(row, if max.is_finite() { max } else { T::zero() }).ln();
        }
    }
}

/// The largest element that is not NaN. A NaN shows in the sum of the exponentials.
#[inline(always)]
pub(super) fn maximum<T: Scalar>(row: &[T]) -> T {
    let larger = |a: T, b: T| if a > b { a } else { b };
    let mut lanes = [T::neg_infinity(); LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = larger(x, *lane);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(padded(rest)) {
        *lane = larger(x, *lane);
    }
    fold(lanes, larger)
}

/// `xₖ ← e^(xₖ - max)`; gives their sum.
#[inline(always)]
pub(super) fn exponentials<T: Scalar>(row: &mut [T], max: T) -> T {
    let mut lanes = [T::zero(); LANES];
    let (blocks, rest) = row.as_chunks_mut::<LANES>();
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *x = (*x - max).fast_exp();
            *lane += *x;
        }
    }
    if !rest.is_empty() {
        let mut block = padded(rest);
        for (lane, x) in lanes.iter_mut().zip(&mut block) {
            *x = (*x - max).fast_exp();
            *lane += *x;
        }
        rest.copy_from_slice(&block[..rest.len()]);
    }
    fold(lanes, |a, b| a + b)
}

/// `Σₖ e^(xₖ - max)`.
#[inline(always)]
fn sum_of_exponentials<T: Scalar>(row: &[T], max: T) -> T {
    let mut lanes = [T::zero(); LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane += (x - max).fast_exp();
        }
    }
    if !rest.is_empty() {
        for (lane, x) in lanes.iter_mut().zip(padded(rest)) {
            *lane += (x - max).fast_exp();
        }
    }
    fold(lanes, |a, b| a + b)
}

/// A block whose missing elements have the exponential zero.
#[inline(always)]
fn padded<T: Scalar>(rest: &[T]) -> [T; LANES] {
    let mut block = [T::neg_infinity(); LANES];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Combines the lanes in pairs.
#[inline(always)]
fn fold<T: Scalar>(mut lanes: [T; LANES], combine: impl Fn(T, T) -> T) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = combine(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::samples::values;

    const WIDTHS: [usize; 9] = [1, 2, 10, 15, 16, 17, 33, 100, 1000];

    fn softmax(row: &[f64]) -> Vec<f64> {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(|x| x.exp() / sum).collect()
    }

    fn check<T: Scalar>(tolerance: f64) {
        let close = |got: &[T], want: &[f64]| {
            for (got, want) in got.iter().zip(want) {
                assert!((got.widen() - want).abs() <= tolerance * (1.0 + want.abs()), "{got}, not {want}");
            }
        };
        for width in WIDTHS {
            let (x, upstream) = (values::<T>(3 * width, 1), values::<T>(3 * width, 2));
            let wide = |x: &[T]| x.iter().map(|x| x.widen()).collect::<Vec<f64>>();
            let p: Vec<f64> = wide(&x).chunks(width).flat_map(softmax).collect();
            let g = wide(&upstream);
            let row_sum =
                |i: usize, f: &dyn Fn(usize) -> f64| -> f64 { (i / width * width..).take(width).map(f).sum() };
            crate::isa::on_every_path(|| {
                let mut y = x.clone();
                softmax_rows(&mut y, width);
                close(&y, &p);
                let mut got = upstream.clone();
                softmax_backward(&y, &mut got, width);
                let want: Vec<f64> = (0..p.len()).map(|i| p[i] * (g[i] - row_sum(i, &|j| g[j] * p[j]))).collect();
                close(&got, &want);

                let mut y = x.clone();
                log_softmax_rows(&mut y, width);
                close(&y, &p.iter().map(|p| p.ln()).collect::<Vec<_>>());
                let mut got = upstream.clone();
                log_softmax_backward(&y, &mut got, width);
                let want: Vec<f64> = (0..p.len()).map(|i| g[i] - p[i] * row_sum(i, &|j| g[j])).collect();
                close(&got, &want);

                let mut y = vec![T::zero(); 3];
                log_sum_exp_rows(&x, width, &mut y);
                let want: Vec<f64> =
                    wide(&x).chunks(width).map(|row| row.iter().map(|x| x.exp()).sum::<f64>().ln()).collect();
                close(&y, &want);
            });
        }
    }

    #[test]
    fn rows_agree_with_the_equations() {
        check::<f64>(1e-13);
        check::<f32>(2e-5);
    }

    #[test]
    fn every_path_gives_the_same_bits() {
        for width in WIDTHS {
            let softmaxes = || {
                let (mut x, mut y) = (values::<f32>(2 * width, 1), values::<f32>(2 * width, 1));
                softmax_rows(&mut x, width);
                log_softmax_rows(&mut y, width);
                (x, y)
            };
            let want = softmaxes();
            crate::isa::on_every_path(|| assert_eq!(softmaxes(), want));
        }
    }

    #[test]
    fn large_logits_do_not_overflow_and_nan_shows() {
        let mut x = [1e30_f32, -1e30, 0.0, 5000.0, 5001.0, 5000.0];
        let mut y = x;
        softmax_rows(&mut x, 3);
        assert!(x[0] == 1.0 && x[1] == 0.0 && (x[4] - 0.576_116_9).abs() < 1e-6);
        log_softmax_rows(&mut y, 3);
        assert!(y[0] == 0.0 && y[1] == -2e30 && (y[4] + 0.551_444_7).abs() < 1e-6);
        let mut sums = [0.0_f64; 3];
        log_sum_exp_rows(&[f64::NEG_INFINITY, f64::NEG_INFINITY, 800.0, 800.0, f64::INFINITY, 1.0], 2, &mut sums);
        assert_eq!(sums, [f64::NEG_INFINITY, 800.0 + 2.0_f64.ln(), f64::INFINITY]);
        for at in [0, 7, 19] {
            let mut x = values::<f32>(20, 1);
            x[at] = f32::NAN;
            softmax_rows(&mut x, 20);
            assert!(x.iter().all(|x| x.is_nan()));
        }
    }

    #[test]
    fn no_classes_are_no_elements() {
        softmax_rows::<f32>(&mut [], 0);
        log_softmax_rows::<f32>(&mut [], 0);
    }
}
