use std::fmt;
use std::ops::Range;

use tidemill_tensor::Scalar;
use tidemill_tensor::ndarray::ArrayViewMut2;

use crate::part::Part;
use crate::phase::Phase;
use crate::rows::Rows;
use crate::workers::{share_out, share_out_rows};
use crate::{Schedule, TableRows, UpdateStep, Workers};

/// A [`Chain`](crate::Chain) made ready for the parameters of one layout; immutable, shared by all threads.
///
/// Its state is one arena of [`state_len`](Self::state_len) elements that the caller keeps: for each slot a block in the
/// order of the parameters, then a few factors.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, sgd};
/// use tidemill_tensor::{Initializer, Layout};
///
/// let mut layout = Layout::new();
/// layout.push("weight", &[2], Initializer::Constant(0.0))?;
/// let optimizer = sgd(0.1).build::<f64>(&layout)?;
///
/// let (mut parameters, mut gradients) = ([1.0, 2.0], [10.0, 40.0]);
/// optimizer.update(0, 0.5, &mut parameters, &mut gradients, &mut optimizer.initial_state());
/// assert_eq!(parameters, [0.5, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Optimizer<T> {
    /// P: elements of a parameter arena.
    pub(crate) len: usize,
    /// The values with which the slots start.
    pub(crate) initial: Vec<f64>,
    pub(crate) factors: usize,
    pub(crate) blocks: Vec<StateBlock>,
    pub(crate) rates: Vec<Schedule>,
    pub(crate) phases: Vec<Phase<T>>,
    /// What moves without a gradient.
    pub(crate) moved: Vec<Range<usize>>,
    /// Of what no rows can be updated alone.
    pub(crate) whole: Vec<Range<usize>>,
}

/// A named range of the state arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBlock {
    /// Such as `adam.first_moment`; unique in an optimizer.
    pub name: String,
    /// Where it lies.
    pub range: Range<usize>,
}

impl<T: Scalar> Optimizer<T> {
    /// Elements of the state arena.
    pub fn state_len(&self) -> usize {
        self.slots() * self.len + self.factors
    }

    /// The state before the first step.
    pub fn initial_state(&self) -> Vec<T> {
        let slots = self.initial.iter().flat_map(|&x| std::iter::repeat_n(T::of(x), self.len));
        slots.chain(std::iter::repeat_n(T::one(), self.factors)).collect()
    }

    /// Names and places of what the state holds, for checkpoints and for looking at it; they cover it in order.
    pub fn state_blocks(&self) -> &[StateBlock] {
        &self.blocks
    }

    /// Numbers of state for each parameter element.
    pub fn slots(&self) -> usize {
        self.initial.len()
    }

    /// Whether some of these parameters may move where their gradient is zero, as by weight decay or momentum: an update
    /// must then not pass over those without one.
    pub fn moves_without_gradient(&self, parameters: Range<usize>) -> bool {
        self.moved.iter().any(|moved| moved.start < parameters.end && parameters.start < moved.end)
    }

    /// The learning rate of the update numbered `step`, from 0; where parts of the model have their own, the first.
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.rates[0].at(step)
    }

    /// Puts the state back to what it is before the first step.
    ///
    /// # Panics
    ///
    /// When the state has another length than [`state_len`](Self::state_len).
    pub fn reset(&self, state: &mut [T]) {
        assert_eq!(state.len(), self.state_len(), "optimizer state");
        let (slots, factors) = state.split_at_mut(self.slots() * self.len);
        for (slot, &initial) in slots.chunks_exact_mut(self.len.max(1)).zip(&self.initial) {
            slot.fill(T::of(initial));
        }
        factors.fill(T::one());
    }

    /// Moves the parameters by one step.
    ///
    /// The gradients are sums over rows and `scale` the one division by their weight: the transforms see `scale · g`. The
    /// gradients are used up.
    ///
    /// # Shapes
    ///
    /// Parameters `[P]`, gradients `[P]`, state [`[state_len]`](Self::state_len).
    ///
    /// # Panics
    ///
    /// When a slice has another length.
    pub fn update(
        &self,
        step: impl Into<UpdateStep>,
        scale: T,
        parameters: &mut [T],
        gradients: &mut [T],
        state: &mut [T],
    ) {
        let step = step.into();
        let (mut part, factors) = self.split(parameters, gradients, state);
        for phase in &self.phases {
            phase.prepare(scale, part.parameters, part.gradients, factors);
            phase.update(step, scale, &mut part, factors);
        }
    }

    /// Whether every element is updated by itself, so that a [part](Self::update_range) of the arena can be updated alone:
    /// nothing, such as a norm, must be measured of the whole gradient.
    pub fn is_elementwise(&self) -> bool {
        self.phases.iter().all(|phase| phase.blocks() == 0)
    }

    /// Moves the parameters of a range of the arena, as [`update`](Self::update) would; the others stay. The slices are
    /// those of the whole arena.
    ///
    /// # Panics
    ///
    /// When the optimizer is not [elementwise](Self::is_elementwise), the range does not lie in the arena, or a slice has
    /// another length.
    pub fn update_range(
        &self,
        step: impl Into<UpdateStep>,
        scale: T,
        range: Range<usize>,
        parameters: &mut [T],
        gradients: &mut [T],
        state: &mut [T],
    ) {
        assert!(self.is_elementwise(), "a part of the arena is updated alone, but norms are of the whole gradient");
        let step = step.into();
        let (part, factors) = self.split(parameters, gradients, state);
        let mut part = part.split_at(range.end).0.split_at(range.start).1;
        self.phases.iter().for_each(|phase| phase.update(step, scale, &mut part, factors));
    }

    /// Whether something is measured of the whole gradient before the first element is updated. What
    /// [`update_in_parallel`](Self::update_in_parallel) does to gradients first then comes too late.
    pub fn measures_first(&self) -> bool {
        self.phases[0].blocks() > 0
    }

    /// As [`update`](Self::update), by several workers, to the same bits on any number of them.
    ///
    /// `complete` is called once with each range of the arena and its gradients, just before they are used and while they
    /// are in the cache: such as to add what other workers have computed.
    ///
    /// # Panics
    ///
    /// As [`update`](Self::update).
    pub fn update_in_parallel(
        &self,
        step: impl Into<UpdateStep>,
        scale: T,
        [parameters, gradients, state]: [&mut [T]; 3],
        workers: &mut dyn Workers,
        complete: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
    ) {
        let step = step.into();
        let nothing = |_: Range<usize>, _: &mut [T]| ();
        for (number, phase) in self.phases.iter().enumerate() {
            let (part, factors) = self.split(parameters, gradients, state);
            phase.prepare(scale, part.parameters, part.gradients, factors);
            let factors = &*factors;
            let first: &(dyn Fn(Range<usize>, &mut [T]) + Sync) = if number == 0 { complete } else { &nothing };
            share_out(workers, part, &|part| phase.update_after(step, scale, part, factors, first));
        }
    }

    /// Whether [rows](Self::update_rows) of a table that lies there can be updated without a look at the others.
    pub fn updates_rows(&self, table: Range<usize>) -> bool {
        !self.whole.iter().any(|whole| whole.start < table.end && table.start < whole.end)
    }

    /// As [`update_in_parallel`](Self::update_in_parallel), where the end of the arena is tables of which only some rows
    /// have a gradient: it looks at those rows, and at what lies in front of the tables, and costs nothing for the others.
    /// The gradients of the rows are zero afterwards.
    ///
    /// SGD and Adagrad come to the same as an update of everything, to the bit; so does a clipped norm, to rounding. Adam
    /// leaves moments of rows alone that have no gradient, and does not move them, as PyTorch's `SparseAdam` does.
    /// Transforms that move parameters without a gradient, such as weight decay, or that measure each parameter have no
    /// such update: see [`updates_rows`](Self::updates_rows).
    ///
    /// # Panics
    ///
    /// As [`update`](Self::update); and when tables do not lie one behind the other up to the end of the arena, or rows
    /// of one cannot be updated alone.
    pub fn update_rows(
        &self,
        step: impl Into<UpdateStep>,
        scale: T,
        [parameters, gradients, state]: [&mut [T]; 3],
        tables: &[TableRows<'_>],
        workers: &mut dyn Workers,
        complete: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
    ) {
        let (step, rows) = (step.into(), Rows(tables));
        rows.check(self.len);
        let front = rows.start(self.len);
        assert!(self.updates_rows(front..self.len), "rows of these tables cannot be updated alone");
        let nothing = |_: Range<usize>, _: &mut [T]| ();
        for (number, phase) in self.phases.iter().enumerate() {
            let (part, factors) = self.split(parameters, gradients, state);
            phase.prepare_rows(scale, part.parameters, part.gradients, factors, front, rows);
            let factors = &*factors;
            let first: &(dyn Fn(Range<usize>, &mut [T]) + Sync) = if number == 0 { complete } else { &nothing };
            let (dense, behind) = part.split_at(front);
            share_out(workers, dense, &|part| phase.update_after(step, scale, part, factors, first));
            let is_last = number + 1 == self.phases.len();
            share_out_rows(workers, behind, rows, &|numbers, part| {
                phase.update_rows_after(step, scale, (rows, numbers.clone()), part, factors, first);
                if is_last {
                    let origin = part.range().start;
                    rows.each(numbers, usize::MAX, |place| {
                        part.gradients[place.start - origin..place.end - origin].fill(T::zero());
                    });
                }
            });
        }
    }

    /// Everything that an update changes as one part, and the factors.
    fn split<'a>(
        &self,
        parameters: &'a mut [T],
        gradients: &'a mut [T],
        state: &'a mut [T],
    ) -> (Part<'a, T>, &'a mut [T]) {
        assert_eq!(parameters.len(), self.len, "parameters");
        assert_eq!(state.len(), self.state_len(), "optimizer state");
        let (slots, factors) = state.split_at_mut(self.slots() * self.len);
        let slots = ArrayViewMut2::from_shape((self.slots(), self.len), slots).expect("lengths were compared");
        (Part::new(0, parameters, gradients, slots), factors)
    }
}

impl<T> fmt::Debug for Optimizer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Optimizer")
            .field("parameters", &self.len)
            .field("phases", &self.phases.len())
            .field("state", &self.blocks)
            .finish_non_exhaustive()
    }
}
