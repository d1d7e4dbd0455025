//! A window of 2×2 that moves by 2, sixteen places at a time: rows of images are short, and what is left over of them
//! costs as much as the rest unless it is masked.

use std::arch::x86_64::*;

use crate::Accumulate;

const EVEN: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
const ODD: [i32; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
/// Of two registers, the first halves interleaved, and the second ones.
const FIRST: [i32; 16] = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];
const SECOND: [i32; 16] = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];

/// The masks of `count ≤ 16` places, and of the numbers in the two registers that their windows' rows fill.
#[inline(always)]
fn masks(count: usize) -> (__mmask16, [__mmask16; 2]) {
    let first = |count: usize| ((1_u32 << count.min(16)) - 1) as __mmask16;
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
        let outputs = y.chunks_exact_mut(columns).zip(places.chunks_exact_mut(columns));
        for (x, (y, places)) in x.chunks_exact(2 * width).zip(outputs) {
            for at in (0..columns).step_by(16) {
                let (mask, [head, tail]) = masks(columns - at);
                // SAFETY: the masks leave out what is beyond the row.
                unsafe {
                    let row = |y: usize| {
                        let from = x.as_ptr().add(y * width + 2 * at);
                        let numbers =
                            (_mm512_maskz_loadu_ps(head, from), _mm512_maskz_loadu_ps(tail, from.wrapping_add(16)));
                        let of = |which| _mm512_permutex2var_ps(numbers.0, table(which), numbers.1);
                        [of(&EVEN), of(&ODD)]
                    };
                    let (upper, lower) = (row(0), row(1));
                    let (mut largest, mut place) = (upper[0], _mm512_setzero_ps());
                    for (i, numbers) in [upper[1], lower[0], lower[1]].into_iter().enumerate() {
                        let larger = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(numbers, largest)
                            | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(numbers, numbers);
                        largest = _mm512_mask_mov_ps(largest, larger, numbers);
                        place = _mm512_mask_mov_ps(place, larger, _mm512_set1_ps((i + 1) as f32));
                    }
                    _mm512_mask_storeu_ps(y.as_mut_ptr().add(at), mask, largest);
                    _mm512_mask_storeu_ps(places.as_mut_ptr().add(at), mask, place);
                }
            }
        }
    }
}

/// As [`two_by_two::max_backward`](super::two_by_two::max_backward).
#[target_feature(enable = "avx512f")]
pub(super) fn max_backward(image: [usize; 2], g: &[f32], places: &[f32], x: &mut [f32], onto: Accumulate) {
    let [height, width] = image;
    let (rows, columns) = (height / 2, width / 2);
    let planes = g.chunks_exact(rows * columns).zip(places.chunks_exact(rows * columns));
    for (x, (g, places)) in x.chunks_exact_mut(height * width).zip(planes) {
        let outputs = g.chunks_exact(columns).zip(places.chunks_exact(columns));
        for (x, (g, places)) in x.chunks_exact_mut(2 * width).zip(outputs) {
            for at in (0..columns).step_by(16) {
                let (mask, [head, tail]) = masks(columns - at);
                // SAFETY: the masks leave out what is beyond the row.
                unsafe {
                    let g = _mm512_maskz_loadu_ps(mask, g.as_ptr().add(at));
                    let place = _mm512_maskz_loadu_ps(mask, places.as_ptr().add(at));
                    let of =
                        |k: f32| _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(place, _mm512_set1_ps(k)), g);
                    for (y, [left, right]) in [[of(0.0), of(1.0)], [of(2.0), of(3.0)]].into_iter().enumerate() {
                        let to = x.as_mut_ptr().add(y * width + 2 * at);
                        let halves = [(to, head, &FIRST), (to.wrapping_add(16), tail, &SECOND)];
                        for (to, mask, which) in halves {
                            let mut numbers = _mm512_permutex2var_ps(left, table(which), right);
                            if onto == Accumulate::Add {
                                numbers = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), numbers);
                            }
                            _mm512_mask_storeu_ps(to, mask, numbers);
                        }
                    }
                }
            }
            if onto == Accumulate::Overwrite && width % 2 == 1 {
                (x[width - 1], x[2 * width - 1]) = (0.0, 0.0);
            }
        }
        if onto == Accumulate::Overwrite {
            x[rows * 2 * width..].fill(0.0);
        }
    }
}
