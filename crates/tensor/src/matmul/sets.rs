//! The kernels compiled for each instruction set, as tables.

use crate::lanes::{Lanes, Portable};
use crate::matmul::kernel::{self, Dots, Outer, Packing, Sparse, Tile};
use crate::matmul::nonzeros;
use crate::transpose::{self, Transposition};

type TileKernel<T> = unsafe fn(&Tile<T>);
type DotsKernel<T> = unsafe fn(&Dots<T>);
type SparseKernel<T> = unsafe fn(&Sparse<'_, T>);
type NonzerosKernel<T> = unsafe fn(&[T], &mut [T], &mut [u32]) -> usize;

/// What one instruction set offers.
pub struct Kernels<T: 'static> {
    /// Numbers in a register.
    pub(super) lanes: usize,
    /// By registers in a row of the tile, then by rows, each less one.
    pub(super) tiles: &'static [&'static [TileKernel<T>]],
    /// By rows, then by columns, each less one.
    pub(super) dots: &'static [&'static [DotsKernel<T>]],
    pub(super) outer: unsafe fn(&Outer<T>),
    /// By registers in a row, less one.
    pub(super) sparse: &'static [SparseKernel<T>],
    /// Both places have room for as many numbers as there are, and a register more.
    pub(super) nonzeros: NonzerosKernel<T>,
    /// Rows without gaps; those of the panel are padded with zeros to whole registers.
    pub(super) pack_rows: unsafe fn(&Packing<T>),
    pub(super) transpose: unsafe fn(&Transposition<T>),
}

/// The largest tile of any set has fewer elements.
pub(super) const TILE_ELEMENTS: usize = 512;

/// The tile kernels with `$n` registers in a row, by their rows.
macro_rules! tiles {
    ($f:ident, $n:literal, [$($m:literal)*]) => { &[$($f::<$m, $n>),*] };
}

/// Defines a module with one set.
macro_rules! kernels {
    (
        $name:ident, $t:ty, $register:ty, $(#[$feature:meta])?, $transpose:path, $nonzeros:path,
        vectors $($n:literal)*, rows $m:tt
    ) => {
        pub(super) mod $name {
            use super::*;

            $(#[$feature])?
            unsafe fn tile<const M: usize, const N: usize>(tile: &Tile<$t>) {
                // SAFETY: the caller's promise.
                unsafe { kernel::tile::<$t, $register, M, N>(tile) }
            }

            $(#[$feature])?
            unsafe fn dots<const M: usize, const N: usize>(dots: &Dots<$t>) {
                // SAFETY: the caller's promise.
                unsafe { kernel::dots::<$t, $register, M, N>(dots) }
            }

            $(#[$feature])?
            unsafe fn outer(outer: &Outer<$t>) {
                // SAFETY: the caller's promise.
                unsafe { kernel::outer::<$t, $register>(outer) }
            }

            $(#[$feature])?
            unsafe fn sparse<const N: usize>(sparse: &Sparse<'_, $t>) {
                // SAFETY: the caller's promise.
                unsafe { kernel::sparse::<$t, $register, N>(sparse) }
            }

            $(#[$feature])?
            #[allow(unused_unsafe, reason = "the portable function is safe")]
            unsafe fn nonzeros(from: &[$t], values: &mut [$t], columns: &mut [u32]) -> usize {
                // SAFETY: the caller's promise.
                unsafe { $nonzeros(from, values, columns) }
            }

            $(#[$feature])?
            unsafe fn pack_rows(packing: &Packing<$t>) {
                // SAFETY: the caller's promise.
                unsafe { kernel::pack_rows::<$t, $register>(packing) }
            }

            $(#[$feature])?
            unsafe fn transpose(transposition: &Transposition<$t>) {
                // SAFETY: the caller's promise.
                unsafe { $transpose(transposition) }
            }

            pub static KERNELS: Kernels<$t> = Kernels {
                lanes: <$register as Lanes<$t>>::COUNT,
                tiles: &[$(tiles!(tile, $n, $m)),*],
                dots: &[
                    &[dots::<1, 1>, dots::<1, 2>, dots::<1, 3>, dots::<1, 4>],
                    &[dots::<2, 1>, dots::<2, 2>, dots::<2, 3>, dots::<2, 4>],
                    &[dots::<3, 1>, dots::<3, 2>, dots::<3, 3>, dots::<3, 4>],
                    &[dots::<4, 1>, dots::<4, 2>, dots::<4, 3>, dots::<4, 4>],
                ],
                outer,
                sparse: &[
                    sparse::<1>, sparse::<2>, sparse::<3>, sparse::<4>, sparse::<5>, sparse::<6>, sparse::<7>, sparse::<8>,
                ],
                nonzeros,
                pack_rows,
                transpose,
            };
        }
    };
}

// Sixteen registers of 128 bits are on every 64-bit processor.
kernels!(portable_f32, f32, Portable<f32, 4>, , transpose::portable, nonzeros::portable, vectors 1 2, rows [1 2 3 4 5 6]);
kernels!(portable_f64, f64, Portable<f64, 2>, , transpose::portable, nonzeros::portable, vectors 1 2, rows [1 2 3 4 5 6]);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

    use super::*;
    use crate::matmul::nonzeros::x86::{nonzeros_f32, nonzeros_f64};
    use crate::transpose::x86::{transpose_f32, transpose_f64};

    kernels!(avx2_f32, f32, __m256, #[target_feature(enable = "avx2,fma")], transpose_f32,
        nonzeros::portable, vectors 1 2, rows [1 2 3 4 5 6]);
    kernels!(avx2_f64, f64, __m256d, #[target_feature(enable = "avx2,fma")], transpose_f64,
        nonzeros::portable, vectors 1 2, rows [1 2 3 4 5 6]);
    kernels!(avx512_f32, f32, __m512, #[target_feature(enable = "avx512f,avx512vl,avx2,fma")], transpose_f32,
        nonzeros_f32, vectors 1 2 3, rows [1 2 3 4 5 6 7 8]);
    kernels!(avx512_f64, f64, __m512d, #[target_feature(enable = "avx512f,avx512vl,avx2,fma")], transpose_f64,
        nonzeros_f64, vectors 1 2 3, rows [1 2 3 4 5 6 7 8]);
}

/// The types that there are kernels for.
pub trait Multiply: Sized + 'static {
    /// The best set that the processor has.
    fn kernels() -> &'static Kernels<Self>;
}

macro_rules! multiply {
    ($t:ty, $avx512:ident, $avx2:ident, $portable:ident) => {
        impl Multiply for $t {
            fn kernels() -> &'static Kernels<Self> {
                match crate::isa::arch() {
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

multiply!(f32, avx512_f32, avx2_f32, portable_f32);
multiply!(f64, avx512_f64, avx2_f64, portable_f64);
