//! The innermost loops, written once for registers of any size.

use crate::lanes::Lanes;
use crate::{Scalar, Write};

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
    pub write: Write,
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
    pub write: Write,
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
    pub write: Write,
}

/// `C [M, N] ← A B`, or `C ← C + A B`, of the numbers in `A` that are not zero. `N` is a whole number of registers in
/// `B`, whose rows lie one behind the other.
pub(super) struct Sparse<'a, T> {
    /// What is not zero in each row of `A`.
    pub a: &'a Nonzeros<'a, T>,
    pub b: *const T,
    pub c: *mut T,
    pub c_row: isize,
    /// How many numbers of the last register in a row are stored.
    pub last: usize,
    pub write: Write,
}

/// The numbers of a matrix that are not zero, row by row.
pub(super) struct Nonzeros<'a, T> {
    /// Numbers and columns of a row begin so many elements behind those of the row before.
    pub stride: usize,
    pub values: &'a [T],
    pub columns: &'a [u32],
    /// How many there are in each row.
    pub counts: &'a [u32],
}

/// Copies a matrix `B [rows, columns]`, of which the rows are without gaps, to the rows of a panel.
pub(super) struct Packing<T> {
    pub rows: usize,
    pub columns: usize,
    pub from: *const T,
    pub from_row: isize,
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
        if tile.write == Write::Add {
            for (i, sums) in sums.iter_mut().enumerate() {
                let c = tile.c.offset(i as isize * tile.c_row);
                for (j, sum) in sums.iter_mut().enumerate() {
                    let c = c.add(j * V::COUNT);
                    let partial = j == N - 1 && tile.last < V::COUNT;
                    *sum = if partial { V::load_some(c, tile.last) } else { V::load(c) };
                }
            }
        }
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
                if j == N - 1 && tile.last < V::COUNT { sum.store_some(c, tile.last) } else { sum.store(c) }
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
                match dots.write {
                    Write::Assign => *c = sum.total(),
                    Write::Add => *c += sum.total(),
                }
            }
        }
    }
}

/// The products of a row are summed in the order of `k`, as [`tile`] sums them, so that the same bits come of it.
///
/// # Safety
///
/// The processor has `V`'s instruction set; `B` has a row for each column that is named, `C [M, N]` is valid.
#[inline(always)]
pub(super) unsafe fn sparse<T: Scalar, V: Lanes<T>, const N: usize>(sparse: &Sparse<'_, T>) {
    let Nonzeros { stride, values, columns, counts } = *sparse.a;
    // SAFETY: every access is to an element of A, B or C.
    unsafe {
        let partial = sparse.last < V::COUNT;
        for (i, &count) in counts.iter().enumerate() {
            let c = sparse.c.offset(i as isize * sparse.c_row);
            let mut sums = [V::splat(T::zero()); N];
            if sparse.write == Write::Add {
                for (j, sum) in sums.iter_mut().enumerate() {
                    let c = c.add(j * V::COUNT);
                    *sum = if partial && j == N - 1 { V::load_some(c, sparse.last) } else { V::load(c) };
                }
            }
            let (values, columns) = (values.as_ptr().add(i * stride), columns.as_ptr().add(i * stride));
            for k in 0..count as usize {
                let x = V::splat(*values.add(k));
                let row = sparse.b.add(*columns.add(k) as usize * (N * V::COUNT));
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = x.multiply_add(V::load(row.add(j * V::COUNT)), *sum);
                }
            }
            for (j, sum) in sums.into_iter().enumerate() {
                let c = c.add(j * V::COUNT);
                if partial && j == N - 1 { sum.store_some(c, sparse.last) } else { sum.store(c) }
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
                match (outer.write, count < V::COUNT) {
                    (Write::Assign, false) => x.multiply_add(V::load(b), zero).store(c),
                    (Write::Add, false) => x.multiply_add(V::load(b), V::load(c)).store(c),
                    (Write::Assign, true) => x.multiply_add(V::load_some(b, count), zero).store_some(c, count),
                    (Write::Add, true) => {
                        x.multiply_add(V::load_some(b, count), V::load_some(c, count)).store_some(c, count);
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
        from = from.wrapping_offset(packing.from_row);
        to = to.wrapping_add(packing.to_row);
    }
}
