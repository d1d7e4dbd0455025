use gemm::Parallelism;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::Scalar;

/// `C ← A B + β C`, on one thread, for any strides.
///
/// With `β = 0` what `C` held is not read.
///
/// # Shapes
///
/// `A [M, K]`, `B [K, N]`, `C [M, N]`; a transpose is a view ([`ArrayView2::reversed_axes`]).
///
/// # Panics
///
/// When the shapes do not fit.
pub fn matmul<T: Scalar>(mut c: ArrayViewMut2<'_, T>, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, beta: T) {
    let (m, k) = a.dim();
    let n = b.ncols();
    assert!(b.nrows() == k && c.dim() == (m, n), "matmul: {:?} x {:?} into {:?}", a.dim(), b.dim(), c.dim());
    let (cs, as_, bs) = (strides(c.strides()), strides(a.strides()), strides(b.strides()));
    // SAFETY: the views prove that every element reached by these shapes and strides is valid for its access, and `c`
    // is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            cs.1,
            cs.0,
            beta != T::zero(),
            a.as_ptr(),
            as_.1,
            as_.0,
            b.as_ptr(),
            bs.1,
            bs.0,
            beta,
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

fn strides(s: &[isize]) -> (isize, isize) {
    (s[0], s[1])
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};

    use super::*;

    fn reference(c: &mut Array2<f64>, a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>, beta: f64) {
        for ((i, j), out) in c.indexed_iter_mut() {
            let sum: f64 = (0..a.ncols()).map(|k| a[[i, k]] * b[[k, j]]).sum();
            *out = sum + if beta == 0.0 { 0.0 } else { beta * *out };
        }
    }

    fn filled(rows: usize, columns: usize, salt: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 31 + j * 17 + salt) % 23) as f64 - 11.0)
    }

    #[test]
    fn agrees_with_the_three_loops_for_every_orientation() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 2), (17, 1, 33), (64, 70, 65), (1, 40, 9), (130, 3, 1)] {
            for orientation in 0..4 {
                let a = filled(if orientation & 1 == 0 { m } else { k }, if orientation & 1 == 0 { k } else { m }, 1);
                let b = filled(if orientation & 2 == 0 { k } else { n }, if orientation & 2 == 0 { n } else { k }, 2);
                let a = if orientation & 1 == 0 { a.view() } else { a.t() };
                let b = if orientation & 2 == 0 { b.view() } else { b.t() };
                for beta in [0.0, 1.0] {
                    let mut got = filled(m, n, 3);
                    let mut want = got.clone();
                    matmul(got.view_mut(), a, b, beta);
                    reference(&mut want, a, b, beta);
                    assert_eq!(got, want, "{m}x{k}x{n}, orientation {orientation}, beta {beta}");
                }
            }
        }
    }

    #[test]
    fn beta_zero_does_not_read_the_old_values() {
        let a = filled(2, 2, 0);
        let mut c = Array2::from_elem((4, 4), f64::NAN);
        matmul(c.slice_mut(s![1..3, 1..3]), a.view(), a.view(), 0.0);
        assert!(c.slice(s![1..3, 1..3]).iter().all(|x| x.is_finite()));
        assert!(c[[0, 0]].is_nan());
    }
}
