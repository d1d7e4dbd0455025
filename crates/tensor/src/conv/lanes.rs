//! Vector registers.

use crate::Scalar;

/// A register of numbers.
///
/// # Safety
///
/// The methods may be called only on a processor that has the register's instruction set, and only inlined into a
/// function that is compiled for it are they fast.
pub(super) trait Lanes<T>: Copy {
    /// How many numbers it holds.
    const COUNT: usize;

    /// `x` in every lane.
    unsafe fn splat(x: T) -> Self;

    /// The `COUNT` numbers at `from`, which must be readable; any alignment.
    unsafe fn load(from: *const T) -> Self;

    /// Writes `COUNT` numbers to `to`, which must be writable; any alignment.
    unsafe fn store(self, to: *mut T);

    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;

    /// `self × factor + term`, rounded once where the instruction set can.
    unsafe fn multiply_add(self, factor: Self, term: Self) -> Self;
}

/// An array that the compiler may keep in whatever registers the target has.
#[derive(Clone, Copy)]
pub(super) struct Portable<T, const N: usize>([T; N]);

impl<T: Scalar, const N: usize> Lanes<T> for Portable<T, N> {
    const COUNT: usize = N;

    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Self([x; N])
    }

    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[T; N]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[T; N]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x += y;
        }
        self
    }

    #[inline(always)]
    unsafe fn multiply_add(mut self, factor: Self, term: Self) -> Self {
        for ((x, f), t) in self.0.iter_mut().zip(factor.0).zip(term.0) {
            // Where there is no such instruction, the library's fused operation would be a slow call.
            *x = if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { x.mul_add(f, t) } else { *x * f + t };
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;

    macro_rules! register {
        ($register:ty, $t:ty, $count:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $multiply_add:ident) => {
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
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: the caller's promise.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                unsafe fn multiply_add(self, factor: Self, term: Self) -> Self {
                    // SAFETY: the caller's promise.
                    unsafe { $multiply_add(self, factor, term) }
                }
            }
        };
    }

    register!(__m512, f32, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps);
    register!(__m512d, f64, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd, _mm512_fmadd_pd);
    register!(__m256, f32, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps);
    register!(__m256d, f64, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_fmadd_pd);
}
