//! What a product is of.

use crate::Write;

/// A matrix somewhere in memory.
#[derive(Clone, Copy)]
pub(super) struct Matrix<P> {
    pub start: P,
    /// Stride from row to row.
    pub row: isize,
    /// Stride from column to column.
    pub column: isize,
}

impl<P> Matrix<P> {
    pub fn transposed(self) -> Self {
        Self { start: self.start, row: self.column, column: self.row }
    }
}

impl<T> Matrix<*const T> {
    pub fn at(self, i: usize, j: usize) -> *const T {
        self.start.wrapping_offset(i as isize * self.row + j as isize * self.column)
    }
}

impl<T> Matrix<*mut T> {
    pub fn at(self, i: usize, j: usize) -> *mut T {
        self.start.wrapping_offset(i as isize * self.row + j as isize * self.column)
    }
}

/// `C [M, N] ← A [M, K] B [K, N]`, or added to it.
#[derive(Clone, Copy)]
pub(super) struct Product<T> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: Matrix<*const T>,
    pub b: Matrix<*const T>,
    pub c: Matrix<*mut T>,
    pub write: Write,
}

impl<T> Product<T> {
    /// `Cᵀ = Bᵀ Aᵀ`.
    pub fn transposed(self) -> Self {
        Self { m: self.n, n: self.m, a: self.b.transposed(), b: self.a.transposed(), c: self.c.transposed(), ..self }
    }
}
