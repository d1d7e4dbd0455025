//! Matrix products on one thread, without allocation.

mod blocks;
mod cut;
mod kernel;
mod lanes;
mod pack;
mod product;
mod sets;
mod sparse;
#[cfg(target_arch = "x86_64")]
mod x86;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::Scalar;
use crate::matmul::kernel::Store;
use crate::matmul::product::{Matrix, Product};
pub(crate) use crate::matmul::sets::Multiply;

/// `C ← A B + β C`, on one thread, for any strides.
///
/// With `β = 0` what `C` held is not read. Nothing is allocated, except that the first product on a thread makes its
/// buffer of a megabyte. The same operands on the same processor give the same bits; with more than four rows in `A`, a
/// row of `C` is also independent of how many rows there are.
///
/// Where two fifths of `A` or more are zero, as after ReLU, they are passed over, which makes no difference but in
/// speed: half of `A` zero takes about 0.7 of the time. What a zero would be multiplied with is then not looked at, so
/// that `0 ∞` counts as 0.
///
/// # Shapes
///
/// `A [M, K]`, `B [K, N]`, `C [M, N]`; a transpose is a view ([`ArrayView2::reversed_axes`]).
///
/// # Example
///
/// ```
/// use tidemill_tensor::matmul;
/// use tidemill_tensor::ndarray::{Array2, array};
///
/// let (x, weight) = (array![[1.0_f32, 2.0]], array![[3.0, 4.0], [5.0, 6.0]]);
/// let mut y = Array2::zeros((1, 2));
/// matmul(y.view_mut(), x.view(), weight.t(), 0.0);
/// assert_eq!(y, array![[11.0, 17.0]]);
/// ```
///
/// # Panics
///
/// When the shapes do not fit.
///
/// # References
///
/// K. Goto, R. van de Geijn, *Anatomy of high-performance matrix multiplication*, 2008 (the blocks and the packing).
pub fn matmul<T: Scalar>(mut c: ArrayViewMut2<'_, T>, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, beta: T) {
    let (m, k) = a.dim();
    let n = b.ncols();
    assert!(b.nrows() == k && c.dim() == (m, n), "matmul: {:?} x {:?} into {:?}", a.dim(), b.dim(), c.dim());
    if m == 0 || n == 0 {
        return;
    }
    if beta == T::zero() && k == 0 {
        c.fill(T::zero());
    } else if beta != T::zero() && beta != T::one() {
        c.mapv_inplace(|c| beta * c);
    }
    if k == 0 {
        return;
    }
    let store = if beta == T::zero() { Store::Assign } else { Store::Add };
    let matrix = |start, strides: &[isize]| Matrix { start, row: strides[0], column: strides[1] };
    let product = Product {
        m,
        k,
        n,
        a: matrix(a.as_ptr(), a.strides()),
        b: matrix(b.as_ptr(), b.strides()),
        c: Matrix { start: c.as_mut_ptr(), row: c.strides()[0], column: c.strides()[1] },
        store,
    };
    // SAFETY: the views prove that every element reached by these shapes and strides is valid for its access, and `c`
    // is borrowed alone.
    unsafe { blocks::multiply(product) };
}

#[cfg(test)]
mod tests;
