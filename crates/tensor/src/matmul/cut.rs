//! The sizes of the blocks that a product is cut into.

use crate::Scalar;
use crate::matmul::product::Product;
use crate::matmul::sets::Kernels;

/// Rows of `B` taken at once: what is packed of it, and the block of `A` that it meets, stay in the second cache.
const DEPTH: usize = 512;
/// Bytes of `B` packed at once.
const PACKED_BYTES: usize = 512 * 1024;
/// Bytes of `A` that all panels of a packed block of `B` are multiplied with before the next.
const ROWS_BYTES: usize = 256 * 1024;
/// Columns of `A` farther apart are copied: each would need its own entry in the table of pages.
const PAGE_BYTES: usize = 4096;
/// If B is no larger, all of it meets each few rows of A before the next, so that C is written row by row.
const FIRST_CACHE_BYTES: usize = 24 * 1024;

/// How a product is cut, in elements.
pub(super) struct Cut {
    /// Rows and columns of the largest tile.
    pub tile: (usize, usize),
    /// Rows of `A`, depth, and columns of `B` of a block.
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
    /// Whether blocks of `A` and panels of `B` are copied.
    pub copy_a: bool,
    pub copy_b: bool,
}

impl Cut {
    pub fn new<T: Scalar>(kernels: &Kernels<T>, p: &Product<T>) -> Self {
        let lanes = kernels.lanes;
        let tile = (kernels.tiles[0].len(), (kernels.tiles.len() * lanes).min(p.n.next_multiple_of(lanes)));
        let depth = p.k.div_ceil(p.k.div_ceil(DEPTH));
        let line = depth * size_of::<T>();
        let columns = ((PACKED_BYTES / line / tile.1).max(1) * tile.1).min(p.n.next_multiple_of(tile.1));
        let small = columns * line <= FIRST_CACHE_BYTES;
        let rows = if small { tile.0 } else { (ROWS_BYTES / line / tile.0).max(1) * tile.0 }.min(p.m);
        let stride = p.a.column.unsigned_abs() * size_of::<T>();
        let copy_a = p.a.row == 1 && stride >= PAGE_BYTES && p.n > 3 * tile.1;
        let stride = p.b.row.unsigned_abs() * size_of::<T>();
        let copy_b = p.b.column != 1 || p.m > tile.0 * if stride < PAGE_BYTES { 16 } else { 2 };
        Self { tile, rows, depth, columns, copy_a, copy_b }
    }
}
