//! Transposition of matrices.

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use std::ops::Range;

use crate::{Scalar, Write};

/// `to[j, i] ← from[i, j]`, or added to it, for `rows × columns` numbers; the two do not overlap.
pub(crate) struct Transposition<T> {
    pub rows: usize,
    pub columns: usize,
    pub from: *const T,
    pub from_row: isize,
    pub to: *mut T,
    pub to_row: isize,
    pub write: Write,
}

/// # Safety
///
/// `from` is valid for reads, `to` for writes, and for reads where it is added to.
#[inline(always)]
pub(crate) unsafe fn portable<T: Scalar>(t: &Transposition<T>) {
    // SAFETY: the caller's promise.
    unsafe { rest(t, 0..t.rows, 0..t.columns) };
}

/// Element by element.
///
/// # Safety
///
/// As for [`portable`]; rows and columns are the transposition's.
#[inline(always)]
unsafe fn rest<T: Scalar>(t: &Transposition<T>, rows: Range<usize>, columns: Range<usize>) {
    for i in rows {
        for j in columns.clone() {
            // SAFETY: within both.
            unsafe {
                let (x, to) =
                    (*t.from.offset(i as isize * t.from_row).add(j), t.to.offset(j as isize * t.to_row + i as isize));
                match t.write {
                    Write::Assign => *to = x,
                    Write::Add => *to += x,
                }
            }
        }
    }
}
