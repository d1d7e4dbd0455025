//! The innermost loops, written once for registers of any size.

use crate::Scalar;
use crate::matmul::lanes::Lanes;

/// A tile of `C [M, N]`: `C ← A B`, or `C ← C + A B`. `N` is a whole number of registers in `B`.
pub(super) struct Tile<T> {
    /// `K`.
    pub depth: usize,
    /// Strides of `A` from row to row and from column to column.
    pub a: *const T,
    pub a_row: isize,
    pub a_column: isize,
    /// The rows of `B` and of `C` are without gaps.
    pub b: *const T,
    pub b_row: isize,
    pub c: *mut T,
    pub c_row: isize,
    /// How many numbers of the last register in a row are stored.
    pub last: usize,
    pub store: Store,
}

/// What becomes of the old values of `C`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Store {
    /// They are not read.
    Assign,
    /// The product is added to them.
    Add,
}

/// A block of `C [M, N]`: `C ← A B`, or `C ← C + A B`, where the rows of `A` and the columns of `B` are without gaps.
pub(super) struct Dots<T> {
    /// `K`.
    pub depth: usize,
    pub a: *const T,
    pub a_row: isize,
    pub b: *const T,
    pub b_column: isize,
    pub c: *mut T,
    pub c_row: isize,
    pub c_column: isize,
    pub store: Store,
}

/// `C [M, N] ← A [M, 1] B [1, N]`, or added to it, where the rows of `B` and `C` are without gaps.
pub(super) struct Outer<T> {
    pub m: usize,
    pub n: usize,
    pub a: *const T,
    pub a_row: isize,
    pub b: *const T,
    pub c: *mut T,
    pub c_row: isize,
    pub store: Store,
}

/// Copies a matrix `B [rows, columns]`, of which the rows or the columns are without gaps, to the rows of a panel.
pub(super) struct Packing<T> {
    pub rows: usize,
    pub columns: usize,
    pub from: *const T,
    /// The stride that is not one.
    pub from_stride: isize,
    pub to: *mut T,
    pub to_row: usize,
}

/// # Safety
///
/// The processor has `V`'s instruction set; `A [M, depth]`, `B [depth, N]`, `C [M, N]` are valid for their accesses.
#[inline(always)]
pub(super) unsafe fn tile<T: Scalar, V: Lanes<T>, const M: usize, const N: usize>(tile: &Tile<T>) {
    // SAFETY: every access is to an element of A, B or C.
    unsafe {
        let zero = V::splat(T::zero());
        let mut sums = [[zero; N]; M];
        let (mut a, mut b) = (tile.a, tile.b);
        for _ in 0..tile.depth {
            let mut row = [zero; N];
            for (j, row) in row.iter_mut().enumerate() {
                *row = V::load(b.add(j * V::COUNT));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = V::splat(*a.offset(i as isize * tile.a_row));
                for (sum, row) in sums.iter_mut().zip(row) {
                    *sum = x.multiply_add(row, *sum);
                }
            }
            a = a.wrapping_offset(tile.a_column);
            b = b.wrapping_offset(tile.b_row);
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let c = tile.c.offset(i as isize * tile.c_row);
            for (j, sum) in sums.into_iter().enumerate() {
                let c = c.add(j * V::COUNT);
                let partial = j == N - 1 && tile.last < V::COUNT;
                match (tile.store, partial) {
                    (Store::Assign, false) => sum.store(c),
                    (Store::Add, false) => V::load(c).add(sum).store(c),
                    (Store::Assign, true) => sum.store_some(c, tile.last),
                    (Store::Add, true) => V::load_some(c, tile.last).add(sum).store_some(c, tile.last),
                }
            }
        }
    }
}

/// # Safety
///
/// The processor has `V`'s instruction set; `A [M, depth]`, `B [depth, N]`, `C [M, N]` are valid for their accesses.
#[inline(always)]
pub(super) unsafe fn dots<T: Scalar, V: Lanes<T>, const M: usize, const N: usize>(dots: &Dots<T>) {
    // SAFETY: every access is to an element of A, B or C.
    unsafe {
        let zero = V::splat(T::zero());
        let mut sums = [[zero; N]; M];
        let whole = dots.depth / V::COUNT * V::COUNT;
        let mut k = 0;
        while k < dots.depth {
            let count = V::COUNT.min(dots.depth - k);
            let load = |from: *const T| if k < whole { V::load(from) } else { V::load_some(from, count) };
            let mut columns = [zero; N];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = load(dots.b.offset(j as isize * dots.b_column).add(k));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = load(dots.a.offset(i as isize * dots.a_row).add(k));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = x.multiply_add(column, *sum);
                }
            }
            k += V::COUNT;
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (j, sum) in sums.into_iter().enumerate() {
                let c = dots.c.offset(i as isize * dots.c_row + j as isize * dots.c_column);
                match dots.store {
                    Store::Assign => *c = sum.total(),
                    Store::Add => *c += sum.total(),
                }
            }
        }
    }
}

/// # Safety
///
/// The processor has `V`'s instruction set; `A`, `B` and `C` are valid for their accesses.
#[inline(always)]
pub(super) unsafe fn outer<T: Scalar, V: Lanes<T>>(outer: &Outer<T>) {
    // SAFETY: every access is to an element of A, B or C.
    unsafe {
        let zero = V::splat(T::zero());
        for i in 0..outer.m {
            let x = V::splat(*outer.a.offset(i as isize * outer.a_row));
            let row = outer.c.offset(i as isize * outer.c_row);
            for j in (0..outer.n).step_by(V::COUNT) {
                let (b, c, count) = (outer.b.add(j), row.add(j), outer.n - j);
                match (outer.store, count < V::COUNT) {
                    (Store::Assign, false) => x.multiply_add(V::load(b), zero).store(c),
                    (Store::Add, false) => V::load(c).add(x.multiply_add(V::load(b), zero)).store(c),
                    (Store::Assign, true) => x.multiply_add(V::load_some(b, count), zero).store_some(c, count),
                    (Store::Add, true) => {
                        V::load_some(c, count).add(x.multiply_add(V::load_some(b, count), zero)).store_some(c, count);
                    }
                }
            }
        }
    }
}

/// # Safety
///
/// The processor has `V`'s instruction set; `from` is valid for reads and the panel for writes.
#[inline(always)]
pub(super) unsafe fn pack_rows<T: Scalar, V: Lanes<T>>(packing: &Packing<T>) {
    let (mut from, mut to) = (packing.from, packing.to);
    let whole = packing.columns / V::COUNT * V::COUNT;
    for _ in 0..packing.rows {
        // SAFETY: within both.
        unsafe {
            for j in (0..whole).step_by(V::COUNT) {
                V::load(from.add(j)).store(to.add(j));
            }
            if whole < packing.columns {
                V::load_some(from.add(whole), packing.columns - whole).store(to.add(whole));
            }
        }
        from = from.wrapping_offset(packing.from_stride);
        to = to.wrapping_add(packing.to_row);
    }
}

/// # Safety
///
/// `from` is valid for reads and the panel for writes.
#[inline(always)]
pub(super) unsafe fn pack_columns<T: Scalar>(packing: &Packing<T>) {
    for j in 0..packing.columns {
        for p in 0..packing.rows {
            // SAFETY: within both.
            unsafe {
                *packing.to.add(p * packing.to_row + j) = *packing.from.offset(j as isize * packing.from_stride).add(p)
            };
        }
    }
}
