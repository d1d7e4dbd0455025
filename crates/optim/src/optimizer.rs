use std::fmt;
use std::ops::Range;

use tidemill_tensor::Scalar;
use tidemill_tensor::ndarray::ArrayViewMut2;

use crate::{Part, Phase, Schedule, UpdateStep};

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

    /// Moves the parameters by one step.
    ///
    /// Steps count from 0. The gradients are sums over rows and `scale` the one division by their weight: the
    /// transforms see `scale · g`. The gradients are used up.
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

    /// The passes of an update, for workers that share one: for each phase, in order, all [`Phase::measure`] their
    /// blocks, one [`settles`](Phase::settle), and all [`update`](Phase::update) their parts.
    ///
    /// # Example
    ///
    /// ```
    /// # use tidemill_optim::{Compose, clip_by_global_norm, sgd};
    /// # use tidemill_tensor::{Initializer, Layout};
    /// # let mut layout = Layout::new();
    /// # layout.push("weight", &[10_000], Initializer::Constant(0.0))?;
    /// # let optimizer = clip_by_global_norm(1.0).then(sgd(0.1)).build::<f64>(&layout)?;
    /// # let (mut parameters, mut gradients, mut state) = (vec![1.0; 10_000], vec![2.0; 10_000], optimizer.initial_state());
    /// for phase in optimizer.phases() {
    ///     let mut sums = vec![[0.0; 2]; phase.blocks()];
    ///     let half = sums.len() / 2;
    ///     let (front, back) = sums.split_at_mut(half);
    ///     std::thread::scope(|scope| {
    ///         scope.spawn(|| phase.measure(0..half, &parameters, &gradients, front));
    ///         phase.measure(half..half + back.len(), &parameters, &gradients, back);
    ///     });
    ///     let (part, factors) = optimizer.split(&mut parameters, &mut gradients, &mut state);
    ///     phase.settle(1.0, &sums, factors);
    ///     let (mut front, mut back) = part.split_at(3_000);
    ///     let factors = &*factors;
    ///     std::thread::scope(|scope| {
    ///         scope.spawn(move || phase.update(0, 1.0, &mut front, factors));
    ///         phase.update(0, 1.0, &mut back, factors);
    ///     });
    /// }
    /// # assert!(parameters.iter().all(|p| (p - (1.0 - 0.1 * 0.01)).abs() < 1e-8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn phases(&self) -> &[Phase<T>] {
        &self.phases
    }

    /// Everything that an update changes as one [`Part`], and the factors.
    ///
    /// # Panics
    ///
    /// When a slice has not the length that [`update`](Self::update) asks for.
    pub fn split<'a>(
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
