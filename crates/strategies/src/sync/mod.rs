//! How ranks agree on each step.

mod adasum;
mod after;
mod all_reduce;
mod average;
mod compress;
mod message;
mod overlap;
mod parts;

pub use adasum::Adasum;
pub use after::After;
pub use all_reduce::{AllReduce, FastAllReduce};
pub use average::Average;
pub use compress::{Compress, Compression};
pub use overlap::Overlap;
pub use parts::RankMemory;

use std::ops::Range;

use tidemill_autograd::tensor::{Layout, Scalar, kernels};
use tidemill_collective::{Collective, Error as Lost, Values};

use crate::{Error, RankRows};

/// How ranks agree on each step: what they tell each other of their gradients or parameters. One value, given to
/// [`Distributed::sync`](crate::Distributed::sync).
///
/// It owns what it remembers between steps, such as what compression has not sent yet, and gives it to be saved.
///
/// Of tables, such as embeddings, ranks add up the rows that a step touches, in rank order and whole, whatever the sync is:
/// its gradient is that of the other parameters. Only averages of parameters are of all of them.
///
/// # Example
///
/// One's own: the sum of the gradients' signs, so that each rank has a vote on where a parameter goes.
///
/// ```
/// use tidemill_autograd::tensor::Scalar;
/// use tidemill_collective::{Collective, Error, Values};
/// use tidemill_strategies::{GradientSync, SyncStep, Synced};
///
/// struct Vote;
///
/// impl<T: Scalar> GradientSync<T> for Vote {
///     fn describe(&self) -> String {
///         "votes on signs".into()
///     }
///
///     fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], _: &SyncStep) -> Result<Synced, Error> {
///         gradient.iter_mut().for_each(|value| *value = value.signum());
///         ranks.sum(Values::of(gradient))?;
///         gradient.iter_mut().for_each(|value| *value = value.signum());
///         Ok(Synced::Mean)
///     }
/// }
/// # fn is_sync(_: impl GradientSync<f32>) {}
/// # is_sync(Vote);
/// ```
pub trait GradientSync<T: Scalar>: Send {
    /// As reports show it, such as `sums in rank order`; compared among ranks, so it tells every setting.
    fn describe(&self) -> String;

    /// Makes ready for a run: checks the settings, allocates what steps need, forgets what an earlier run left.
    ///
    /// # Errors
    ///
    /// When a setting is impossible, or does not go with others.
    fn start(&mut self, run: &SyncRun<'_>) -> Result<(), Error> {
        let _ = run;
        Ok(())
    }

    /// Makes of this rank's gradient, a sum over the rows that it has computed on, that of all ranks; communicates. From
    /// the second step on it allocates nothing.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late. Nothing but `gradient` has changed then, so that what is remembered is that of the last
    /// completed step.
    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], step: &SyncStep) -> Result<Synced, Lost>;

    /// From this step on, how many batches each rank trains on by itself before all take the average of their parameters;
    /// none, where they agree on every step's gradient.
    fn local_steps(&self, step: u64) -> Option<u64> {
        let _ = step;
        None
    }

    /// Makes the parameters of ranks that have trained by themselves the same on all: unless it says otherwise, their mean,
    /// weighted by the rows that each has trained on since.
    ///
    /// # Errors
    ///
    /// As [`sync`](GradientSync::sync).
    fn average(&mut self, ranks: &mut dyn Collective, params: &mut [T], round: &LocalRound) -> Result<(), Lost> {
        weighted_mean(ranks, params, round)
    }

    /// Bytes of the parts of a gradient, at least, that [`begin`](GradientSync::begin) is given while the rest of it is still
    /// computed; none, where it waits for the whole.
    fn part_bytes(&self, step: u64) -> Option<usize> {
        let _ = step;
        None
    }

    /// Takes a part of this rank's gradient, which is at `range` of it. Parts come from its end to its start, in the same
    /// order on all ranks, and the gradient that [`sync`](GradientSync::sync) then gets is made of them.
    ///
    /// # Errors
    ///
    /// As [`sync`](GradientSync::sync).
    fn begin(&mut self, ranks: &mut dyn Collective, range: Range<usize>, part: &mut [T]) -> Result<(), Lost> {
        let _ = (ranks, range, part);
        Ok(())
    }

    /// Ends what parts have begun, of a step that is not taken because no rank has rows that weigh anything.
    ///
    /// # Errors
    ///
    /// As [`sync`](GradientSync::sync).
    fn cancel(&mut self, ranks: &mut dyn Collective, gradient: &mut [T]) -> Result<(), Lost> {
        let _ = (ranks, gradient);
        Ok(())
    }

    /// Gives what this rank remembers and a run that is resumed needs: by a name, as many numbers on each rank. `state` is
    /// this rank's own.
    fn remember(&self, state: &OwnState<'_, T>, keep: &mut dyn FnMut(&str, &[T])) {
        let _ = (state, keep);
    }

    /// Takes back what the ranks of an earlier run remembered, of which there may have been more or fewer. `optimizer` is
    /// this rank's optimizer's memory.
    ///
    /// # Errors
    ///
    /// When it is of another model or optimizer.
    fn recall(&mut self, memory: &RankMemory<'_, T>, optimizer: &mut [T]) -> Result<(), Error> {
        let _ = (memory, optimizer);
        Ok(())
    }
}

/// The mean of what each rank has, weighted by the rows that it has trained on.
pub(crate) fn weighted_mean<T: Scalar>(
    ranks: &mut dyn Collective,
    values: &mut [T],
    round: &LocalRound,
) -> Result<(), Lost> {
    kernels::scale(values, T::of(round.own_weight / round.weight));
    ranks.sum(Values::of(values))
}

/// The run that a [`GradientSync`] is made ready for.
#[derive(Clone, Copy, Debug)]
pub struct SyncRun<'a> {
    /// The parameters whose gradients ranks agree on: those that are trained, but for tables whose rows are summed apart.
    pub layout: &'a Layout,
    /// This rank.
    pub rank: usize,
    /// How many ranks there are.
    pub ranks: usize,
    /// Which rows each computes on.
    pub rows: RankRows,
}

/// A step that ranks agree on.
#[derive(Clone, Copy, Debug)]
pub struct SyncStep {
    /// Its number, from zero.
    pub number: u64,
    /// Σ weight of the rows that this rank has computed on.
    pub own_weight: f64,
    /// Whether a rank can update its share of the parameters alone.
    pub sharing: Sharing,
}

/// Whether ranks can each update a share of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each its [`share`](tidemill_collective::share).
    Possible,
    /// Not: the optimizer looks at the whole gradient first.
    Impossible,
}

/// What ranks have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The gradient is a sum over the rows of all ranks; the same on each.
    Sum,
    /// So it is in this rank's [`share`](tidemill_collective::share) alone: each rank updates its own, and they exchange
    /// parameters. Where [`SyncStep::sharing`] says that it is possible.
    Share,
    /// It is a mean over rows already, and is not divided by their weight.
    Mean,
}

/// Steps that ranks have taken by themselves.
#[derive(Clone, Copy, Debug)]
pub struct LocalRound {
    /// Σ weight of the rows that this rank has trained on.
    pub own_weight: f64,
    /// The same of all ranks.
    pub weight: f64,
}

/// What a rank has that others may not have.
#[derive(Clone, Copy, Debug)]
pub struct OwnState<'a, T> {
    /// Steps taken.
    pub step: u64,
    /// The optimizer's memory.
    pub optimizer: &'a [T],
}

macro_rules! forward {
    ($($call:ident(&$self:ident $(, $name:ident: $kind:ty)*) -> $result:ty;)*) => {
        $(fn $call(&$self, $($name: $kind),*) -> $result {
            (**$self).$call($($name),*)
        })*
    };
}

macro_rules! forward_mut {
    ($($call:ident(&mut $self:ident $(, $name:ident: $kind:ty)*) -> $result:ty;)*) => {
        $(fn $call(&mut $self, $($name: $kind),*) -> $result {
            (**$self).$call($($name),*)
        })*
    };
}

impl<T: Scalar, S: GradientSync<T> + ?Sized> GradientSync<T> for Box<S> {
    forward! {
        describe(&self) -> String;
        local_steps(&self, step: u64) -> Option<u64>;
        part_bytes(&self, step: u64) -> Option<usize>;
        remember(&self, state: &OwnState<'_, T>, keep: &mut dyn FnMut(&str, &[T])) -> ();
    }
    forward_mut! {
        start(&mut self, run: &SyncRun<'_>) -> Result<(), Error>;
        sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], step: &SyncStep) -> Result<Synced, Lost>;
        average(&mut self, ranks: &mut dyn Collective, params: &mut [T], round: &LocalRound) -> Result<(), Lost>;
        begin(&mut self, ranks: &mut dyn Collective, range: Range<usize>, part: &mut [T]) -> Result<(), Lost>;
        cancel(&mut self, ranks: &mut dyn Collective, gradient: &mut [T]) -> Result<(), Lost>;
        recall(&mut self, memory: &RankMemory<'_, T>, optimizer: &mut [T]) -> Result<(), Error>;
    }
}
