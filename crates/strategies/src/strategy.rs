use std::time::Duration;

use tidemill_autograd::tensor::Scalar;
use tidemill_data::Source;

use crate::{Callback, Error, State, Sums, Trainer, Waited};

/// How data reaches the model, and when parameters move: a loop over the steps of a [`Session`](crate::Session).
pub trait Strategy<T: Scalar> {
    /// Trains from where the state stands; see [`Trainer::run`].
    ///
    /// # Errors
    ///
    /// As [`Trainer::run`].
    fn run(
        &self,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error>;
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Steps taken.
    pub steps: u64,
    /// Rows trained on, repetitions counted.
    pub rows: u64,
    /// How long it took.
    pub time: Duration,
    /// Of that, for the source.
    pub waiting: Waited,
    /// Losses of the last epoch that ended, or of the one that was stopped.
    pub last_epoch: Sums,
    /// Whether the callback stopped it, or an [`Interrupt`](tidemill_data::Interrupt) while it waited for rows.
    pub stopped: bool,
    /// Whether there was nothing to do: the state came from a checkpoint of a run that had ended.
    pub was_over: bool,
}
