//! Matrix products on one thread, without allocation.

mod blocks;
mod cut;
mod kernel;
mod nonzeros;
mod pack;
mod product;
mod sets;
mod sparse;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::matmul::product::{Matrix, Product};
pub(crate) use crate::matmul::sets::Multiply;
use crate::{Scalar, Write};

/// `C ← A B + β C`, on one thread, for any strides.
///
/// With `β = 0` what `C` held is not read. Nothing is allocated, except that the first product on a thread makes its
/// buffer of a megabyte. The same operands on the same processor give the same bits; with more than four rows in `A`, a
/// row of `C` is also independent of how many rows there are.
///
/// Where three tenths of `A` or more are zero, as after ReLU, they are skipped, which makes no difference but in speed:
/// half of `A` zero takes about 0.7 of the time. They are not skipped against blocks of `B` that hold an infinity or a
/// NaN: `0 ∞` is NaN, however many zeros there are, and whatever lies beside them.
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
    if beta != T::zero() && beta != T::one() {
        c.mapv_inplace(|c| beta * c);
    }
    if k == 0 && beta == T::zero() {
        c.fill(T::zero());
    }
    let matrix = |start, strides: &[isize]| Matrix { start, row: strides[0], column: strides[1] };
    let product = Product {
        m,
        k,
        n,
        a: matrix(a.as_ptr(), a.strides()),
        b: matrix(b.as_ptr(), b.strides()),
        c: Matrix { start: c.as_mut_ptr(), row: c.strides()[0], column: c.strides()[1] },
        write: if beta == T::zero() { Write::Assign } else { Write::Add },
    };
    // SAFETY: the views prove that every element reached by these shapes and strides is valid for its access, and `c`
    // is borrowed alone.
    unsafe { blocks::multiply(product) };
}

/// A matrix whose rows lie one behind the other in a slice, or the transpose of one: what [`multiply`] takes.
#[derive(Clone, Copy, Debug)]
pub struct RowMajor<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row: isize,
    column: isize,
}

impl<'a, T> RowMajor<'a, T> {
    /// The matrix of so many rows and columns.
    ///
    /// # Panics
    ///
    /// When the slice has another number of elements.
    #[inline]
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        let fits = rows.checked_mul(columns) == Some(values.len());
        assert!(fits, "{} elements are not {rows} rows of {columns}", values.len());
        Self { values, rows, columns, row: columns as isize, column: 1 }
    }

    /// The transpose, of the same numbers.
    #[inline]
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }

    fn matrix(&self) -> Matrix<*const T> {
        Matrix { start: self.values.as_ptr(), row: self.row, column: self.column }
    }
}

/// As [`matmul`], for matrices in slices: `C [M, N]` lies row by row, and the product overwrites it or is added
/// to it. Where products are small this costs less than the views of arrays.
///
/// # Example
///
/// ```
/// use tidemill_tensor::{RowMajor, Write, multiply};
///
/// let (x, weight) = ([1.0_f32, 2.0], [3.0, 4.0, 5.0, 6.0]);
/// let mut y = [0.0; 2];
/// multiply(&mut y, RowMajor::new(&x, 1, 2), RowMajor::new(&weight, 2, 2).t(), Write::Assign);
/// assert_eq!(y, [11.0, 17.0]);
/// ```
///
/// # Panics
///
/// When the shapes do not fit.
pub fn multiply<T: Scalar>(c: &mut [T], a: RowMajor<'_, T>, b: RowMajor<'_, T>, write: Write) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    let fits = b.rows == k && m.checked_mul(n) == Some(c.len());
    assert!(fits, "multiply: [{m}, {k}] x [{}, {n}] into {} elements", b.rows, c.len());
    if k == 0 {
        write.begin(c);
    }
    let c = Matrix { start: c.as_mut_ptr(), row: n as isize, column: 1 };
    // SAFETY: the slices have as many elements as the shapes say, and `c` is borrowed alone.
    unsafe { blocks::multiply(Product { m, k, n, a: a.matrix(), b: b.matrix(), c, write }) };
}

#[cfg(test)]
mod tests;
