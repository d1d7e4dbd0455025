use std::fmt;
use std::ops::Range;

use tidemill_tensor::Scalar;
use tidemill_tensor::ndarray::ArrayViewMut2;

use crate::lazy::LazyTable;
use crate::part::Part;
use crate::pass::Pass;
use crate::workers::share_out;
use crate::{Schedule, Table, UpdateStep, Workers};

/// A [`Chain`](crate::Chain) made ready for the parameters of one layout; immutable, shared by all threads.
///
/// Its state is one arena of [`state_len`](Self::state_len) elements that the caller keeps: for each slot a block in
/// the order of the parameters, then a few factors.
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
    pub(crate) passes: Vec<Pass<T>>,
    /// What moves without a gradient.
    pub(crate) moved: Vec<Range<usize>>,
    /// Of what no rows can be updated alone, and why.
    pub(crate) whole: Vec<(Range<usize>, String)>,
    /// Tables whose rows are caught up, in the order of the arena.
    pub(crate) lazy: Vec<LazyTable>,
    pub(crate) tables: Vec<Table>,
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
    /// The tables that it was [built with](crate::Chain::build_with_tables).
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Elements of the state arena.
    pub fn state_len(&self) -> usize {
        self.memory_start() + self.lazy.last().map_or(0, |table| table.memory.end)
    }

    /// Where slots and factors end in the state.
    pub(crate) fn memory_start(&self) -> usize {
        self.slots() * self.len + self.factors
    }

    /// The state before the first step.
    pub fn initial_state(&self) -> Vec<T> {
        let slots = self.initial.iter().flat_map(|&x| std::iter::repeat_n(T::of(x), self.len));
        let mut state: Vec<T> = slots.chain(std::iter::repeat_n(T::one(), self.factors)).collect();
        state.resize(self.state_len(), T::zero());
        state
    }

    /// Names and places of what the state holds, for checkpoints and for looking at it; they cover it in order.
    pub fn state_blocks(&self) -> &[StateBlock] {
        &self.blocks
    }

    /// Numbers of state for each parameter element.
    pub fn slots(&self) -> usize {
        self.initial.len()
    }

    /// Whether some of these parameters may move where their gradient is zero, as by weight decay or momentum: an
    /// update must then not pass over those without one.
    pub fn moves_without_gradient(&self, parameters: Range<usize>) -> bool {
        self.moved.iter().any(|moved| moved.start < parameters.end && parameters.start < moved.end)
    }

    /// The learning rate of the update numbered `step`, from 0; where parts of the model have their own, the first.
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.rates[0].at(step)
    }

    /// Puts the state back to what it is before the first step. Rows that are to be [caught up](Self::catch_up) still
    /// are.
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
        factors[..self.factors].fill(T::one());
    }

    /// Moves the parameters by one step.
    ///
    /// The gradients are sums over rows and `scale` the one division by their weight: the transforms see `scale · g`.
    /// The gradients are used up.
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
        self.catch_up(parameters, state);
        let (mut part, factors) = self.split(parameters, gradients, state);
        for pass in &self.passes {
            pass.prepare(scale, part.parameters, part.gradients, factors);
            pass.update(step, scale, &mut part, factors);
        }
    }

    /// Whether every element is updated by itself, so that a [part](Self::update_range) of the arena can be updated
    /// alone: nothing, such as a norm, must be measured of the whole gradient.
    pub fn is_elementwise(&self) -> bool {
        self.passes.iter().all(|pass| pass.blocks() == 0)
    }

    /// Moves the parameters of a range of the arena, as [`update`](Self::update) would; the others stay. The slices are
    /// those of the whole arena.
    ///
    /// # Panics
    ///
    /// When the optimizer is not [elementwise](Self::is_elementwise), the range does not lie in the arena, or a slice
    /// has another length.
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
        self.catch_up(parameters, state);
        let (part, factors) = self.split(parameters, gradients, state);
        let mut part = part.split_at(range.end).0.split_at(range.start).1;
        self.passes.iter().for_each(|pass| pass.update(step, scale, &mut part, factors));
    }

    /// Whether something is measured of the whole gradient before the first element is updated. What
    /// [`update_in_parallel`](Self::update_in_parallel) does to gradients first then comes too late.
    pub fn measures_first(&self) -> bool {
        self.passes[0].blocks() > 0
    }

    /// As [`update`](Self::update), by several workers, to the same bits on any number of them.
    ///
    /// `complete` is called once with each range of the arena and its gradients, just before they are used and while
    /// they are in the cache: such as to add what other workers have computed.
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
        self.catch_up(parameters, state);
        let nothing = |_: Range<usize>, _: &mut [T]| ();
        for (number, pass) in self.passes.iter().enumerate() {
            let (part, factors) = self.split(parameters, gradients, state);
            pass.prepare(scale, part.parameters, part.gradients, factors);
            let factors = &*factors;
            let first: &(dyn Fn(Range<usize>, &mut [T]) + Sync) = if number == 0 { complete } else { &nothing };
            share_out(workers, part, &|part| pass.update_after(step, scale, part, factors, first));
        }
    }

    pub(crate) fn check(&self, parameters: &[T], state: &[T]) {
        assert_eq!(parameters.len(), self.len, "parameters");
        assert_eq!(state.len(), self.state_len(), "optimizer state");
    }

    /// Everything that an update changes as one part, and the factors.
    pub(crate) fn split<'a>(
        &self,
        parameters: &'a mut [T],
        gradients: &'a mut [T],
        state: &'a mut [T],
    ) -> (Part<'a, T>, &'a mut [T]) {
        self.check(parameters, state);
        let (slots, factors) = state.split_at_mut(self.slots() * self.len);
        let slots = ArrayViewMut2::from_shape((self.slots(), self.len), slots).expect("lengths were compared");
        (Part::new(0, parameters, gradients, slots), &mut factors[..self.factors])
    }
}

impl<T> fmt::Debug for Optimizer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Optimizer")
            .field("parameters", &self.len)
            .field("passes", &self.passes.len())
            .field("state", &self.blocks)
            .finish_non_exhaustive()
    }
}
