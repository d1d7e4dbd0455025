//! Vector registers.

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use crate::Scalar;

/// A register of numbers.
///
/// # Safety
///
/// The methods may be called only on a processor that has the register's instruction set, and only inlined into a
/// function that is compiled for it are they fast.
pub(crate) trait Lanes<T>: Copy {
    /// How many numbers it holds.
    const COUNT: usize;

    /// `x` in every lane.
    unsafe fn splat(x: T) -> Self;

    /// The `COUNT` numbers at `from`, which must be readable; any alignment.
    unsafe fn load(from: *const T) -> Self;

    /// Writes `COUNT` numbers to `to`, which must be writable; any alignment.
    unsafe fn store(self, to: *mut T);

    /// The first `count ≤ COUNT` numbers at `from`, then zeros; no others are read.
    unsafe fn load_some(from: *const T, count: usize) -> Self;

    /// Writes the first `count ≤ COUNT` numbers to `to` and no others.
    unsafe fn store_some(self, to: *mut T, count: usize);

    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;

    /// `self × factor + term`, rounded once where the instruction set can.
    unsafe fn multiply_add(self, factor: Self, term: Self) -> Self;

    /// The sum of the lanes, in pairs.
    unsafe fn total(self) -> T;
}

/// An array that the compiler may keep in whatever registers the target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T, const N: usize>([T; N]);

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
    unsafe fn load_some(from: *const T, count: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { T::zero() }))
    }

    #[inline(always)]
    unsafe fn store_some(self, to: *mut T, count: usize) {
        for (i, &x) in self.0[..count].iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = x };
        }
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

    #[inline(always)]
    unsafe fn total(mut self) -> T {
        let mut width = N / 2;
        while width > 0 {
            for i in 0..width {
                self.0[i] += self.0[i + width];
            }
            width /= 2;
        }
        self.0[0]
    }
}
