//! How the gradient of one batch is obtained.

mod accumulate;
mod auto;
mod data_parallel;
mod gate;
mod pool;
mod serial;

use std::ops::Range;
use std::sync::Arc;

pub use accumulate::Accumulate;
pub use auto::Auto;
pub use data_parallel::DataParallel;
pub use serial::Serial;

use tidemill_autograd::tensor::{Key, Scalar};
use tidemill_autograd::{Program, Write};
use tidemill_data::Batch;
use tidemill_optim::Optimizer;

use crate::{Binding, Error, Need, Sums};

/// A way to obtain the gradient of one batch: on this thread, in pieces, on several threads. A declaration;
/// [`start`](Engine::start) makes what runs. Engines nest.
pub trait Engine<T: Scalar>: Send + Sync {
    /// Allocates what running the program on batches of at most `rows` rows takes.
    ///
    /// # Errors
    ///
    /// When the engine cannot run such a program, or a setting is impossible.
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error>;

    /// What was asked for, such as `2 shards on 2 threads`. What runs is told by [`Running::describe`].
    fn describe(&self) -> String;
}

/// A started [`Engine`].
pub trait Running<T: Scalar>: Send {
    /// What runs, such as `2 shards on 2 threads`.
    fn describe(&self) -> String;

    /// Computes the gradient of the summed, weighted loss of the task's rows, and the sums. The gradient is assigned or
    /// added to `gradients` and to arenas of the engine's own; [`reduce`](Running::reduce) adds those up.
    ///
    /// Where `outputs` is given, it receives prediction and loss of each row as they are before the update, without
    /// dropout.
    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums;

    /// Makes `gradients` whole: adds what [`gradient`](Running::gradient) left elsewhere. Only who reads gradients needs
    /// it; [`update`](Running::update) does so itself.
    fn reduce(&mut self, gradients: &mut [T]) {
        let _ = gradients;
    }

    /// Computes prediction and loss of each of the task's rows, and the sums.
    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums;

    /// Moves the parameters: the gradient, summed over rows, times `scale`, through the optimizer. `arenas.gradients`
    /// are those given to [`gradient`](Running::gradient), reduced or not.
    fn update(&mut self, optimizer: &Optimizer<T>, step: u64, scale: T, arenas: Arenas<'_, T>) {
        optimizer.update(step, scale, arenas.params, arenas.gradients, arenas.optimizer);
    }
}

/// What an update works on.
pub struct Arenas<'a, T> {
    /// The parameters.
    pub params: &'a mut [T],
    /// The gradient. Used up.
    pub gradients: &'a mut [T],
    /// The optimizer's memory.
    pub optimizer: &'a mut [T],
}

/// Rows to compute on.
#[derive(Clone)]
pub struct Task<'a, T> {
    /// The parameters.
    pub params: &'a [T],
    /// The rows of the step.
    pub batch: &'a Batch<T>,
    /// Which of its columns feed which inputs.
    pub binding: &'a Binding,
    /// Which of its rows.
    pub rows: Range<usize>,
    /// This step's random numbers.
    pub key: Key,
}

/// Prediction and loss of each row of a batch, in the batch's order.
#[derive(Clone, Debug, Default)]
pub struct Outputs<T> {
    /// `[B, ...]`.
    pub predictions: Vec<T>,
    /// `[B]`; empty where no loss is computed.
    pub losses: Vec<T>,
}

impl<T: Scalar> Outputs<T> {
    /// Makes room for the rows of a batch.
    pub(crate) fn resize(&mut self, program: &Program<T>, rows: usize, need: Need) {
        self.predictions.resize(rows * program.prediction_width(), T::zero());
        self.losses.resize(if need == Need::Target { rows } else { 0 }, T::zero());
    }
}

/// Part `index` of `count` of a range: contiguous, in order, of equal size up to one.
fn share(range: Range<usize>, index: usize, count: usize) -> Range<usize> {
    let cut = |i: usize| range.start + range.len() * i / count;
    cut(index)..cut(index + 1)
}
