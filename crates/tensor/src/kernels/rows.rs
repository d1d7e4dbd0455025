//! Kernels on the rows of `x [B, W]`, row-major and without gaps; `W` is the length of the bias or of the sums.

use crate::Scalar;
use crate::kernels::Activation;
use crate::kernels::pointwise::{Pointwise, with_pointwise};
use crate::kernels::sum;

/// Below this width a row is shorter than the loops that vector code needs, and a second pass over all elements at once
/// is faster than a pass over each row.
const NARROW: usize = 32;

vectorized! {
    /// `x ← x + bias`, the bias added to each row.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows.
    pub fn add_bias<T: Scalar>(x: &mut [T], bias: &[T]) {
        check_rows(x.len(), bias.len());
        if let &[bias] = bias {
            x.iter_mut().for_each(|x| *x += bias);
            return;
        }
        for row in x.chunks_exact_mut(bias.len().max(1)) {
            for (x, &bias) in row.iter_mut().zip(bias) {
                *x += bias;
            }
        }
    }
}

/// `x ← f(x + bias)`, the bias added to each row.
///
/// # Panics
///
/// When `x` is not made of whole rows.
pub fn bias_activation<T: Scalar>(x: &mut [T], bias: &[T], activation: Activation) {
    if bias.len() < NARROW || activation == Activation::Identity {
        add_bias(x, bias);
        if activation != Activation::Identity {
            activation.forward(x);
        }
    } else {
        with_pointwise!(activation, T, bias_forward(x, bias));
    }
}

/// `x ← x + bias` and `y ← f(x)`: for the activations whose gradient needs `x`.
///
/// # Panics
///
/// When the lengths of `x` and `y` differ or they are not made of whole rows.
pub fn bias_activation_into<T: Scalar>(x: &mut [T], bias: &[T], activation: Activation, y: &mut [T]) {
    if bias.len() < NARROW {
        add_bias(x, bias);
        activation.forward_into(x, y);
    } else {
        with_pointwise!(activation, T, bias_forward_into(x, bias, y));
    }
}

vectorized! {
    fn bias_forward<P: Pointwise<T>, T: Scalar>(f: P, x: &mut [T], bias: &[T]) {
        check_rows(x.len(), bias.len());
        for row in x.chunks_exact_mut(bias.len().max(1)) {
            for (x, &bias) in row.iter_mut().zip(bias) {
                *x = f.value(*x + bias);
            }
        }
    }
}

vectorized! {
    fn bias_forward_into<P: Pointwise<T>, T: Scalar>(f: P, x: &mut [T], bias: &[T], y: &mut [T]) {
        assert_eq!(x.len(), y.len());
        check_rows(x.len(), bias.len());
        let width = bias.len().max(1);
        for (x, y) in x.chunks_exact_mut(width).zip(y.chunks_exact_mut(width)) {
            for ((x, &bias), y) in x.iter_mut().zip(bias).zip(y) {
                *x += bias;
                *y = f.value(*x);
            }
        }
    }
}

/// `sumsⱼ ← Σᵢ xᵢⱼ`: the gradient of a bias.
///
/// # Panics
///
/// When `x` is not made of whole rows.
pub fn column_sums<T: Scalar>(sums: &mut [T], x: &[T]) {
    sums.fill(T::zero());
    add_column_sums(sums, x);
}

vectorized! {
    /// `sumsⱼ ← sumsⱼ + Σᵢ xᵢⱼ`.
    ///
    /// # Panics
    ///
    /// When `x` is not made of whole rows.
    pub fn add_column_sums<T: Scalar>(sums: &mut [T], x: &[T]) {
        check_rows(x.len(), sums.len());
        if let [total] = sums {
            *total += T::of(sum(x));
            return;
        }
        let width = sums.len().max(1);
        let mut blocks = x.chunks_exact(4 * width);
        // Four rows at a time: the sums are loaded and stored once for them.
        for block in &mut blocks {
            let (upper, lower) = block.split_at(2 * width);
            let ((a, b), (c, d)) = (upper.split_at(width), lower.split_at(width));
            for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum += (a + b) + (c + d);
            }
        }
        for row in blocks.remainder().chunks_exact(width) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}

#[inline(always)]
pub(super) fn check_rows(len: usize, width: usize) {
    assert!(len.is_multiple_of(width), "{len} elements are not rows of {width}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::samples::values;

    fn shapes() -> impl Iterator<Item = (usize, usize)> {
        [0, 1, 2, 3, 4, 5, 9].into_iter().flat_map(|rows| [1, 2, 7, 10, 16, 31, 33, 64, 100].map(|width| (rows, width)))
    }

    #[test]
    fn bias_and_activation_agree_with_plain_loops() {
        for (rows, width) in shapes() {
            let (x, bias) = (values::<f32>(rows * width, 1), values::<f32>(width, 2));
            let biased: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + bias[i % width]).collect();
            for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::Tanh] {
                let mut want = biased.clone();
                activation.forward(&mut want);
                crate::isa::on_every_path(|| {
                    let mut got = x.clone();
                    add_bias(&mut got, &bias);
                    assert_eq!(got, biased);
                    let mut got = x.clone();
                    bias_activation(&mut got, &bias, activation);
                    assert_eq!(got, want, "{rows}x{width} {activation:?}");
                    let (mut kept, mut got) = (x.clone(), vec![0.0; x.len()]);
                    bias_activation_into(&mut kept, &bias, activation, &mut got);
                    assert_eq!((kept, got), (biased.clone(), want.clone()), "{rows}x{width} {activation:?}");
                });
            }
        }
    }

    #[test]
    fn column_sums_agree_with_plain_loops() {
        for (rows, width) in shapes() {
            let x = values::<f64>(rows * width, 1);
            crate::isa::on_every_path(|| {
                let mut got = vec![f64::NAN; width];
                column_sums(&mut got, &x);
                add_column_sums(&mut got, &x);
                for (j, got) in got.iter().enumerate() {
                    let want: f64 = (0..rows).map(|i| 2.0 * x[i * width + j]).sum();
                    assert!((got - want).abs() < 1e-12, "{rows}x{width}, column {j}: {got}, not {want}");
                }
            });
        }
    }

    #[test]
    fn no_columns_are_no_elements() {
        add_bias::<f32>(&mut [], &[]);
        column_sums::<f32>(&mut [], &[]);
    }

    #[test]
    #[should_panic(expected = "5 elements are not rows of 2")]
    fn broken_rows_are_refused() {
        add_bias(&mut [0.0_f32; 5], &[1.0, 2.0]);
    }
}
