//! Free functions over slices, compiled for several instruction sets and chosen once at run time.

#[doc(hidden)]
pub use pulp::Arch;

use crate::Scalar;

/// Defines a function that is compiled three times on x86-64 — for AVX-512, for AVX2 with FMA and for the baseline —
/// and runs the best one that the processor has. Elsewhere the baseline is all there is (NEON is part of aarch64's).
#[doc(hidden)]
#[macro_export]
macro_rules! vectorized {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$($g:ident: $bound:path),+>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name<$($g: $bound),+>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<$($g: $bound),+>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
                fn v4<$($g: $bound),+>($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
                fn v3<$($g: $bound),+>($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                match $crate::kernels::Arch::new() {
                    // SAFETY: pulp hands out this token only where it found the features.
                    $crate::kernels::Arch::V4(_) => return unsafe { v4($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::Arch::V3(_) => return unsafe { v3($($arg),*) },
                    _ => {}
                }
            }
            body($($arg),*)
        }
    };
}

vectorized! {
    /// `y ← y + a x`.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn axpy<T: Scalar>(y: &mut [T], a: T, x: &[T]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y += a * x;
        }
    }
}

vectorized! {
    /// `y ← y + x`.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn add_assign<T: Scalar>(y: &mut [T], x: &[T]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

vectorized! {
    /// `y ← a y`.
    pub fn scale<T: Scalar>(y: &mut [T], a: T) {
        for y in y {
            *y *= a;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axpy_add_scale_agree_with_plain_loops() {
        let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
        let mut y = vec![1.0_f32; 37];
        axpy(&mut y, 2.0, &x);
        add_assign(&mut y, &x);
        scale(&mut y, 0.5);
        let want: Vec<f32> = x.iter().map(|x| 0.5 * (1.0 + 3.0 * x)).collect();
        assert_eq!(y, want);
    }
}
