//! The sizes of the blocks that a product is cut into.

use crate::Scalar;
use crate::matmul::product::Product;
use crate::matmul::sets::Kernels;
use crate::parts::share;

/// Rows of `B` taken at once: what is packed of it, and the block of `A` that it meets, stay in the second cache.
const DEPTH: usize = 512;
/// Bytes of `B` packed at once.
const PACKED_BYTES: usize = 512 * 1024;
/// Bytes of `A` that all panels of a packed block of `B` are multiplied with before the next.
const ROWS_BYTES: usize = 256 * 1024;
/// If `B` is no larger, all of it meets each few rows of `A` before the next, so that `C` is written row by row.
const FIRST_CACHE_BYTES: usize = 24 * 1024;
/// Lines this far apart need each an entry of its own in the processor's table of pages.
const PAGE_BYTES: usize = 4096;
/// Rows of `B` without gaps are read where they lie for up to so many tiles below each other; when they fall on the same
/// few sets of the caches, for fewer.
const DIRECT_TILES: usize = 16;
const DIRECT_TILES_ALIASED: usize = 2;

/// How a product is cut, in elements.
pub(super) struct Cut {
    /// Rows and columns of a tile.
    pub height: usize,
    pub width: usize,
    /// Rows of `A`, depth, and columns of `B` of a block.
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
    /// Whether blocks of `A` are copied.
    pub copy_a: bool,
    /// Whether panels of `B` are copied though they are whole registers wide.
    pub copy_b: bool,
}

impl Cut {
    pub fn new<T: Scalar>(kernels: &Kernels<T>, p: &Product<T>) -> Self {
        let height = share(p.m, kernels.tiles[0].len());
        let width = share(p.n.div_ceil(kernels.lanes), kernels.tiles.len()) * kernels.lanes;
        let depth = share(p.k, DEPTH);
        let line = depth * size_of::<T>();
        let columns = multiple(PACKED_BYTES / line, width).min(p.n.next_multiple_of(width));
        let small = columns * line <= FIRST_CACHE_BYTES;
        let rows = if small { height } else { multiple(ROWS_BYTES / line, height).min(p.m) };
        let bytes = |stride: isize| stride.unsigned_abs().saturating_mul(size_of::<T>());
        let copy_a = p.a.row == 1 && bytes(p.a.column) >= PAGE_BYTES && p.n > 3 * width;
        let aliased = bytes(p.b.row) >= PAGE_BYTES && bytes(p.b.row).is_multiple_of(PAGE_BYTES / 2);
        let direct = height * if aliased { DIRECT_TILES_ALIASED } else { DIRECT_TILES };
        let copy_b = p.b.column != 1 || p.m > direct;
        Self { height, width, rows, depth, columns, copy_a, copy_b }
    }
}

/// The largest multiple of `of` up to `limit`, at least one.
fn multiple(limit: usize, of: usize) -> usize {
    (limit / of).max(1) * of
}
