//! The registers of AVX2 and AVX-512.

use std::arch::x86_64::*;

use crate::lanes::Lanes;

/// Implements [`Lanes`] by intrinsics.
macro_rules! register {
    (
        $register:ty, $t:ty, $count:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $multiply_add:ident,
        $total:ident, mask $mask:ident, $load_some:ident, $store_some:ident
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
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            unsafe fn multiply_add(self, factor: Self, term: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $multiply_add(self, factor, term) }
            }

            #[inline(always)]
            unsafe fn total(self) -> $t {
                // SAFETY: the caller's promise.
                unsafe { $total(self) }
            }
        }
    };
}

register!(
    __m512, f32, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,
    _mm512_reduce_add_ps, mask first_of_16, load_some_512, _mm512_mask_storeu_ps
);
register!(
    __m512d, f64, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_fmadd_pd,
    _mm512_reduce_add_pd, mask first_of_8, load_some_512d, _mm512_mask_storeu_pd
);
register!(
    __m256, f32, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps,
    total_256, mask first_of_8_wide, _mm256_maskload_ps, _mm256_maskstore_ps
);
register!(
    __m256d, f64, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_fmadd_pd,
    total_256d, mask first_of_4_wide, _mm256_maskload_pd, _mm256_maskstore_pd
);

/// The mask of the first `count ≤ 16` lanes.
#[inline(always)]
pub(crate) fn first_of_16(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

/// The mask of the first `count ≤ 8` lanes.
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
