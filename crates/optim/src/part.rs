use std::ops::Range;

use tidemill_tensor::ndarray::{ArrayViewMut2, Axis};

/// Everything that an update changes for a range of the arena: what one worker owns.
#[derive(Debug)]
pub(crate) struct Part<'a, T> {
    start: usize,
    pub(crate) parameters: &'a mut [T],
    pub(crate) gradients: &'a mut [T],
    pub(crate) slots: ArrayViewMut2<'a, T>,
}

impl<'a, T> Part<'a, T> {
    /// The part that begins at element `start` of the arena, of `N` elements: parameters `[N]`, gradients `[N]`, slots
    /// `[S, N]`, each row contiguous.
    pub fn new(start: usize, parameters: &'a mut [T], gradients: &'a mut [T], slots: ArrayViewMut2<'a, T>) -> Self {
        let n = parameters.len();
        assert!(gradients.len() == n && slots.ncols() == n, "parameters, gradients and slots of one length");
        Self { start, parameters, gradients, slots }
    }

    /// Its place in the arena.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.parameters.len()
    }

    /// The parts before and from element `index` of the arena, which lies in [`range`](Self::range).
    pub fn split_at(self, index: usize) -> (Self, Self) {
        let n = index - self.start;
        let (p0, p1) = self.parameters.split_at_mut(n);
        let (g0, g1) = self.gradients.split_at_mut(n);
        let (s0, s1) = self.slots.split_at(Axis(1), n);
        (Self::new(self.start, p0, g0, s0), Self::new(index, p1, g1, s1))
    }
}
