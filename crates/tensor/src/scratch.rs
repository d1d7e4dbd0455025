//! Memory that a kernel works in: buffers of the thread, which are kept.

use std::cell::RefCell;

use crate::{Arena, Scalar};

thread_local! {
    /// Those that are not in use: one, or as many as uses were nested; the outermost use takes the last one.
    static BUFFERS: RefCell<Vec<Arena<f64>>> = const { RefCell::new(Vec::new()) };
}

/// What a buffer has from the first on: more than any matrix product asks for, so that none allocates later, whatever its
/// operands hold.
pub(crate) const LEAST_BYTES: usize = 1 << 20;

/// Numbers of a buffer in a cache line.
const LINE: usize = 64 / size_of::<f64>();

/// Calls `f` with slices of these lengths, each aligned to a cache line; what they hold is left from earlier uses. Within
/// `f` it may be called again, which takes another buffer.
pub(crate) fn with_scratch<T: Scalar, const N: usize, R>(lens: [usize; N], f: impl FnOnce([&mut [T]; N]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Arena::zeros(LEAST_BYTES / size_of::<f64>()));
    let whole_lines = |len: usize| {
        let bytes = len.checked_mul(size_of::<T>()).expect("scratch fits the address space");
        bytes.div_ceil(size_of::<f64>()).next_multiple_of(LINE)
    };
    let total = lens.iter().try_fold(0_usize, |sum, &len| sum.checked_add(whole_lines(len)));
    buffer.grow(total.expect("scratch fits the address space"));
    let mut rest = &mut buffer[..];
    let result = f(lens.map(|len| {
        let (taken, behind) = std::mem::take(&mut rest).split_at_mut(whole_lines(len));
        rest = behind;
        // SAFETY: the lines are long enough, aligned for T and initialized, and any bits are an f32 or f64 (`Scalar` is
        // sealed).
        unsafe { std::slice::from_raw_parts_mut(taken.as_mut_ptr().cast::<T>(), len) }
    }));
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_begin_with_cache_lines_and_nested_uses_lie_apart() {
        for _ in 0..2 {
            with_scratch([3, 0, 20], |outer: [&mut [f32]; 3]| {
                assert_eq!(outer.each_ref().map(|s| s.len()), [3, 0, 20]);
                assert!(outer.iter().all(|s| s.as_ptr().addr().is_multiple_of(64)));
                outer[0].fill(1.0);
                outer[2].fill(2.0);
                with_scratch([LEAST_BYTES / 8 + 1], |[inner]: [&mut [f64]; 1]| inner.fill(3.0));
                assert!(outer[0].iter().all(|&x| x == 1.0) && outer[2].iter().all(|&x| x == 2.0));
            });
        }
        assert_eq!(BUFFERS.with_borrow(Vec::len), 2);
    }
}
