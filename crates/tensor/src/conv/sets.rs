//! The kernels compiled for each instruction set, as tables.

use crate::conv::kernel::{self, Tile};
use crate::lanes::{Lanes, Portable};
use crate::transpose::{self, Transposition};

type TileKernel<T> = unsafe fn(&Tile<T>);

/// What one instruction set offers.
pub struct Kernels<T: 'static> {
    /// Numbers in a register.
    pub(super) lanes: usize,
    /// For numbers of `A` any stride apart: by registers in a row, then by numbers, each less one.
    pub(super) apart: [&'static [TileKernel<T>]; 2],
    /// For numbers of `A` one behind the other: the same.
    pub(super) together: [&'static [TileKernel<T>]; 2],
    /// For three times as many numbers, few of them one behind the other: the same.
    pub(super) thrice: [&'static [TileKernel<T>]; 2],
    pub(super) column_sums: unsafe fn(*const T, usize, usize, *mut T),
    pub(super) transpose: unsafe fn(&Transposition<T>),
}

/// The tile kernels with `$n` registers in a row.
macro_rules! tiles {
    ($f:ident, $r:literal, $n:literal, [$($m:literal)*]) => { &[$($f::<$r, $m, $n>),*] };
}

/// Defines a module with one set.
macro_rules! kernels {
    ($name:ident, $t:ty, $register:ty, $(#[$feature:meta])?, $transpose:path, numbers $m:tt, alone $alone:tt, of_three $few:tt) => {
        pub(super) mod $name {
            use super::*;

            $(#[$feature])?
            unsafe fn apart<const R: usize, const M: usize, const N: usize>(tile: &Tile<$t>) {
                // SAFETY: the caller's promise.
                unsafe { kernel::tile::<$t, $register, R, M, N>(tile, tile.a_m) }
            }

            $(#[$feature])?
            unsafe fn together<const R: usize, const M: usize, const N: usize>(tile: &Tile<$t>) {
                // SAFETY: the caller's promise.
                unsafe { kernel::tile::<$t, $register, R, M, N>(tile, 1) }
            }

            $(#[$feature])?
            unsafe fn column_sums(from: *const $t, rows: usize, width: usize, to: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { kernel::column_sums::<$t, $register>(from, rows, width, to) }
            }

            $(#[$feature])?
            unsafe fn transpose(transposition: &Transposition<$t>) {
                // SAFETY: the caller's promise.
                unsafe { $transpose(transposition) }
            }

            pub static KERNELS: Kernels<$t> = Kernels {
                lanes: <$register as Lanes<$t>>::COUNT,
                apart: [tiles!(apart, 1, 1, $alone), tiles!(apart, 1, 2, $m)],
                together: [tiles!(together, 1, 1, $m), tiles!(together, 1, 2, $m)],
                thrice: [tiles!(together, 3, 1, $few), tiles!(together, 3, 2, $few)],
                column_sums,
                transpose,
            };
        }
    };
}

// Sixteen registers of 128 bits are on every 64-bit processor.
kernels!(portable_f32, f32, Portable<f32, 4>, , transpose::portable, numbers [1 2 3 4 5 6], alone [1 2 3 4 5 6 7 8 9 10 11 12], of_three [1 2]);
kernels!(portable_f64, f64, Portable<f64, 2>, , transpose::portable, numbers [1 2 3 4 5 6], alone [1 2 3 4 5 6 7 8 9 10 11 12], of_three [1 2]);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

    use super::*;
    use crate::transpose::x86::{transpose_f32, transpose_f64};

    kernels!(avx2_f32, f32, __m256, #[target_feature(enable = "avx2,fma")], transpose_f32,
        numbers [1 2 3 4 5 6], alone [1 2 3 4 5 6 7 8 9 10 11 12], of_three [1 2]);
    kernels!(avx2_f64, f64, __m256d, #[target_feature(enable = "avx2,fma")], transpose_f64,
        numbers [1 2 3 4 5 6], alone [1 2 3 4 5 6 7 8 9 10 11 12], of_three [1 2]);
    kernels!(avx512_f32, f32, __m512, #[target_feature(enable = "avx512f,avx2,fma")], transpose_f32,
        numbers [1 2 3 4 5 6 7 8 9 10 11 12],
        alone [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16], of_three [1 2 3 4]);
    kernels!(avx512_f64, f64, __m512d, #[target_feature(enable = "avx512f,avx2,fma")], transpose_f64,
        numbers [1 2 3 4 5 6 7 8 9 10 11 12],
        alone [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16], of_three [1 2 3 4]);

    // As many registers, of half the size: for so few channels that they fill no more.
    kernels!(few_f32, f32, __m256, #[target_feature(enable = "avx512f,avx512vl,avx2,fma")], transpose_f32,
        numbers [1 2 3 4 5 6 7 8 9 10 11 12],
        alone [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16], of_three [1 2 3 4]);
    kernels!(few_f64, f64, __m256d, #[target_feature(enable = "avx512f,avx512vl,avx2,fma")], transpose_f64,
        numbers [1 2 3 4 5 6 7 8 9 10 11 12],
        alone [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16], of_three [1 2 3 4]);
}

/// The types that there are kernels for.
pub trait Convolve: Sized + 'static {
    /// The best set that the processor has, for so many channels along the registers.
    fn conv_kernels(channels: usize) -> &'static Kernels<Self>;
}

macro_rules! convolve {
    ($t:ty, $avx512:ident, $few:ident, $avx2:ident, $portable:ident) => {
        impl Convolve for $t {
            fn conv_kernels(
                #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "there is one set"))]
                channels: usize,
            ) -> &'static Kernels<Self> {
                match crate::isa::arch() {
                    #[cfg(target_arch = "x86_64")]
                    pulp::Arch::V4(_) if channels <= x86::$few::KERNELS.lanes => &x86::$few::KERNELS,
                    #[cfg(target_arch = "x86_64")]
                    pulp::Arch::V4(_) => &x86::$avx512::KERNELS,
                    #[cfg(target_arch = "x86_64")]
                    pulp::Arch::V3(_) => &x86::$avx2::KERNELS,
                    _ => &$portable::KERNELS,
                }
            }
        }
    };
}

convolve!(f32, avx512_f32, few_f32, avx2_f32, portable_f32);
convolve!(f64, avx512_f64, few_f64, avx2_f64, portable_f64);
