//! How the gradient of one batch is obtained.

mod accumulate;
mod adasum;
mod auto;
mod compress;
mod data_parallel;
mod distributed;
mod gate;
mod hogwild;
mod pool;
mod serial;

use std::ops::Range;
use std::sync::Arc;

pub use accumulate::Accumulate;
pub use auto::Auto;
pub use compress::Compression;
pub use data_parallel::DataParallel;
pub use distributed::Distributed;
pub(crate) use distributed::LocalSteps;
pub use hogwild::Hogwild;
pub use serial::Serial;

use tidemill_autograd::tensor::{Key, Scalar};
use tidemill_autograd::{Program, Write};
use tidemill_collective::Collective;
use tidemill_data::Batch;
use tidemill_optim::Optimizer;

use crate::{Binding, Error, Need, Sums, Timeline};

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

    /// How many ranks take part in a run, each with an engine of its own.
    fn ranks(&self) -> usize {
        1
    }

    /// This one's number among them.
    fn rank(&self) -> usize {
        0
    }

    /// Tells other ranks, where there are any, that this one cannot go on, and why.
    fn abandon(&self, why: &str) {
        let _ = why;
    }
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

    /// As [`gradient`](Running::gradient), the last before an update; and tells of each part of the gradient when it is
    /// whole, from the end of the arena to its start.
    fn gradient_in_parts(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
        parts: &mut InParts<'_, T>,
    ) -> Sums {
        let sums = self.gradient(task, gradients, write, outputs);
        self.reduce(gradients);
        (parts.whole)(0..gradients.len(), gradients);
        sums
    }

    /// Makes `gradients` whole: adds what [`gradient`](Running::gradient) left elsewhere. Only who reads gradients needs
    /// it; [`update`](Running::update) does so itself.
    fn reduce(&mut self, gradients: &mut [T]) {
        let _ = gradients;
    }

    /// Computes prediction and loss of each of the task's rows, and the sums.
    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums;

    /// Moves the parameters: the gradient, summed over rows, times `scale`, through the optimizer. `arenas.gradients`
    /// are those given to [`gradient`](Running::gradient), reduced or not.
    ///
    /// # Errors
    ///
    /// When other ranks take part, and one is gone or late.
    fn update(
        &mut self,
        optimizer: &Optimizer<T>,
        step: u64,
        scale: T,
        arenas: Arenas<'_, T>,
    ) -> Result<Updated, tidemill_collective::Error> {
        optimizer.update(step, scale, arenas.params, arenas.gradients, arenas.optimizer);
        Ok(Updated::Whole)
    }

    /// The ranks that take part in each step, where there are any but this one.
    fn ranks(&mut self) -> Option<Ranks<'_>> {
        None
    }

    /// What takes steps of its own on each batch, where this is an engine that does; its gradients are then not asked
    /// for.
    fn stepping(&mut self) -> Option<&mut dyn Stepping<T>> {
        None
    }
}

/// An engine that moves the parameters while it computes.
pub trait Stepping<T: Scalar> {
    /// Makes ready for steps of this optimizer.
    ///
    /// # Errors
    ///
    /// When it cannot take such steps, with why.
    fn prepare(&mut self, optimizer: &Optimizer<T>) -> Result<(), Error>;

    /// Rows that a step is taken on.
    fn rows_of_a_step(&self) -> usize;

    /// Trains `params` on each of the `pieces` of the task's batch, with steps that are numbered from `step`: the sums as
    /// they were met on the way. The task's key is the one of which the steps' keys are children, by their numbers.
    ///
    /// # Errors
    ///
    /// What was found where a loss is not finite; the parameters are then as they were.
    fn steps(
        &mut self,
        task: &Task<'_, T>,
        pieces: &[Range<usize>],
        params: &mut [T],
        optimizer: &Optimizer<T>,
        step: u64,
    ) -> Result<Sums, NonFinite>;
}

/// A loss that is not finite.
#[derive(Clone, Copy, Debug)]
pub struct NonFinite {
    /// The step's number.
    pub step: u64,
    /// The row of the batch.
    pub row: usize,
    /// The loss.
    pub loss: f64,
}

/// Who is told of parts of a gradient that are whole.
pub struct InParts<'a, T> {
    /// Elements that a part has at least, but for the last.
    pub least: usize,
    /// Told of a part: where in the arena it is, and the part.
    pub whole: &'a mut dyn FnMut(Range<usize>, &mut [T]),
}

/// Other ranks that train the same parameters.
pub struct Ranks<'a> {
    /// What reaches them.
    pub collective: &'a mut dyn Collective,
    /// Whether they compute on rows of their own, or share out the same.
    pub rows: RankRows,
    /// Steps after which parameters are compared again.
    pub compare_every: u64,
    /// What else must be the same on all of them: names and texts.
    pub agreed: &'a [(String, String)],
    /// When they train apart.
    pub(crate) local: Option<LocalSteps>,
}

/// Which rows the ranks of a distributed run compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankRows {
    /// Each on those that its own source gives: a step is on all of them together.
    Own,
    /// All sources give the same rows, and each rank computes on its share of them.
    Shared,
}

/// What an update has brought up to date here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Everything.
    Whole,
    /// All parameters, but of the optimizer's memory only this rank's [`share`](tidemill_collective::share).
    OwnMemory,
}

/// What an update works on.
pub struct Arenas<'a, T> {
    /// The parameters.
    pub params: &'a mut [T],
    /// The gradient. Used up.
    pub gradients: &'a mut [T],
    /// The optimizer's memory.
    pub optimizer: &'a mut [T],
    /// What was not sent of gradients before; empty where all was.
    pub feedback: &'a mut Vec<T>,
    /// Who wants to know how long it takes.
    pub timeline: Option<&'a Timeline>,
}

/// Rows to compute on.
#[derive(Clone)]
pub struct Task<'a, T> {
    /// The parameters.
    pub params: &'a [T],
    /// The rows of the step. Those of weight zero have been left out: what is NaN or infinite in a row is so in the
    /// gradient, whatever the row weighs.
    pub batch: &'a Batch<T>,
    /// Which of its columns feed which inputs.
    pub binding: &'a Binding,
    /// Which of its rows.
    pub rows: Range<usize>,
    /// This step's random numbers.
    pub key: Key,
    /// Who wants to know how long it takes.
    pub timeline: Option<&'a Timeline>,
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
