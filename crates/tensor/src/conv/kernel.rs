//! The innermost loops, written once for registers of any size.

use crate::Scalar;
use crate::lanes::Lanes;

/// A tile of sums of products: `R × M` numbers of `A`, each times a row of `N` registers of `B`, summed over three
/// nested loops.
///
/// `C[r, m, :] ← start + Σ_uvw A[u, v, w; r, m] B[uvw, :]`, or that added to `C`.
pub(super) struct Tile<T> {
    /// How often each loop goes round, outermost first.
    pub counts: [usize; 3],
    pub a: *const T,
    /// How far each loop moves in `A`.
    pub a_steps: [usize; 3],
    /// Strides of `A` from one `r` and from one `m` to the next.
    pub a_r: usize,
    pub a_m: usize,
    /// The rows of `B`, one behind the other in the order of the loops, `b_row` apart.
    pub b: *const T,
    pub b_row: usize,
    pub c: *mut T,
    pub c_r: usize,
    pub c_m: usize,
    pub store: Store<T>,
}

/// What becomes of the old values of `C`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Store<T> {
    /// They are not read; sums begin with this row.
    Begin(*const T),
    /// The sums, which begin with zero, are added to them.
    Add,
}

/// Numbers `m` are `stride` apart; the compiler is given a few pointers rather than as many as there are numbers.
#[inline(always)]
unsafe fn number<T: Copy>(from: *const T, quads: [*const T; 4], stride: usize, m: usize) -> T {
    // SAFETY: the caller's promise.
    unsafe { if stride == 1 { *from.add(m) } else { *quads[m / 4].add(m % 4 * stride) } }
}

/// # Safety
///
/// The processor has `V`'s instruction set; the elements of `A`, `B` and `C` that the tile names, and the row that it
/// begins with, are valid for their accesses.
#[inline(always)]
pub(super) unsafe fn tile<T: Scalar, V: Lanes<T>, const R: usize, const M: usize, const N: usize>(
    tile: &Tile<T>,
    a_m: usize,
) {
    // SAFETY: every access is to an element that the tile names.
    unsafe {
        let mut first = [V::splat(T::zero()); N];
        if let Store::Begin(row) = tile.store {
            for (j, first) in first.iter_mut().enumerate() {
                *first = V::load(row.add(j * V::COUNT));
            }
        }
        let mut sums = [[first; M]; R];
        let mut b = tile.b;
        for u in 0..tile.counts[0] {
            for v in 0..tile.counts[1] {
                let mut a = tile.a.add(u * tile.a_steps[0] + v * tile.a_steps[1]);
                for _ in 0..tile.counts[2] {
                    let mut row = [first[0]; N];
                    for (j, row) in row.iter_mut().enumerate() {
                        *row = V::load(b.add(j * V::COUNT));
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let from = a.wrapping_add(r * tile.a_r);
                        let quads = [0, 4, 8, 12].map(|m| from.wrapping_add(m * a_m));
                        for (m, sums) in sums.iter_mut().enumerate() {
                            let x = V::splat(number(from, quads, a_m, m));
                            for (sum, row) in sums.iter_mut().zip(row) {
                                *sum = x.multiply_add(row, *sum);
                            }
                        }
                    }
                    a = a.wrapping_add(tile.a_steps[2]);
                    b = b.wrapping_add(tile.b_row);
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (m, sums) in sums.into_iter().enumerate() {
                let c = tile.c.add(r * tile.c_r + m * tile.c_m);
                for (j, sum) in sums.into_iter().enumerate() {
                    let c = c.add(j * V::COUNT);
                    let sum = if matches!(tile.store, Store::Add) { V::load(c).add(sum) } else { sum };
                    sum.store(c);
                }
            }
        }
    }
}

/// `to ← to + Σ_i row i` of `rows` rows of `width` numbers, a whole number of registers.
///
/// # Safety
///
/// The processor has `V`'s instruction set; rows and sums are valid for their accesses.
#[inline(always)]
pub(super) unsafe fn column_sums<T: Scalar, V: Lanes<T>>(from: *const T, rows: usize, width: usize, to: *mut T) {
    /// Sums that do not wait for each other.
    const CHAINS: usize = 4;
    // SAFETY: the caller's promise.
    unsafe {
        for j in (0..width).step_by(V::COUNT) {
            let at = |i: usize| V::load(from.add(i * width + j));
            let mut sums = [V::splat(T::zero()); CHAINS];
            let whole = rows / CHAINS * CHAINS;
            for i in (0..whole).step_by(CHAINS) {
                for (chain, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(at(i + chain));
                }
            }
            for (i, sum) in (whole..rows).zip(&mut sums) {
                *sum = sum.add(at(i));
            }
            let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
            V::load(to.add(j)).add(sum).store(to.add(j));
        }
    }
}
