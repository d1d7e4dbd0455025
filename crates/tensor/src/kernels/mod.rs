//! Free functions over slices, compiled for several instruction sets and chosen at run time by one look at a cached
//! flag.
//!
//! None of them uses fused multiply-add, and reductions always sum in the same lanes: a kernel gives the same bits on
//! every instruction set, at every alignment.

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
                match $crate::kernels::arch() {
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

#[doc(hidden)]
pub use crate::isa::arch;
#[doc(hidden)]
pub use pulp::Arch;

mod activation;
mod cross_entropy;
mod elementwise;
pub(crate) mod math;
mod pointwise;
mod reduce;
mod rows;
#[cfg(test)]
pub(crate) mod samples;
mod softmax;
mod update;

pub use activation::{Activation, ActivationError};
pub use cross_entropy::{softmax_cross_entropy, softmax_cross_entropy_backward};
pub use elementwise::{add, add_assign, axpy, multiply, multiply_add, multiply_assign, scale, subtract};
pub use reduce::{all_finite, dot, sum, sum_of_squares};
pub use rows::{add_bias, add_column_sums, bias_activation, bias_activation_into, column_sums};
pub use softmax::{log_softmax_backward, log_softmax_rows, log_sum_exp_rows, softmax_backward, softmax_rows};
pub use update::{Update, update};
