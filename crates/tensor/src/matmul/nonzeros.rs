//! What is not zero in a row, listed.

use crate::Scalar;

/// Writes the numbers of `from` that are not zero, and where they are in it, and says how many there are. What is
/// behind them in `values` and `columns` may be overwritten.
///
/// # Panics
///
/// When either is shorter than `from`.
#[inline(always)]
pub(super) fn portable<T: Scalar>(from: &[T], values: &mut [T], columns: &mut [u32]) -> usize {
    let (values, columns) = (&mut values[..from.len()], &mut columns[..from.len()]);
    let mut count = 0;
    for (k, &x) in from.iter().enumerate() {
        (values[count], columns[count]) = (x, k as u32);
        count += usize::from(x != T::zero());
    }
    count
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::arch::x86_64::*;

    use crate::lanes::Lanes;

    /// Compresses registers by masks; otherwise as the portable function.
    macro_rules! nonzeros {
        (
            $name:ident, $t:ty, $register:ty, $not_zero:expr, $compress:ident, $store:ident,
            $columns:ty, $numbers:expr, $step:expr, $add:ident, $compress_columns:ident, $store_columns:ident
        ) => {
            /// # Safety
            ///
            /// The processor has AVX-512 with byte and vector-length extensions; both places have room for a register more
            /// than `from` has numbers.
            #[inline(always)]
            pub(in crate::matmul) unsafe fn $name(from: &[$t], values: &mut [$t], columns: &mut [u32]) -> usize {
                const LANES: usize = <$register as Lanes<$t>>::COUNT;
                assert!(values.len().min(columns.len()) >= from.len() + LANES, "room for the last register");
                // SAFETY: the stores begin at most at the numbers' count, and there is room for a register behind it.
                unsafe {
                    let (mut at, mut count): ($columns, usize) = ($numbers, 0);
                    for k in (0..from.len()).step_by(LANES) {
                        let x = <$register>::load_some(from.as_ptr().add(k), LANES.min(from.len() - k));
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
        __m512,
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
        __m512d,
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
}
