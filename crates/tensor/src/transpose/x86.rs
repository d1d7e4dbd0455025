//! Transposition by shuffles.

use std::arch::x86_64::*;

use crate::Write;
use crate::transpose::{Transposition, rest};

/// Square blocks by `$block`; what is left over at the sides is in blocks that overlap those before, or, where numbers
/// may be added only once or there are too few, element by element.
macro_rules! by_blocks {
    ($name:ident, $t:ty, $size:literal, $block:ident) => {
        /// # Safety
        ///
        /// As for [`portable`](super::portable); the processor has AVX2.
        #[inline(always)]
        pub(crate) unsafe fn $name(t: &Transposition<$t>) {
            let overlap = t.write == Write::Assign && t.rows >= $size && t.columns >= $size;
            let covered = |len: usize| if overlap { len } else { len / $size * $size };
            let (rows, columns) = (covered(t.rows), covered(t.columns));
            for i in (0..rows).step_by($size) {
                let i = i.min(rows - $size);
                for j in (0..columns).step_by($size) {
                    let j = j.min(columns - $size);
                    // SAFETY: the block lies within both.
                    unsafe {
                        let (from, to) = (
                            t.from.offset(i as isize * t.from_row).add(j),
                            t.to.offset(j as isize * t.to_row + i as isize),
                        );
                        $block(from, t.from_row, to, t.to_row, t.write);
                    }
                }
            }
            // SAFETY: within both.
            unsafe {
                rest(t, 0..rows, columns..t.columns);
                rest(t, rows..t.rows, 0..t.columns);
            }
        }
    };
}

by_blocks!(transpose_f32, f32, 8, block_f32);
by_blocks!(transpose_f64, f64, 4, block_f64);

/// # Safety
///
/// Eight times eight numbers can be read at `from` and written at `to`; the processor has AVX2.
#[inline(always)]
unsafe fn block_f32(from: *const f32, from_row: isize, to: *mut f32, to_row: isize, write: Write) {
    // SAFETY: the caller's promise.
    unsafe {
        // The first or second four numbers of row `i`, beside those of row `i + 4`.
        let halves = |i: usize, half: usize| {
            let at = |i: usize| _mm_loadu_ps(from.offset(i as isize * from_row).add(4 * half));
            _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(at(i)), at(i + 4))
        };
        for half in 0..2 {
            let r: [__m256; 4] = std::array::from_fn(|i| halves(i, half));
            // Pairs of rows, interleaved; then four rows.
            let p = [
                _mm256_unpacklo_ps(r[0], r[1]),
                _mm256_unpacklo_ps(r[2], r[3]),
                _mm256_unpackhi_ps(r[0], r[1]),
                _mm256_unpackhi_ps(r[2], r[3]),
            ];
            let columns = [
                _mm256_shuffle_ps::<0x44>(p[0], p[1]),
                _mm256_shuffle_ps::<0xee>(p[0], p[1]),
                _mm256_shuffle_ps::<0x44>(p[2], p[3]),
                _mm256_shuffle_ps::<0xee>(p[2], p[3]),
            ];
            for (j, column) in columns.into_iter().enumerate() {
                let to = to.offset((4 * half + j) as isize * to_row);
                let column = if write == Write::Add { _mm256_add_ps(_mm256_loadu_ps(to), column) } else { column };
                _mm256_storeu_ps(to, column);
            }
        }
    }
}

/// # Safety
///
/// Four times four numbers can be read at `from` and written at `to`; the processor has AVX2.
#[inline(always)]
unsafe fn block_f64(from: *const f64, from_row: isize, to: *mut f64, to_row: isize, write: Write) {
    // SAFETY: the caller's promise.
    unsafe {
        let r: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(from.offset(i as isize * from_row)));
        let p: [__m256d; 4] = [
            _mm256_unpacklo_pd(r[0], r[1]),
            _mm256_unpackhi_pd(r[0], r[1]),
            _mm256_unpacklo_pd(r[2], r[3]),
            _mm256_unpackhi_pd(r[2], r[3]),
        ];
        for i in 0..2 {
            let columns =
                [_mm256_permute2f128_pd::<0x20>(p[i], p[i + 2]), _mm256_permute2f128_pd::<0x31>(p[i], p[i + 2])];
            for (column, j) in columns.into_iter().zip([i as isize, i as isize + 2]) {
                let to = to.offset(j * to_row);
                let column = if write == Write::Add { _mm256_add_pd(_mm256_loadu_pd(to), column) } else { column };
                _mm256_storeu_pd(to, column);
            }
        }
    }
}
