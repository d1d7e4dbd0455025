//! How the gradient of one batch is obtained.

mod auto;
mod data_parallel;
mod distributed;
mod event_count;
mod hogwild;
mod joined;
mod outputs;
mod pool;
mod serial;
mod task;

use std::ops::Range;
use std::sync::Arc;

pub use auto::Auto;
pub use data_parallel::DataParallel;
pub use distributed::Distributed;
pub use hogwild::Hogwild;
pub use outputs::Outputs;
pub use serial::Serial;
pub use task::{ReadRows, Task};

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Coupling, Program, Write};
use tidemill_collective::Collective;
use tidemill_optim::{Alone, Optimizer, TableRows, UpdateStep};

use crate::{Error, GradientSync, Sums, Timeline};

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

    /// Whether it can update the rows of tables, such as embeddings, that a step [touches](Task::touched), and no others:
    /// where [`Arenas::touched`] names tables, the gradients of their other rows are any numbers, and must not be looked at.
    fn updates_rows(&self) -> bool {
        false
    }

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

    /// Makes ready to train by this optimizer; called before the first gradient of a run, and not for evaluation.
    ///
    /// # Errors
    ///
    /// When the engine cannot train by it, with why.
    fn prepare(&mut self, optimizer: &Arc<Optimizer<T>>) -> Result<(), Error> {
        let _ = optimizer;
        Ok(())
    }

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
        self.reduce(gradients, task.touched);
        (parts.whole)(0..parts.end, &mut gradients[..parts.end]);
        sums
    }

    /// Makes `gradients` whole: adds what [`gradient`](Running::gradient) left elsewhere, of tables that of these rows. Only
    /// who reads gradients needs it; [`update`](Running::update) does so itself.
    fn reduce(&mut self, gradients: &mut [T], touched: &[TableRows]) {
        let _ = (gradients, touched);
    }

    /// Computes prediction and loss of each of the task's rows, and the sums.
    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums;

    /// Makes the gradient that of all ranks, of which this rank has computed its own part: communication alone, which
    /// changes nothing but `gradients` when it fails. Those of [rows of tables](Task::touched) are not in it: they lie behind
    /// it, and are sums over all ranks already.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late.
    fn agree(&mut self, gradients: &mut [T], step: &AgreeStep<'_>) -> Result<(), tidemill_collective::Error> {
        let _ = (gradients, step);
        Ok(())
    }

    /// Ends what computing the last gradient has begun to tell other ranks: the step is not taken.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late.
    fn cancel(&mut self, gradients: &mut [T]) -> Result<(), tidemill_collective::Error> {
        let _ = gradients;
        Ok(())
    }

    /// Moves the parameters: the gradient, summed over rows, times `scale`, through the optimizer. `arenas.gradients`
    /// are those given to [`gradient`](Running::gradient), reduced or not.
    fn update(&mut self, optimizer: &Optimizer<T>, step: UpdateStep, scale: T, arenas: Arenas<'_, T>) -> Updated {
        let Arenas { params, gradients, optimizer: memory, touched, .. } = arenas;
        match touched {
            [] => optimizer.update(step, scale, params, gradients, memory),
            _ => optimizer.update_rows(step, scale, [params, gradients, memory], touched, &mut Alone, &|_, _| ()),
        }
        Updated::default()
    }

    /// Gives every rank the parameters that the others have updated, where each updates only a share of them.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late. The parameters are then of no use.
    fn share(&mut self, params: &mut [T], timeline: Option<&Timeline>) -> Result<(), tidemill_collective::Error> {
        let _ = (params, timeline);
        Ok(())
    }

    /// The ranks that take part in each step, where there are any but this one.
    fn ranks(&mut self) -> Option<Ranks<'_, T>> {
        None
    }

    /// Whether it moves the parameters while it computes, so that there is no gradient to add up.
    fn takes_steps(&self) -> bool {
        false
    }

    /// What made the last gradient's loss not finite, where the engine knows.
    fn non_finite(&self) -> Option<NonFinite> {
        None
    }
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
    /// Where it ends in the arena: behind it are the gradients of [rows of tables](Task::touched), and what buffers get.
    pub end: usize,
    /// Elements that a part has at least, but for the last.
    pub least: usize,
    /// Told of a part: where in the arena it is, and the part.
    pub whole: &'a mut dyn FnMut(Range<usize>, &mut [T]),
}

/// Other ranks that train the same parameters.
pub struct Ranks<'a, T> {
    /// What reaches them.
    pub collective: &'a mut dyn Collective,
    /// Whether they compute on rows of their own, or share out the same.
    pub rows: RankRows,
    /// Steps after which parameters are compared again.
    pub compare_every: u64,
    /// What else must be the same on all of them: names and strings.
    pub agreed: &'a [(String, String)],
    /// How they agree.
    pub sync: &'a mut dyn GradientSync<T>,
}

/// Which rows the ranks of a distributed run compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankRows {
    /// Each on those that its own source gives: a step is on all of them together.
    Own,
    /// All sources give the same rows, and each rank computes on its share of them.
    Shared,
}

/// What [`Running::agree`] is told of the step.
#[derive(Clone, Copy, Debug)]
pub struct AgreeStep<'a> {
    /// Its number, from zero.
    pub number: u64,
    /// Optional profiler.
    pub timeline: Option<&'a Timeline>,
}

/// What an update has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    /// How many steps it was: one, but for engines that move the parameters while they compute.
    pub steps: u64,
    /// Of what the optimizer's memory is up to date here.
    pub memory: OptimizerMemory,
}

impl Default for Updated {
    /// One step, with everything up to date.
    fn default() -> Self {
        Self { steps: 1, memory: OptimizerMemory::Whole }
    }
}

/// Of which parameters the optimizer's memory is up to date on a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimizerMemory {
    /// All.
    Whole,
    /// Those of this rank's [`share`](tidemill_collective::share).
    OwnShare,
}

/// What an update works on.
pub struct Arenas<'a, T> {
    /// The parameters.
    pub params: &'a mut [T],
    /// The gradient. Used up.
    pub gradients: &'a mut [T],
    /// The optimizer's memory.
    pub optimizer: &'a mut [T],
    /// The rows of tables that have a gradient; no table, where all parameters are updated.
    pub touched: &'a [TableRows],
    /// Optional profiler.
    pub timeline: Option<&'a Timeline>,
}

/// Part `index` of `count` of a range: contiguous, in order, of equal size up to one group of rows, which stay whole.
pub(crate) fn share(range: Range<usize>, index: usize, count: usize, group: usize) -> Range<usize> {
    let groups = range.len().div_ceil(group);
    let cut = |i: usize| range.start + range.len().min(groups * i / count * group);
    cut(index)..cut(index + 1)
}

/// Rows that a batch of a program is cut between; `None` where it must not be cut.
pub(crate) fn group<T: Scalar>(program: &Program<T>) -> Option<usize> {
    match program.coupling(true) {
        Coupling::None => Some(1),
        Coupling::Group(rows) => Some(rows),
        Coupling::Batch => None,
    }
}

/// Why a batch of a program must not be cut.
pub(crate) fn is_coupled<T: Scalar>(program: &Program<T>) -> String {
    let by = program.coupled_by(true);
    format!("{by} looks at all rows of a batch, which cannot be cut; use the serial engine, or {by} in groups of rows")
}
