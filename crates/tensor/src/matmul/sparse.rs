//! Products whose left operand has many zeros, as ReLU and dropout leave them: what they are multiplied with is skipped.
//!
//! `0 · ∞` and `0 · NaN` are NaN, so zeros are skipped only against panels of `B` in which everything is finite. Each
//! panel is checked after it was packed, while it is in the first-level cache.

use crate::kernels::all_finite;
use crate::matmul::kernel::{Nonzeros, Sparse};
use crate::matmul::pack::pack_panel;
use crate::matmul::product::{Matrix, Product};
use crate::matmul::sets::Kernels;
use crate::parts::{parts, share};
use crate::transpose::Transposition;
use crate::{Scalar, Write, vectorized};

/// Rows of `A` of which the numbers that are not zero are listed at once.
const ROWS: usize = 256;
/// Rows of `B` that stay in the first-level cache, 32 KiB at most, while all listed rows of `A` pass.
const DEPTH: usize = 64;
/// Below so many rows, depth or registers in a row of `C` the lists cost more than they spare.
const FEWEST: usize = 16;
const FEWEST_REGISTERS: usize = 4;
/// How many rows (or columns, where those have no gaps) of `A` are looked at for zeros.
const SAMPLES: usize = 16;
/// The part of `A` that must be zero; where less is, dense tiles are as fast.
const ZEROS: f64 = 0.3;

/// How the columns of a product are cut, and the memory that it takes.
pub(super) struct SparseCut {
    /// Columns of `B` packed at once.
    width: usize,
    /// Elements of a list of one row.
    stride: usize,
    /// Rows of `A` that are listed at once.
    rows: usize,
    /// Whether the rows of `A` must be copied because its columns are those without gaps.
    transpose: bool,
    value_bytes: usize,
}

impl SparseCut {
    /// `None` for products of which zeros could not be spared with profit.
    pub fn new<T: Scalar>(kernels: &Kernels<T>, p: &Product<T>) -> Option<Self> {
        let registers = p.n.div_ceil(kernels.lanes);
        let lies_well = (p.a.column == 1 || p.a.row == 1) && p.c.column == 1;
        let large = p.m >= FEWEST && p.k >= FEWEST && registers >= FEWEST_REGISTERS;
        (lies_well && large).then(|| Self {
            width: share(registers, kernels.sparse.len()) * kernels.lanes,
            stride: DEPTH + kernels.lanes,
            rows: p.m.min(ROWS),
            transpose: p.a.column != 1,
            value_bytes: size_of::<T>(),
        })
    }

    /// Elements that [`multiply`] needs: for a block of `B`, one of `A`, the numbers that are not zero, and where they
    /// are.
    pub fn buffer_lens(&self) -> [usize; 4] {
        let indices = (self.rows * (self.stride + 1) * size_of::<u32>()).div_ceil(self.value_bytes);
        let rows = if self.transpose { self.rows * DEPTH } else { 0 };
        [DEPTH * self.width, rows, self.rows * self.stride, indices]
    }
}

/// Whether enough of `A` is zero, as far as some of its rows (or columns) tell.
///
/// # Safety
///
/// `A` is valid for reads, and its rows or its columns are without gaps.
pub(super) unsafe fn has_many_zeros<T: Scalar>(p: &Product<T>) -> bool {
    let (a, lines, len) = if p.a.column == 1 { (p.a, p.m, p.k) } else { (p.a.transposed(), p.k, p.m) };
    let (mut seen, mut zeros) = (0, 0);
    for line in (0..lines).step_by(lines.div_ceil(SAMPLES)) {
        // SAFETY: a line of A.
        let line = unsafe { std::slice::from_raw_parts(a.at(line, 0), len) };
        seen += len;
        zeros += count_zeros(line);
    }
    zeros as f64 >= ZEROS * seen as f64
}

vectorized! {
    fn count_zeros<T: Scalar>(x: &[T]) -> usize {
        x.chunks(128).map(|x| usize::from(x.iter().map(|&x| u8::from(x == T::zero())).sum::<u8>())).sum()
    }
}

/// # Safety
///
/// The three matrices are valid for their accesses and `C` overlaps neither other; the kernels are this processor's.
pub(super) unsafe fn multiply<T: Scalar>(kernels: &Kernels<T>, cut: &SparseCut, p: Product<T>, buffers: [&mut [T]; 4]) {
    let mut scratch = Scratch::new(cut, buffers);
    for i in (0..p.m).step_by(cut.rows) {
        let m = cut.rows.min(p.m - i);
        for (k, depth) in parts(p.k, DEPTH) {
            let write = if k == 0 { p.write } else { Write::Add };
            // SAFETY: the blocks lie within the matrices.
            unsafe {
                let a = Matrix { start: p.a.at(i, k), ..p.a };
                scratch.list(kernels, cut, a, m, depth);
                for j in (0..p.n).step_by(cut.width) {
                    let n = cut.width.min(p.n - j);
                    let b = Matrix { start: p.b.at(k, j), ..p.b };
                    scratch.multiply(kernels, cut, [a, b], Matrix { start: p.c.at(i, j), ..p.c }, [m, depth, n], write);
                }
            }
        }
    }
}

/// The buffers.
struct Scratch<'a, T> {
    /// A block of `B`.
    panel: &'a mut [T],
    /// A block of `A` by rows, where it lies by columns.
    rows: &'a mut [T],
    values: &'a mut [T],
    columns: &'a mut [u32],
    counts: &'a mut [u32],
    /// What the lists of the present block have.
    listed: Listed,
}

#[derive(Clone, Copy, PartialEq)]
enum Listed {
    Nonzeros,
    Everything,
}

impl<'a, T: Scalar> Scratch<'a, T> {
    fn new(cut: &SparseCut, [panel, rows, values, indices]: [&'a mut [T]; 4]) -> Self {
        // SAFETY: any bits are a u32, and any bits are an f32 or f64 (`Scalar` is sealed).
        let (_, indices, _) = unsafe { indices.align_to_mut::<u32>() };
        let (columns, counts) = indices.split_at_mut(cut.rows * cut.stride);
        Self { panel, rows, values, columns, counts, listed: Listed::Nonzeros }
    }

    /// Lists what is not zero in `a [m, depth]`.
    ///
    /// # Safety
    ///
    /// `a` is valid for reads; the kernels are this processor's.
    unsafe fn list(&mut self, kernels: &Kernels<T>, cut: &SparseCut, a: Matrix<*const T>, m: usize, depth: usize) {
        let a = if cut.transpose {
            let transposition = Transposition {
                rows: depth,
                columns: m,
                from: a.start,
                from_row: a.column,
                to: self.rows.as_mut_ptr(),
                to_row: DEPTH as isize,
                write: Write::Assign,
            };
            // SAFETY: `m` rows of `depth` numbers are read and written.
            unsafe { (kernels.transpose)(&transposition) };
            Matrix { start: self.rows.as_ptr(), row: DEPTH as isize, column: 1 }
        } else {
            a
        };
        let lists = self.values.chunks_exact_mut(cut.stride).zip(self.columns.chunks_exact_mut(cut.stride));
        for (i, ((values, columns), count)) in lists.zip(&mut *self.counts).take(m).enumerate() {
            // SAFETY: a row of the block; the lists have room for a register more than its `depth` numbers.
            *count = unsafe {
                let row = std::slice::from_raw_parts(a.at(i, 0), depth);
                (kernels.nonzeros)(row, values, columns)
            } as u32;
        }
        self.listed = Listed::Nonzeros;
    }

    /// Lists everything in `a [m, depth]`, zeros too.
    ///
    /// # Safety
    ///
    /// `a` is valid for reads.
    unsafe fn list_everything(&mut self, cut: &SparseCut, a: Matrix<*const T>, m: usize, depth: usize) {
        let lists = self.values.chunks_exact_mut(cut.stride).zip(self.columns.chunks_exact_mut(cut.stride));
        for (i, (values, columns)) in lists.take(m).enumerate() {
            for (k, (value, column)) in values.iter_mut().zip(columns).take(depth).enumerate() {
                // SAFETY: an element of the block.
                (*value, *column) = (unsafe { *a.at(i, k) }, k as u32);
            }
        }
        self.counts[..m].fill(depth as u32);
        self.listed = Listed::Everything;
    }

    /// Multiplies the listed block of `A`, which is `a [m, depth]`, with `b [depth, n]`.
    ///
    /// # Safety
    ///
    /// `a`, `b` and `c [m, n]` are valid for their accesses; the kernels are this processor's.
    unsafe fn multiply(
        &mut self,
        kernels: &Kernels<T>,
        cut: &SparseCut,
        [a, b]: [Matrix<*const T>; 2],
        c: Matrix<*mut T>,
        [m, depth, n]: [usize; 3],
        write: Write,
    ) {
        let registers = n.div_ceil(kernels.lanes);
        let width = registers * kernels.lanes;
        // SAFETY: the caller's promise.
        unsafe {
            let panel = &mut self.panel[..width * depth];
            pack_panel(kernels, panel, b, depth, n, width);
            // The same bits come of either list where everything is finite, so it need not be listed anew for later panels.
            if self.listed == Listed::Nonzeros && !all_finite(panel) {
                self.list_everything(cut, a, m, depth);
            }
        }
        let a = Nonzeros { stride: cut.stride, values: self.values, columns: self.columns, counts: &self.counts[..m] };
        let last = n - (registers - 1) * kernels.lanes;
        let sparse = Sparse { a: &a, b: self.panel.as_ptr(), c: c.start, c_row: c.row, last, write };
        // SAFETY: the columns are below `depth`, of which the panel has rows, and `c` has `m` rows of `n` numbers.
        unsafe { (kernels.sparse[registers - 1])(&sparse) };
    }
}
