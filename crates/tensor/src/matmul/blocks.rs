//! The loops around the kernels: which block of which operand is taken when.

use std::mem::MaybeUninit;

use crate::matmul::cut::Cut;
use crate::matmul::kernel::{Dots, Outer, Tile};
use crate::matmul::pack::{gather, pack};
use crate::matmul::product::{Matrix, Product};
use crate::matmul::sets::{Kernels, TILE_ELEMENTS};
use crate::matmul::sparse::{self, SparseCut, has_many_zeros};
use crate::scratch::{LEAST_BYTES, with_scratch};
use crate::transpose::Transposition;
use crate::{Scalar, Write};

/// Up to so many rows of `A` or columns of `B` that lie without gaps, dot products are faster than tiles.
const FEW: usize = 4;

/// Where there is nothing to add up, `C` stays as it is.
///
/// # Safety
///
/// The three matrices are valid for their accesses and `C` overlaps neither other.
pub(super) unsafe fn multiply<T: Scalar>(p: Product<T>) {
    if p.m == 0 || p.n == 0 || p.k == 0 {
        return;
    }
    let kernels = T::kernels();
    let along_depth = p.a.column == 1 && p.b.row == 1;
    // SAFETY: the caller's promise.
    unsafe {
        if p.k == 1 && p.b.column == 1 && p.c.column == 1 {
            let Product { m, n, a, b, c, write, .. } = p;
            (kernels.outer)(&Outer { m, n, a: a.start, a_row: a.row, b: b.start, c: c.start, c_row: c.row, write });
        } else if along_depth && (p.m <= FEW || p.n <= FEW) {
            dots(kernels, p);
        } else if let Some(cut) = SparseCut::new(kernels, &p).filter(|_| has_many_zeros(&p)) {
            with_buffers(cut.buffer_lens(), |buffers| sparse::multiply(kernels, &cut, p, buffers));
        } else if (p.c.column != 1 && p.c.row == 1) || (p.n == 1 && p.a.row == 1) || is_lighter_transposed(&p) {
            tiles(kernels, p.transposed());
        } else {
            tiles(kernels, p);
        }
    }
}

/// Whether less would be copied of `Bᵀ` and `Cᵀ` than of a `B` that must be turned round to be read by rows.
fn is_lighter_transposed<T>(p: &Product<T>) -> bool {
    let (turned, result) = (p.m * p.k, p.m * p.n);
    p.a.column == 1 && p.b.column != 1 && p.b.row == 1 && 2 * (turned + result) < p.n * p.k
}

/// # Safety
///
/// As [`multiply`]; the rows of `A` and the columns of `B` are without gaps.
unsafe fn dots<T: Scalar>(kernels: &Kernels<T>, p: Product<T>) {
    for i in (0..p.m).step_by(4) {
        for j in (0..p.n).step_by(4) {
            let block = Dots {
                depth: p.k,
                a: p.a.at(i, 0),
                a_row: p.a.row,
                b: p.b.at(0, j),
                b_column: p.b.column,
                c: p.c.at(i, j),
                c_row: p.c.row,
                c_column: p.c.column,
                write: p.write,
            };
            // SAFETY: the block lies within the matrices; the kernels are those of this processor.
            unsafe { kernels.dots[(p.m - i).min(4) - 1][(p.n - j).min(4) - 1](&block) };
        }
    }
}

/// # Safety
///
/// As [`multiply`].
unsafe fn tiles<T: Scalar>(kernels: &Kernels<T>, p: Product<T>) {
    let cut = Cut::new(kernels, &p);
    let lens = [if cut.copy_a { cut.rows * cut.depth } else { 0 }, cut.columns * cut.depth];
    with_buffers(lens, |[for_a, for_b]| {
        for j in (0..p.n).step_by(cut.columns) {
            for k in (0..p.k).step_by(cut.depth) {
                let n = cut.columns.min(p.n - j);
                let depth = cut.depth.min(p.k - k);
                // SAFETY: the block lies within B.
                unsafe { pack(kernels, for_b, &cut, Matrix { start: p.b.at(k, j), ..p.b }, depth, n) };
                for i in (0..p.m).step_by(cut.rows) {
                    let m = cut.rows.min(p.m - i);
                    let mut a = Matrix { start: p.a.at(i, k), ..p.a };
                    if cut.copy_a {
                        // SAFETY: the block lies within A.
                        a = unsafe { gather(for_a, a, m, depth) };
                    }
                    let block = Product {
                        m,
                        k: depth,
                        n,
                        a,
                        b: Matrix { start: p.b.at(k, j), ..p.b },
                        c: Matrix { start: p.c.at(i, j), ..p.c },
                        write: if k == 0 { p.write } else { Write::Add },
                    };
                    // SAFETY: the block lies within the matrices.
                    unsafe { multiply_block(kernels, &cut, block, for_b) };
                }
            }
        }
    });
}

/// Scratch that is there from a thread's first product on.
fn with_buffers<T: Scalar, const N: usize>(lens: [usize; N], f: impl FnOnce([&mut [T]; N])) {
    let len: usize = lens.iter().sum();
    assert!(len * size_of::<T>() + N * 64 <= LEAST_BYTES, "buffers of {len} numbers for a product");
    with_scratch(lens, f);
}

/// Multiplies a block of `A` with panels of `B`.
///
/// # Safety
///
/// As [`multiply`].
unsafe fn multiply_block<T: Scalar>(kernels: &Kernels<T>, cut: &Cut, p: Product<T>, packed: &[T]) {
    let Cut { height, width, .. } = *cut;
    for (panel, j) in (0..p.n).step_by(width).enumerate() {
        let n = width.min(p.n - j);
        let vectors = n.div_ceil(kernels.lanes);
        let (b, b_row) = if cut.copy_b || !n.is_multiple_of(kernels.lanes) {
            (packed[panel * width * p.k..].as_ptr(), width as isize)
        } else {
            (p.b.at(0, j), p.b.row)
        };
        for i in (0..p.m).step_by(height) {
            let m = height.min(p.m - i);
            let kernel = kernels.tiles[vectors - 1][m - 1];
            let c = Matrix { start: p.c.at(i, j), ..p.c };
            let tile = Tile {
                depth: p.k,
                a: p.a.at(i, 0),
                a_row: p.a.row,
                a_column: p.a.column,
                b,
                b_row,
                c: c.start,
                c_row: c.row,
                last: n - (vectors - 1) * kernels.lanes,
                write: p.write,
            };
            // SAFETY: the tile lies within the matrices; the kernels are those of this processor.
            unsafe {
                if p.c.column == 1 {
                    kernel(&tile);
                } else {
                    aside(kernels, kernel, tile, c, [m, n, vectors * kernels.lanes]);
                }
            }
        }
    }
}

/// Computes a tile that does not fit `C` in a place of its own and copies what is there of it.
///
/// # Safety
///
/// As [`multiply`], for the tile.
unsafe fn aside<T: Scalar>(
    kernels: &Kernels<T>,
    kernel: unsafe fn(&Tile<T>),
    tile: Tile<T>,
    c: Matrix<*mut T>,
    [m, n, width]: [usize; 3],
) {
    let mut values = MaybeUninit::<[T; TILE_ELEMENTS]>::uninit();
    let start = values.as_mut_ptr().cast::<T>();
    // SAFETY: the kernel writes `m` rows of `width` numbers, which fit, and reads them only where they were set before;
    // `n` columns of them are C's.
    unsafe {
        if tile.write == Write::Add {
            if n < width {
                values.write([T::zero(); TILE_ELEMENTS]);
            }
            if c.row == 1 {
                (kernels.transpose)(&Transposition {
                    rows: n,
                    columns: m,
                    from: c.start,
                    from_row: c.column,
                    to: start,
                    to_row: width as isize,
                    write: Write::Assign,
                });
            } else {
                for i in 0..m {
                    for j in 0..n {
                        *start.add(i * width + j) = *c.at(i, j);
                    }
                }
            }
        }
        kernel(&Tile { c: start, c_row: width as isize, last: width, ..tile });
        if c.row == 1 {
            return (kernels.transpose)(&Transposition {
                rows: m,
                columns: n,
                from: start,
                from_row: width as isize,
                to: c.start,
                to_row: c.column,
                write: Write::Assign,
            });
        }
        for i in 0..m {
            for j in 0..n {
                *c.at(i, j) = *start.add(i * width + j);
            }
        }
    }
}
