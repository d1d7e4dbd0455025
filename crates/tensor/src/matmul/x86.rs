//! The registers of AVX2 and AVX-512, and transposition by shuffles.

use std::arch::x86_64::*;

use crate::matmul::kernel::Packing;
use crate::matmul::lanes::Lanes;

/// Implements [`Lanes`] by intrinsics.
macro_rules! register {
    (
        $register:ty, $t:ty, $count:literal, $splat:ident, $load:ident, $store:ident, $multiply_add:ident,
        $total:expr, mask $mask:ident, $load_some:ident, $store_some:ident
    ) => {
        impl Lanes<$t> for $register {
            const COUNT: usize = $count;

            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $splat(x) }
            }

            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn load_some(from: *const $t, count: usize) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $load_some(from, $mask(count)) }
            }

            #[inline(always)]
            unsafe fn store_some(self, to: *mut $t, count: usize) {
                // SAFETY: the caller's promise.
                unsafe { $store_some(to, $mask(count), self) }
            }

            #[inline(always)]
            unsafe fn total(self) -> $t {
                // SAFETY: the caller's promise.
                unsafe { $total(self) }
            }

            #[inline(always)]
            unsafe fn multiply_add(self, factor: Self, term: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $multiply_add(self, factor, term) }
            }
        }
    };
}

register!(
    __m512, f32, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
    _mm512_reduce_add_ps, mask first_of_16, load_some_512, _mm512_mask_storeu_ps
);
register!(
    __m512d, f64, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd,
    _mm512_reduce_add_pd, mask first_of_8, load_some_512d, _mm512_mask_storeu_pd
);
register!(
    __m256, f32, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
    total_256, mask first_of_8_wide, _mm256_maskload_ps, _mm256_maskstore_ps
);
register!(
    __m256d, f64, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd,
    total_256d, mask first_of_4_wide, _mm256_maskload_pd, _mm256_maskstore_pd
);

#[inline(always)]
fn first_of_16(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

#[inline(always)]
fn first_of_8(count: usize) -> __mmask8 {
    ((1_u32 << count) - 1) as __mmask8
}

/// # Safety
///
/// The processor has AVX2; `count` is at most eight.
#[inline(always)]
unsafe fn first_of_8_wide(count: usize) -> __m256i {
    const ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: eight numbers from there are within the array.
    unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - count).cast()) }
}

/// # Safety
///
/// The processor has AVX2; `count` is at most four.
#[inline(always)]
unsafe fn first_of_4_wide(count: usize) -> __m256i {
    const ONES_THEN_ZEROS: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];
    // SAFETY: four numbers from there are within the array.
    unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(4 - count).cast()) }
}

/// # Safety
///
/// The processor has AVX-512; the numbers that the mask names can be read.
#[inline(always)]
unsafe fn load_some_512(from: *const f32, mask: __mmask16) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_loadu_ps(mask, from) }
}

/// # Safety
///
/// The processor has AVX-512; the numbers that the mask names can be read.
#[inline(always)]
unsafe fn load_some_512d(from: *const f64, mask: __mmask8) -> __m512d {
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_loadu_pd(mask, from) }
}

/// # Safety
///
/// The processor has AVX2.
#[inline(always)]
unsafe fn total_256(x: __m256) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

/// # Safety
///
/// The processor has AVX2.
#[inline(always)]
unsafe fn total_256d(x: __m256d) -> f64 {
    // SAFETY: the caller's promise.
    unsafe {
        let two = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x));
        _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
    }
}

/// Square blocks by `$block`, the rest element by element.
macro_rules! by_blocks {
    ($name:ident, $t:ty, $size:literal, $block:ident) => {
        /// # Safety
        ///
        /// As for the portable function; the processor has AVX2.
        #[inline(always)]
        pub(super) unsafe fn $name(packing: &Packing<$t>) {
            let (rows, columns) = (packing.rows / $size * $size, packing.columns / $size * $size);
            for j in (0..columns).step_by($size) {
                for p in (0..rows).step_by($size) {
                    // SAFETY: the block lies within both.
                    unsafe {
                        let from = packing.from.offset(j as isize * packing.from_stride).add(p);
                        $block(from, packing.from_stride, packing.to.add(p * packing.to_row + j), packing.to_row);
                    }
                }
            }
            for j in 0..packing.columns {
                for p in if j < columns { rows } else { 0 }..packing.rows {
                    // SAFETY: within both.
                    unsafe {
                        *packing.to.add(p * packing.to_row + j) =
                            *packing.from.offset(j as isize * packing.from_stride).add(p)
                    };
                }
            }
        }
    };
}

by_blocks!(pack_columns_f32, f32, 8, block_f32);
by_blocks!(pack_columns_f64, f64, 4, block_f64);

/// # Safety
///
/// Eight times eight numbers can be read at `from` and written at `to`; the processor has AVX2.
#[inline(always)]
unsafe fn block_f32(from: *const f32, stride: isize, to: *mut f32, to_stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let r: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(from.offset(i as isize * stride)));
        // Pairs of rows, interleaved.
        let p: [__m256; 8] = [
            _mm256_unpacklo_ps(r[0], r[1]),
            _mm256_unpackhi_ps(r[0], r[1]),
            _mm256_unpacklo_ps(r[2], r[3]),
            _mm256_unpackhi_ps(r[2], r[3]),
            _mm256_unpacklo_ps(r[4], r[5]),
            _mm256_unpackhi_ps(r[4], r[5]),
            _mm256_unpacklo_ps(r[6], r[7]),
            _mm256_unpackhi_ps(r[6], r[7]),
        ];
        // Four rows, two columns each.
        let q: [__m256; 8] = [
            _mm256_shuffle_ps::<0x44>(p[0], p[2]),
            _mm256_shuffle_ps::<0xee>(p[0], p[2]),
            _mm256_shuffle_ps::<0x44>(p[1], p[3]),
            _mm256_shuffle_ps::<0xee>(p[1], p[3]),
            _mm256_shuffle_ps::<0x44>(p[4], p[6]),
            _mm256_shuffle_ps::<0xee>(p[4], p[6]),
            _mm256_shuffle_ps::<0x44>(p[5], p[7]),
            _mm256_shuffle_ps::<0xee>(p[5], p[7]),
        ];
        for i in 0..4 {
            _mm256_storeu_ps(to.add(i * to_stride), _mm256_permute2f128_ps::<0x20>(q[i], q[i + 4]));
            _mm256_storeu_ps(to.add((i + 4) * to_stride), _mm256_permute2f128_ps::<0x31>(q[i], q[i + 4]));
        }
    }
}

/// # Safety
///
/// Four times four numbers can be read at `from` and written at `to`; the processor has AVX2.
#[inline(always)]
unsafe fn block_f64(from: *const f64, stride: isize, to: *mut f64, to_stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let r: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(from.offset(i as isize * stride)));
        let p: [__m256d; 4] = [
            _mm256_unpacklo_pd(r[0], r[1]),
            _mm256_unpackhi_pd(r[0], r[1]),
            _mm256_unpacklo_pd(r[2], r[3]),
            _mm256_unpackhi_pd(r[2], r[3]),
        ];
        for i in 0..2 {
            _mm256_storeu_pd(to.add(i * to_stride), _mm256_permute2f128_pd::<0x20>(p[i], p[i + 2]));
            _mm256_storeu_pd(to.add((i + 2) * to_stride), _mm256_permute2f128_pd::<0x31>(p[i], p[i + 2]));
        }
    }
}

/// Compresses registers by masks; otherwise as the portable function.
macro_rules! nonzeros {
    (
        $name:ident, $t:ty, $lanes:literal, $load_some:ident, $mask:ident, $not_zero:expr, $compress:ident, $store:ident,
        $columns:ty, $numbers:expr, $step:expr, $add:ident, $compress_columns:ident, $store_columns:ident
    ) => {
        /// # Safety
        ///
        /// The processor has AVX-512 with byte and vector-length extensions; both places have room for a register more
        /// than `from` has numbers.
        #[inline(always)]
        pub(super) unsafe fn $name(from: &[$t], values: &mut [$t], columns: &mut [u32]) -> usize {
            assert!(values.len().min(columns.len()) >= from.len() + $lanes, "room for the last register");
            // SAFETY: the stores begin at most at the numbers' count, and there is room for a register behind it.
            unsafe {
                let (mut at, mut count): ($columns, usize) = ($numbers, 0);
                for k in (0..from.len()).step_by($lanes) {
                    let x = $load_some(from.as_ptr().add(k), $mask($lanes.min(from.len() - k)));
                    let mask = $not_zero(x);
                    $store(values.as_mut_ptr().add(count), $compress(mask, x));
                    $store_columns(columns.as_mut_ptr().add(count).cast(), $compress_columns(mask, at));
                    count += mask.count_ones() as usize;
                    at = $add(at, $step);
                }
                count
            }
        }
    };
}

nonzeros!(
    nonzeros_f32,
    f32,
    16,
    load_some_512,
    first_of_16,
    |x| _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(x, _mm512_setzero_ps()),
    _mm512_maskz_compress_ps,
    _mm512_storeu_ps,
    __m512i,
    _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
    _mm512_set1_epi32(16),
    _mm512_add_epi32,
    _mm512_maskz_compress_epi32,
    _mm512_storeu_si512
);
nonzeros!(
    nonzeros_f64,
    f64,
    8,
    load_some_512d,
    first_of_8,
    |x| _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(x, _mm512_setzero_pd()),
    _mm512_maskz_compress_pd,
    _mm512_storeu_pd,
    __m256i,
    _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0),
    _mm256_set1_epi32(8),
    _mm256_add_epi32,
    _mm256_maskz_compress_epi32,
    _mm256_storeu_si256
);
