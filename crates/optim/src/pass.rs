use std::ops::Range;
use std::sync::Arc;

use tidemill_tensor::ndarray::ArrayViewMut2;
use tidemill_tensor::{Scalar, kernels};

use crate::fused::{Descent, Fused};
use crate::norm::{self, BlockSum, Group};
use crate::part::Part;
use crate::rows::Rows;
use crate::transform::{Chunk, Coefficients, Norm, Reduction, Rule, Transform};
use crate::{MAX_SLOTS, UpdateStep};

/// Elements that go through all steps before the next ones do: three arrays of state, gradients and parameters of them
/// fit into a first-level cache of 32 KiB in `f32`.
const CHUNK: usize = 1024;

/// The most steps of a pass; a longer chain has one more pass.
pub(crate) const MAX_STEPS: usize = 8;

/// One pass over memory: transforms of which only the first may need a reduction.
///
/// [`Optimizer::update`](crate::Optimizer::update) runs all passes.
pub(crate) struct Pass<T> {
    /// The first pass brings gradients to scale.
    pub(crate) first: bool,
    pub(crate) reduce: Option<Reduce>,
    pub(crate) steps: Vec<Step<T>>,
}

/// What must be measured before a pass's first element can be updated.
pub(crate) struct Reduce {
    pub(crate) transform: Arc<dyn Transform>,
    pub(crate) reduction: Reduction,
    pub(crate) groups: Vec<Group>,
    /// Where the factors of the groups lie among all factors.
    pub(crate) factors: Range<usize>,
}

/// One transform, or the move of the parameters, on a selection of the arena.
pub(crate) struct Step<T> {
    pub(crate) action: Action<T>,
    pub(crate) at: Option<Arc<dyn Transform>>,
    pub(crate) ranges: Vec<Range<usize>>,
    pub(crate) slots: Range<usize>,
    /// Where its factors lie: none, one for all ranges, or one for each.
    pub(crate) factors: Range<usize>,
}

pub(crate) enum Action<T> {
    Rule(Arc<dyn Rule<T>>, Option<Box<dyn Fused<T>>>),
    /// `p ← p − a u`, where `a` is the first coefficient, or 1.
    Move,
}

impl<T: Scalar> Pass<T> {
    /// How many block sums it needs first: 0 when it has no reduction.
    pub(crate) fn blocks(&self) -> usize {
        self.reduce.iter().flat_map(|r| &r.groups).map(|g| g.blocks.len()).sum()
    }

    /// Measures what must be known of the whole arenas, as the pass before left them, and turns it into the `factors`
    /// with which [`update`](Self::update) works.
    pub(crate) fn prepare(&self, scale: T, parameters: &[T], gradients: &[T], factors: &mut [T]) {
        if let Some(reduce) = &self.reduce {
            let blocks = reduce.groups.iter().flat_map(|g| &g.blocks);
            reduce.finish(self.scale(scale), blocks.map(|b| reduce.sum(b, parameters, gradients)), factors);
        }
    }

    /// As [`prepare`](Self::prepare), where all of the tables is zero but for some rows.
    pub(crate) fn prepare_rows(&self, scale: T, parameters: &[T], gradients: &[T], factors: &mut [T], rows: Rows<'_>) {
        let Some(reduce) = &self.reduce else { return };
        let sums = reduce.groups.iter().map(|group| {
            let mut sums = [0.0; 2];
            let mut add = |place: &Range<usize>| {
                let sum = reduce.sum(place, parameters, gradients);
                sums = reduce.combine([sums, sum].into_iter());
            };
            rows.gaps(gradients.len()).for_each(|gap| group.within(gap).for_each(|block| add(&block)));
            rows.each(0..rows.count(), CHUNK, |place| {
                if group.holds(&place) {
                    add(&place);
                }
            });
            sums
        });
        reduce.finish_norms(self.scale(scale), sums, factors);
    }

    /// Updates one part. The bits do not depend on how the arena is cut into parts.
    ///
    /// Gradients are used up; after the last pass the parameters have moved.
    pub(crate) fn update(&self, step: UpdateStep, scale: T, part: &mut Part<'_, T>, factors: &[T]) {
        self.update_after(step, scale, part, factors, &|_, _| ());
    }

    /// As [`update`](Self::update), with something done first to the gradients of each few elements, such as adding
    /// those of other workers, while they are in the cache. `complete` gets their range in the arena and the gradients.
    pub(crate) fn update_after(
        &self,
        step: UpdateStep,
        scale: T,
        part: &mut Part<'_, T>,
        factors: &[T],
        complete: &(impl Fn(Range<usize>, &mut [T]) + Sync + ?Sized),
    ) {
        let at = self.coefficients(step);
        self.update_elements(&at, scale, part.range(), part, factors, complete);
    }

    /// As [`update_after`](Self::update_after), of the rows that are numbered so.
    pub(crate) fn update_rows_after(
        &self,
        step: UpdateStep,
        scale: T,
        (rows, numbers): (Rows<'_>, Range<usize>),
        part: &mut Part<'_, T>,
        factors: &[T],
        complete: &(impl Fn(Range<usize>, &mut [T]) + Sync + ?Sized),
    ) {
        let at = self.coefficients(step);
        rows.each(numbers, CHUNK, |place| self.update_elements(&at, scale, place, part, factors, complete));
    }

    fn coefficients(&self, step: UpdateStep) -> [Coefficients; MAX_STEPS] {
        let mut at = [[0.0; 4]; MAX_STEPS];
        for (at, step_) in at.iter_mut().zip(&self.steps) {
            *at = step_.coefficients(step);
        }
        at
    }

    /// Updates a range of the arena that lies in the part.
    fn update_elements(
        &self,
        at: &[Coefficients; MAX_STEPS],
        scale: T,
        range: Range<usize>,
        part: &mut Part<'_, T>,
        factors: &[T],
        complete: &(impl Fn(Range<usize>, &mut [T]) + Sync + ?Sized),
    ) {
        let scale = if self.first { scale } else { T::one() };
        let Range { mut start, end } = range;
        let first = part.range().start;
        while start < end {
            let chunk = start..end.min(start + CHUNK);
            complete(chunk.clone(), &mut part.gradients[chunk.start - first..chunk.end - first]);
            if !self.descend(at, &chunk, scale, part) {
                if scale != T::one() {
                    kernels::scale(&mut part.gradients[chunk.start - first..chunk.end - first], scale);
                }
                for (step, at) in self.steps.iter().zip(at) {
                    step.run(at, &chunk, part, factors);
                }
            }
            start = chunk.end;
        }
    }

    /// Does all of a chunk in one pass, if this pass is a rule and a move of the same elements and the rule can.
    fn descend(&self, at: &[Coefficients; MAX_STEPS], chunk: &Range<usize>, scale: T, part: &mut Part<'_, T>) -> bool {
        let [
            Step { action: Action::Rule(_, Some(fused)), ranges, slots, factors, .. },
            Step { action: Action::Move, ranges: moved, .. },
        ] = &self.steps[..]
        else {
            return false;
        };
        let whole = matches!(&ranges[..], [range] if range.start <= chunk.start && chunk.end <= range.end);
        if !whole || ranges != moved || !factors.is_empty() {
            return false;
        }
        let origin = part.range().start;
        let piece = chunk.start - origin..chunk.end - origin;
        let slots = take_slots(&mut part.slots, slots, &piece);
        let (gradients, parameters) = (&mut part.gradients[piece.clone()], &mut part.parameters[piece]);
        fused.descend(&at[0], Descent { gradients, parameters, scale, rate: T::of(at[1][0]), slots });
        true
    }

    /// By how much the gradients are still off when this pass's norms are taken.
    fn scale(&self, scale: T) -> f64 {
        if self.first { scale.widen().abs() } else { 1.0 }
    }
}

/// A piece of each of some slots.
fn take_slots<'a, T>(
    all: &'a mut ArrayViewMut2<'_, T>,
    slots: &Range<usize>,
    piece: &Range<usize>,
) -> [&'a mut [T]; MAX_SLOTS] {
    let mut pieces: [&mut [T]; MAX_SLOTS] = Default::default();
    let rows = all.rows_mut().into_iter().skip(slots.start).take(slots.len());
    for (slot, row) in pieces.iter_mut().zip(rows) {
        *slot = &mut row.into_slice().expect("the rows of a part's slots are contiguous")[piece.clone()];
    }
    pieces
}

impl Reduce {
    fn norm(&self) -> Norm {
        match self.reduction {
            Reduction::Global(norm) => norm,
            Reduction::PerParameter => Norm::L2,
        }
    }

    fn sum<T: Scalar>(&self, block: &Range<usize>, parameters: &[T], gradients: &[T]) -> BlockSum {
        let updates = norm::measure(self.norm(), &gradients[block.clone()]);
        match self.reduction {
            Reduction::Global(_) => [updates, 0.0],
            Reduction::PerParameter => [updates, norm::measure(self.norm(), &parameters[block.clone()])],
        }
    }

    fn finish<T: Scalar>(&self, scale: f64, mut sums: impl Iterator<Item = BlockSum>, factors: &mut [T]) {
        let of_groups = self.groups.iter().map(|group| self.combine(sums.by_ref().take(group.blocks.len())));
        self.finish_norms(scale, of_groups, factors);
    }

    /// The sum of several blocks.
    fn combine(&self, sums: impl Iterator<Item = BlockSum>) -> BlockSum {
        norm::combine(self.norm(), sums)
    }

    /// Turns the sums of groups into their factors.
    fn finish_norms<T: Scalar>(&self, scale: f64, sums: impl Iterator<Item = BlockSum>, factors: &mut [T]) {
        for (sums, factor) in sums.zip(&mut factors[self.factors.clone()]) {
            let mut norms = norm::root(self.norm(), sums);
            norms.updates *= scale;
            *factor = T::of(self.transform.factor(norms));
        }
    }
}

impl<T: Scalar> Step<T> {
    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        self.at.as_ref().map_or([1.0; 4], |transform| transform.coefficients(step))
    }

    fn run(&self, at: &Coefficients, chunk: &Range<usize>, part: &mut Part<'_, T>, factors: &[T]) {
        let origin = part.range().start;
        let first = self.ranges.partition_point(|range| range.end <= chunk.start);
        for (i, range) in self.ranges.iter().enumerate().skip(first) {
            if range.start >= chunk.end {
                break;
            }
            let piece = range.start.max(chunk.start) - origin..range.end.min(chunk.end) - origin;
            self.run_piece(at, piece, part, self.factor(i, factors));
        }
    }

    fn run_piece(&self, at: &Coefficients, piece: Range<usize>, part: &mut Part<'_, T>, factor: T) {
        let updates = &mut part.gradients[piece.clone()];
        let rule = match &self.action {
            Action::Move => return kernels::axpy(&mut part.parameters[piece], -T::of(at[0]), updates),
            Action::Rule(rule, _) => rule,
        };
        let slots = take_slots(&mut part.slots, &self.slots, &piece);
        rule.update(at, Chunk { updates, parameters: &part.parameters[piece], factor, slots });
    }

    fn factor(&self, range: usize, factors: &[T]) -> T {
        match self.factors.len() {
            0 => T::one(),
            1 => factors[self.factors.start],
            _ => factors[self.factors.start + range],
        }
    }
}
