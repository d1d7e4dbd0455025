use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::Scalar;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Numbers that begin with a cache line, so that a vector register loads and stores within one. Otherwise as a boxed
/// slice.
///
/// # Example
///
/// ```
/// use tidemill_tensor::Arena;
///
/// let mut arena = Arena::<f32>::zeros(100);
/// arena[7] = 1.0;
/// assert_eq!(arena.iter().sum::<f32>(), 1.0);
/// assert!(arena.as_ptr().addr().is_multiple_of(64));
/// ```
#[derive(Clone)]
pub struct Arena<T> {
    lines: Vec<Line>,
    len: usize,
    numbers: PhantomData<T>,
}

impl<T: Scalar> Arena<T> {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        let mut arena = Self { lines: Vec::new(), len: 0, numbers: PhantomData };
        arena.grow(len);
        arena
    }

    /// Makes it at least so long; new numbers are zero.
    pub fn grow(&mut self, len: usize) {
        if self.len < len {
            let bytes = len.checked_mul(size_of::<T>()).expect("an arena's size fits its address space");
            let lines = bytes.div_ceil(size_of::<Line>());
            self.lines.resize(lines, Line([0; 64]));
            self.len = len;
        }
    }
}

impl<T: Scalar> Deref for Arena<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines are long enough, aligned for T and initialized, and any bits are an f32 or f64 (`Scalar` is
        // sealed).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Scalar> DerefMut for Arena<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T> fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena of {} numbers", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_new_ones_are_zero() {
        let mut arena = Arena::<f64>::zeros(3);
        arena.copy_from_slice(&[1.0, 2.0, 3.0]);
        arena.grow(20);
        assert_eq!((&arena[..3], arena[3..].iter().sum::<f64>(), arena.len()), (&[1.0, 2.0, 3.0][..], 0.0, 20));
        arena.grow(2);
        assert_eq!(arena.len(), 20);
        assert!(Arena::<f32>::zeros(0).is_empty());
        assert_eq!(Arena::<f32>::zeros(2).clone()[..], [0.0, 0.0]);
    }
}
