//! Copies of blocks of the operands, laid out as the kernels read them.

use crate::matmul::cut::Cut;
use crate::matmul::kernel::Packing;
use crate::matmul::product::Matrix;
use crate::matmul::sets::Kernels;
use crate::transpose::Transposition;
use crate::{Scalar, Write};

/// Copies `a [m, depth]`, whose columns are without gaps but far apart.
///
/// # Safety
///
/// `a` is valid for reads.
pub(super) unsafe fn gather<T: Scalar>(to: &mut [T], a: Matrix<*const T>, m: usize, depth: usize) -> Matrix<*const T> {
    for (k, column) in to.chunks_exact_mut(m).take(depth).enumerate() {
        // SAFETY: the reads are from elements of a.
        column.copy_from_slice(unsafe { std::slice::from_raw_parts(a.at(0, k), m) });
    }
    Matrix { start: to.as_ptr(), row: 1, column: m as isize }
}

/// Copies `b [depth, n]` to panels, each a row of `cut.width` numbers for each `k`, padded with zeros.
///
/// # Safety
///
/// `b` is valid for reads.
pub(super) unsafe fn pack<T: Scalar>(
    kernels: &Kernels<T>,
    to: &mut [T],
    cut: &Cut,
    b: Matrix<*const T>,
    depth: usize,
    n: usize,
) {
    let width = cut.width;
    for (to, j) in to.chunks_exact_mut(width * depth).zip((0..n).step_by(width)) {
        let n = width.min(n - j);
        if cut.copy_b || !n.is_multiple_of(kernels.lanes) {
            // SAFETY: the panel lies within B.
            unsafe { pack_panel(kernels, to, Matrix { start: b.at(0, j), ..b }, depth, n, width) };
        }
    }
}

/// Copies `b [depth, n]` to rows of `width` numbers, padded with zeros to whole registers.
///
/// # Safety
///
/// `b` is valid for reads.
pub(super) unsafe fn pack_panel<T: Scalar>(
    kernels: &Kernels<T>,
    to: &mut [T],
    b: Matrix<*const T>,
    depth: usize,
    n: usize,
    width: usize,
) {
    if n < width && b.column != 1 {
        to.fill(T::zero());
    }
    // SAFETY: the reads are from elements of b, the writes to the panel.
    unsafe {
        let (from, start) = (b.start, to.as_mut_ptr());
        if b.column == 1 {
            let packing = Packing { rows: depth, columns: n, from, from_row: b.row, to: start, to_row: width };
            return (kernels.pack_rows)(&packing);
        }
        if b.row == 1 {
            let (rows, columns, from_row, write) = (n, depth, b.column, Write::Assign);
            let to_row = width as isize;
            let transposition = Transposition { rows, columns, from, from_row, to: start, to_row, write };
            return (kernels.transpose)(&transposition);
        }
        for (k, row) in to.chunks_exact_mut(width).enumerate() {
            for (j, x) in row[..n].iter_mut().enumerate() {
                *x = *b.at(k, j);
            }
        }
    }
}
