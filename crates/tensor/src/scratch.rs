//! One buffer a thread, which grows to the largest request and is kept.

use std::cell::RefCell;

use crate::Scalar;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

thread_local! {
    static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with slices of these lengths, each aligned to a cache line; what they hold is left from earlier uses.
pub(super) fn with_scratch<T: Scalar, const N: usize, R>(lens: [usize; N], f: impl FnOnce([&mut [T]; N]) -> R) -> R {
    let line = size_of::<Line>() / size_of::<T>();
    LINES.with_borrow_mut(|lines| {
        let needed: usize = lens.iter().map(|len| len.div_ceil(line)).sum();
        if lines.len() < needed {
            lines.resize(needed, Line([0; 64]));
        }
        let mut rest = &mut lines[..];
        f(lens.map(|len| {
            let (taken, behind) = std::mem::take(&mut rest).split_at_mut(len.div_ceil(line));
            rest = behind;
            // SAFETY: the lines are long enough, aligned for T, initialized, and any bits are an f32 or f64 (`Scalar`
            // is sealed).
            unsafe { std::slice::from_raw_parts_mut(taken.as_mut_ptr().cast::<T>(), len) }
        }))
    })
}
