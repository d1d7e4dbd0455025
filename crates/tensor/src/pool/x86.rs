//! A window of 2×2 that moves by 2, sixteen places at a time: rows of images are short, and what is left over of them
//! costs as much as the rest unless it is masked.

use std::arch::x86_64::*;

use crate::Write;
use crate::lanes::x86::first_of_16;

const EVEN: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
const ODD: [i32; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
/// Of two registers, the first halves interleaved, and the second ones.
const FIRST: [i32; 16] = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];
const SECOND: [i32; 16] = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];

/// The masks of `count ≤ 16` places, and of the numbers in the two registers that their windows' rows fill.
#[inline(always)]
fn masks(count: usize) -> (__mmask16, [__mmask16; 2]) {
    let first = |count: usize| first_of_16(count.min(16));
    (first(count), [first(2 * count), first((2 * count).saturating_sub(16))])
}

#[inline(always)]
fn table(indices: &[i32; 16]) -> __m512i {
    // SAFETY: the array is as large as the register.
    unsafe { std::mem::transmute(*indices) }
}

/// As [`two_by_two::max`](super::two_by_two::max).
#[target_feature(enable = "avx512f")]
pub(super) fn max(image: [usize; 2], x: &[f32], y: &mut [f32], places: &mut [f32]) {
    let [height, width] = image;
    let (rows, columns) = (height / 2, width / 2);
    let planes = y.chunks_exact_mut(rows * columns).zip(places.chunks_exact_mut(rows * columns));
    for (x, (y, places)) in x.chunks_exact(height * width).zip(planes) {
        for at in (0..columns).step_by(16) {
            let (mask, parts) = masks(columns - at);
            for row in 0..rows {
                let to = row * columns + at;
                // SAFETY: the rows lie within their planes, and the masks leave out what is beyond them.
                unsafe {
                    let [a, b] = load(x.as_ptr().add(2 * row * width + 2 * at), parts);
                    let [c, d] = load(x.as_ptr().add((2 * row + 1) * width + 2 * at), parts);
                    let (mut largest, mut place) = (a, _mm512_setzero_ps());
                    for (i, numbers) in [b, c, d].into_iter().enumerate() {
                        let larger = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(numbers, largest)
                            | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(numbers, numbers);
                        largest = _mm512_mask_mov_ps(largest, larger, numbers);
                        place = _mm512_mask_mov_ps(place, larger, _mm512_set1_ps((i + 1) as f32));
                    }
                    _mm512_mask_storeu_ps(y.as_mut_ptr().add(to), mask, largest);
                    _mm512_mask_storeu_ps(places.as_mut_ptr().add(to), mask, place);
                }
            }
        }
    }
}

/// As [`two_by_two::max_backward`](super::two_by_two::max_backward).
#[target_feature(enable = "avx512f")]
pub(super) fn max_backward(image: [usize; 2], g: &[f32], places: &[f32], x: &mut [f32], write: Write) {
    let [height, width] = image;
    let (rows, columns) = (height / 2, width / 2);
    let planes = g.chunks_exact(rows * columns).zip(places.chunks_exact(rows * columns));
    for (x, (g, places)) in x.chunks_exact_mut(height * width).zip(planes) {
        for at in (0..columns).step_by(16) {
            let (mask, parts) = masks(columns - at);
            for row in 0..rows {
                let from = row * columns + at;
                // SAFETY: the rows lie within their planes, and the masks leave out what is beyond them.
                unsafe {
                    let g = _mm512_maskz_loadu_ps(mask, g.as_ptr().add(from));
                    let place = _mm512_maskz_loadu_ps(mask, places.as_ptr().add(from));
                    let of =
                        |k: f32| _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(place, _mm512_set1_ps(k)), g);
                    store(x.as_mut_ptr().add(2 * row * width + 2 * at), parts, [of(0.0), of(1.0)], write);
                    store(x.as_mut_ptr().add((2 * row + 1) * width + 2 * at), parts, [of(2.0), of(3.0)], write);
                }
            }
        }
        if write == Write::Assign {
            if !width.is_multiple_of(2) {
                x.chunks_exact_mut(width).for_each(|row| row[width - 1] = 0.0);
            }
            x[rows * 2 * width..].fill(0.0);
        }
    }
}

/// The numbers at even places, and those at odd ones.
///
/// # Safety
///
/// The numbers that the masks name can be read; the processor has AVX-512.
#[inline(always)]
unsafe fn load(from: *const f32, parts: [__mmask16; 2]) -> [__m512; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let head = _mm512_maskz_loadu_ps(parts[0], from);
        let tail = _mm512_maskz_loadu_ps(parts[1], from.wrapping_add(16));
        [&EVEN, &ODD].map(|which| _mm512_permutex2var_ps(head, table(which), tail))
    }
}

/// Writes numbers to even and to odd places.
///
/// # Safety
///
/// The numbers that the masks name can be read and written; the processor has AVX-512.
#[inline(always)]
unsafe fn store(to: *mut f32, parts: [__mmask16; 2], [even, odd]: [__m512; 2], write: Write) {
    for (i, (which, mask)) in [&FIRST, &SECOND].into_iter().zip(parts).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let to = to.wrapping_add(16 * i);
            let mut numbers = _mm512_permutex2var_ps(even, table(which), odd);
            if write == Write::Add {
                numbers = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), numbers);
            }
            _mm512_mask_storeu_ps(to, mask, numbers);
        }
    }
}
