//! One run's hands: what every strategy is written with.

mod cause;
mod clock;
mod end;
mod plan;
mod round;
mod score;
mod step;
mod tell;

pub use clock::Waited;
pub use plan::Plan;
pub use step::Outcome;

use std::time::Instant;

use tidemill_autograd::tensor::{Arena, Scalar};
use tidemill_collective::Values;
use tidemill_data::{Batch as Rows, Cursor, Interrupt, Source};

use crate::binding::{Binding, Need};
use crate::engine::{Outputs, Running};
use crate::metrics::ScoredHead;
use crate::rows::{Checked, StepRows, check_in_memory};
use crate::scores::Scores;
use crate::touched::Touched;
use crate::world::World;
use crate::{Callback, Control, Error, State, Sums, Trainer};
use clock::{Clock, unless_interrupted};
use round::Round;

/// One run: a trainer, a state and a source, bound together, with all memory that the run needs. [`Batch`](crate::Batch)
/// and [`Online`](crate::Online) are written with it, and so is anybody's [`Strategy`](crate::Strategy).
///
/// A step reads rows ([`next_batch`](Session::next_batch)) and trains on them ([`train`](Session::train),
/// [`test_then_train`](Session::test_then_train)), or on others ([`train_on`](Session::train_on)). Where the source has no
/// more, [`end_epoch`](Session::end_epoch) goes back to its start, and [`finish`](Session::finish) ends the run. Of several
/// ranks, all make the same calls in the same order.
///
/// An error leaves the state of the last completed step. From the second step on, nothing is allocated.
///
/// # Example
///
/// A strategy that trains on every batch twice:
///
/// ```
/// # use tidemill_autograd::{Program, tensor::Scalar};
/// # use tidemill_data::{MemorySource, Source};
/// # use tidemill_layers::{Dense, Layer};
/// # use tidemill_losses::{Loss, MeanSquaredError};
/// # use tidemill_optim::sgd;
/// use tidemill_strategies::{Callback, Error, Outcome, Plan, Session, State, Strategy, Summary, Trainer};
///
/// struct Twice;
///
/// impl<T: Scalar> Strategy<T> for Twice {
///     fn run(
///         &self,
///         trainer: &Trainer<T>,
///         state: &mut State<T>,
///         source: &mut dyn Source<T>,
///         callback: &mut dyn Callback<T>,
///     ) -> Result<Summary, Error> {
///         let mut session = Session::start(trainer, state, source, callback, Plan::epochs(1).batch_size(2))?;
///         while session.is_running() {
///             session.next_batch(2)?;
///             if session.train()? == Outcome::EpochOver {
///                 session.end_epoch()?;
///             } else {
///                 session.train()?;
///             }
///         }
///         session.finish()
///     }
/// }
/// # let program = Program::<f64>::build(|graph| {
/// #     let x = graph.input("x", &[1])?;
/// #     let y = Dense::new(1).apply(graph, x)?;
/// #     MeanSquaredError.apply(graph, y)
/// # })?;
/// # let mut rows = MemorySource::builder().reals("x", 1, vec![1.0, 2.0, 3.0]).target(vec![2.0, 4.0, 6.0]).build()?;
/// let trainer = Trainer::new(program, sgd(0.1))?;
/// let summary = trainer.run(&Twice, &mut trainer.start(7), &mut rows, &mut ())?;
/// assert_eq!((summary.steps, summary.rows), (4, 6));
/// # Ok::<(), tidemill_strategies::Error>(())
/// ```
pub struct Session<'r, T: Scalar> {
    trainer: &'r Trainer<T>,
    state: &'r mut State<T>,
    source: &'r mut dyn Source<T>,
    callback: &'r mut dyn Callback<T>,
    plan: Plan,
    engine: Box<dyn Running<T>>,
    world: World,
    binding: Binding,
    /// Rows of the source, and those that come from elsewhere.
    rows: [StepRows<T>; 2],
    checked: Checked,
    /// The most rows of a batch that the engine was started for: fewer than planned, where the source has fewer.
    most: usize,
    /// Rows that this rank has read of the epoch, as far as is known.
    read: u64,
    gradients: Arena<T>,
    /// The rows of tables that the step at hand reads.
    touched: Touched<T>,
    outputs: Outputs<T>,
    scores: Scores<T>,
    /// What each of the state's metrics scores.
    scored: Vec<ScoredHead>,
    round: Round<T>,
    clock: Clock<'r>,
    /// Set by whoever stops the run while it waits for rows.
    interrupt: Interrupt,
    /// What callbacks have asked for.
    control: Control,
    /// Whether this rank has only its share of the optimizer's memory.
    is_sharded: bool,
    /// Whether the optimizer was reset here, and other ranks are still to do it.
    resets: bool,
    /// Whether it is to stop.
    stops: bool,
    /// Whether it has, on all ranks.
    is_over: bool,
    /// Whether rows were predicted or scored without being trained on.
    tested: bool,
    began: Beginning,
    last_epoch: Sums,
}

/// Rows that a session computes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Source = 0,
    Elsewhere = 1,
}

/// Where a run began.
struct Beginning {
    at: Instant,
    step: u64,
    rows: u64,
    cursor: Cursor,
    /// Whether no row of its epoch had been trained on.
    is_empty: bool,
    /// Whether there was nothing to do: the state came from a checkpoint of a run that had ended.
    was_over: bool,
    /// Bytes sent to other ranks before.
    sent: u64,
}

impl<'r, T: Scalar> Session<'r, T> {
    /// Binds a run together, allocates what it needs, has ranks compare their settings and share the first one's state,
    /// and goes to where the state stands.
    ///
    /// # Errors
    ///
    /// When the source's columns do not fit the model, a setting is impossible, ranks differ, or nothing is left to do for
    /// a state that has been trained for as many epochs already.
    pub fn start(
        trainer: &'r Trainer<T>,
        state: &'r mut State<T>,
        source: &'r mut dyn Source<T>,
        callback: &'r mut dyn Callback<T>,
        plan: Plan,
    ) -> Result<Self, Error> {
        if plan.batch_size == 0 {
            return Err(Error::setting("batch size", "0 rows; expected 1 or more"));
        }
        if let Some(why) = state.extensions.incomplete {
            let problem = format!("{why}; the run that it is of ended by an error: resume from the last checkpoint");
            return Err(Error::setting("state", problem));
        }
        let program = trainer.program();
        let checked = match source.memory().filter(|_| plan.loads) {
            Some(memory) => {
                check_in_memory(program, memory.data())?;
                Checked::Before
            }
            None => Checked::Now,
        };
        let most = source.rows().map_or(plan.batch_size, |rows| plan.batch_size.min(rows.max(1) as usize));
        let mut engine = trainer.declared_engine().start(program, most)?;
        engine.prepare(trainer.optimizer())?;
        let world = World::of(&mut *engine, program);
        let binding = Binding::new(program, source.schema(), Need::Target)?;
        let scored = state.metrics.bind(program, &binding)?;
        let rows = || StepRows::new(program, source.schema(), &binding, Need::Target);
        let rows = [rows(), rows()];
        let timeline = trainer.declared_timeline();
        let sent = engine.ranks().map_or(0, |ranks| ranks.collective.sent());
        if let Some(timeline) = timeline {
            timeline.begin(world.rank, &world.name);
        }
        world.join(&mut *engine, trainer, state, &*source, &plan)?;
        let was_over = plan.is_over(state)?;
        if state.cursor == Cursor::start(0) && state.epoch.rows == 0 {
            // Of another training, if of any.
            state.extensions.callbacks.clear();
        }
        // Of this run alone: when it is over, nobody has a handle of it.
        let interrupt = Interrupt::any(callback.interrupt());
        source.watch(&interrupt);
        let mut clock = Clock::new(source, timeline);
        let there = unless_interrupted(clock.seek(source, state.cursor))?;
        let began = Beginning {
            at: Instant::now(),
            step: state.step,
            rows: state.rows_trained,
            cursor: state.cursor,
            is_empty: state.epoch.rows == 0,
            was_over,
            sent,
        };
        let mut session = Self {
            scored,
            read: if world.size_of_own_rows() == 1 { state.epoch.rows } else { 0 },
            last_epoch: state.epoch,
            gradients: Arena::zeros(program.gradient_len()),
            touched: Touched::new(program, trainer.optimizer(), most, world.size),
            checked,
            most,
            stops: there.is_none(),
            trainer,
            state,
            source,
            callback,
            plan,
            engine,
            world,
            binding,
            rows,
            outputs: Outputs::new(program),
            scores: Scores::default(),
            round: Round::new(),
            clock,
            interrupt,
            control: Control::default(),
            is_sharded: false,
            resets: false,
            is_over: false,
            tested: false,
            began,
        };
        session.tell_of_start()?;
        Ok(session)
    }

    /// Whether the run goes on: nobody has stopped it, and an epoch is left. The same on all ranks.
    pub fn is_running(&self) -> bool {
        !self.is_over && self.plan.epochs.is_none_or(|epochs| self.state.cursor.epoch < epochs)
    }

    /// Reads the next rows of the source, up to so many, for the steps that follow. They are checked, and those of weight
    /// zero are left out. Gives how many were read, weightless ones too: zero at the end of the epoch, and when the run
    /// stops.
    ///
    /// # Errors
    ///
    /// When the source cannot be read, or holds what the model cannot be trained on; and when more rows are asked for than
    /// the [`Plan`] says, or none.
    pub fn next_batch(&mut self, rows: usize) -> Result<usize, Error> {
        let read = self.check_size(rows).and_then(|()| self.read_rows(rows));
        if read.is_err() {
            self.round.undo(self.state);
        }
        read
    }

    fn read_rows(&mut self, most: usize) -> Result<usize, Error> {
        // Ranks that train apart come to the average first.
        let goes_on = !self.stops || self.local_steps().is_some();
        let rows = &mut self.rows[Of::Source as usize];
        if self.is_over || !goes_on {
            rows.clear();
            return Ok(0);
        }
        if unless_interrupted(self.clock.fill(self.source, rows.filling(), most))?.is_none() {
            rows.clear();
            self.stops = true;
            return Ok(0);
        }
        rows.admit(self.read, self.checked)?;
        self.read += rows.read() as u64;
        Ok(rows.read())
    }

    /// How many batches ranks train on by themselves from here on, before they take the average.
    fn local_steps(&mut self) -> Option<u64> {
        if self.world.is_alone {
            return None;
        }
        let step = self.state.step;
        self.engine.ranks().filter(|_| !self.world.is_alone).and_then(|ranks| ranks.sync.local_steps(step))
    }

    fn check_size(&self, rows: usize) -> Result<(), Error> {
        if (1..=self.plan.batch_size).contains(&rows) {
            return Ok(());
        }
        let problem = format!("{rows} rows; the session was started for batches of 1 to {}", self.plan.batch_size);
        Err(Error::setting("batch size", problem))
    }

    /// The rows that [`next_batch`](Session::next_batch) has read, without those of weight zero.
    pub fn batch(&self) -> &Rows<T> {
        self.rows[Of::Source as usize].batch()
    }

    /// The state as it is after the last step.
    pub fn state(&self) -> &State<T> {
        self.state
    }

    /// This rank's number, and how many take part.
    pub fn rank(&self) -> (usize, usize) {
        (self.world.rank, self.world.size)
    }

    /// Adds numbers up over all ranks, in place: such as rows read, or a decision that all must take alike.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late.
    pub fn sum_over_ranks(&mut self, numbers: &mut [f64]) -> Result<(), Error> {
        let Some(ranks) = self.engine.ranks() else { return Ok(()) };
        ranks.collective.sum(Values::of(numbers)).map_err(Error::lost(self.state.step))
    }
}
