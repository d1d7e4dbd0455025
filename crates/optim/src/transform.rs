use std::any::Any;
use std::fmt::Debug;

use tidemill_tensor::Scalar;

use crate::{Error, Schedule, Untouched, UpdateStep};

/// What a rule needs to know of a step, as functions of the step alone: bias corrections, a learning rate.
///
/// Computed in `f64` once an update, not once an element.
pub type Coefficients = [f64; 4];

/// The most slots that one transform may have.
pub const MAX_SLOTS: usize = 4;

/// One number of state for each parameter element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// What it holds, such as `first_moment`.
    pub name: &'static str,
    /// What it holds before the first step.
    pub initial: f64,
}

impl Slot {
    /// A slot that starts at zero.
    pub const fn zero(name: &'static str) -> Self {
        Self { name, initial: 0.0 }
    }
}

/// A few thousand consecutive elements of the arenas, small enough to stay in the first-level cache while every
/// transform of a chain has its turn. All slices are equally long.
pub struct Chunk<'a, T> {
    /// The updates `u` as the transforms before left them, to be rewritten in place; at first the gradients.
    pub updates: &'a mut [T],
    /// The parameters `p` before the step.
    pub parameters: &'a [T],
    /// [`Transform::factor`] of this step; 1 without a [`Transform::reduction`].
    pub factor: T,
    pub(crate) slots: [&'a mut [T]; MAX_SLOTS],
}

impl<'a, T> Chunk<'a, T> {
    /// Takes the chunk apart: updates, parameters, and the first `N` of the declared slots.
    ///
    /// # Panics
    ///
    /// When a slice has not the length of the updates: the transform declared fewer slots than it asks for.
    pub fn parts<const N: usize>(self) -> (&'a mut [T], &'a [T], [&'a mut [T]; N]) {
        let mut slots = self.slots.into_iter();
        let slots = std::array::from_fn(|_| slots.next().expect("a transform has at most MAX_SLOTS slots"));
        assert!(slots.iter().all(|slot| slot.len() == self.updates.len()), "more slots used than declared");
        (self.updates, self.parameters, slots)
    }
}

/// The numbers of a [`Transform`], in `f32` or `f64`.
pub trait Rule<T: Scalar>: Send + Sync {
    /// Rewrites a chunk's updates and slots. Works element by element: where a chunk begins and ends must not matter.
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>);
}

/// A gradient transformation: the one shape of which optimizers, clipping, regularizers and schedules are made.
///
/// The updates start as the gradients, pass through every transform of a [`Chain`](crate::Chain) in order, and are
/// subtracted from the parameters at the end.
///
/// # Example
///
/// A transform of one's own: keep the sign of the gradient, forget its size.
///
/// ```
/// use tidemill_optim::{Chunk, Coefficients, Compose, Error, Rule, Transform, learning_rate};
/// use tidemill_tensor::{Initializer, Layout, Scalar};
///
/// #[derive(Clone, Debug)]
/// struct Sign;
///
/// impl Transform for Sign {
///     fn name(&self) -> &'static str {
///         "sign"
///     }
///
///     fn check(&self) -> Result<(), Error> {
///         Ok(())
///     }
/// }
///
/// impl<T: Scalar> Rule<T> for Sign {
///     fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
///         chunk.updates.iter_mut().for_each(|u| *u = u.signum());
///     }
/// }
///
/// let mut layout = Layout::new();
/// layout.push("weight", &[2], Initializer::Constant(0.0))?;
/// let optimizer = Sign.then(learning_rate(0.5)).build::<f32>(&layout)?;
/// let (mut parameters, mut gradients) = ([1.0, 1.0], [-7.0, 0.1]);
/// optimizer.update(0, 1.0, &mut parameters, &mut gradients, &mut optimizer.initial_state());
/// assert_eq!(parameters, [1.5, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
///
/// M. Hessel et al., *Optax: composable gradient transformation and optimisation, in JAX*, 2020: the idea.
pub trait Transform: Rule<f32> + Rule<f64> + Debug + Any {
    /// Its name in errors and in names of state, such as `adam`.
    fn name(&self) -> &'static str;

    /// Checks the hyper-parameters.
    ///
    /// # Errors
    ///
    /// When one lies outside its domain.
    fn check(&self) -> Result<(), Error>;

    /// The state that it keeps for each parameter element; at most [`MAX_SLOTS`].
    fn slots(&self) -> Vec<Slot> {
        Vec::new()
    }

    /// What the rule gets as `at`.
    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        let _ = step;
        [0.0; 4]
    }

    /// Whether it sets the learning rate. Only parameters to which a chain gives a learning rate move.
    fn rate(&self) -> Rate<'_> {
        Rate::None
    }

    /// Whether an update of zero may become another one, as by weight decay; whoever skips elements without a gradient
    /// then must not. Transforms that only look at the updates say no.
    fn moves_without_gradient(&self) -> bool {
        true
    }

    /// What becomes of rows of a table that a step does not touch; see
    /// [`Optimizer::update_rows`](crate::Optimizer::update_rows). By default they stay if the transform neither keeps
    /// state nor moves anything without a gradient, and otherwise move.
    fn untouched(&self) -> Untouched {
        match self.slots().is_empty() && !self.moves_without_gradient() {
            true => Untouched::Stays,
            false => Untouched::Moves { instead: "a transform that leaves rows without a gradient alone" },
        }
    }

    /// A norm that must be known before the first element can be updated. It costs one more pass over memory, which
    /// only reads.
    fn reduction(&self) -> Option<Reduction> {
        None
    }

    /// The number that the rule gets as [`Chunk::factor`], from the norms that [`reduction`](Self::reduction) asks for.
    fn factor(&self, norms: Norms) -> f64 {
        let _ = norms;
        1.0
    }
}

/// A transform's relation to the learning rate.
#[derive(Clone, Copy, Debug)]
pub enum Rate<'a> {
    /// It does not set it.
    None,
    /// It multiplies the updates by the schedule, and does nothing else; the rate is the first of its coefficients.
    Factor(&'a Schedule),
    /// Its rule makes use of the schedule in another way.
    Inside(&'a Schedule),
}

/// Which norms a transform asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// One norm of all selected updates together.
    Global(Norm),
    /// For each selected parameter tensor the Euclidean norms of its values and of its updates; one factor for each.
    PerParameter,
}

/// How a vector's size is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// `sqrt(Σ u²)`.
    L2,
    /// `max |u|`.
    Max,
}

/// The norms that a [`Reduction`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norms {
    /// Of the updates.
    pub updates: f64,
    /// Of the parameters; 0 for [`Reduction::Global`], which does not read them.
    pub parameters: f64,
}
