use std::time::{Duration, Instant};

use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Batch as Rows, Cursor, Interrupt, Source};
use tidemill_metrics::{Rows as Scored, Target};

use crate::engine::Outputs;
use crate::stepper::{Round, Stepper};
use crate::timeline::{Activity, timed};
use crate::{Error, Event, Flow, Observer, State, Sums, Timeline, Trainer, finite};

/// How data reaches the model, and when parameters move.
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
        observer: &mut dyn Observer<T>,
    ) -> Result<Summary, Error>;
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Whether the observer stopped it, or an [`Interrupt`] while it waited for rows.
    pub stopped: bool,
    /// Whether there was nothing to do: the state came from a checkpoint of a run that had ended.
    pub was_over: bool,
}

impl Summary {
    pub(crate) fn stopped_before_it_began() -> Self {
        let (time, waiting, last_epoch) = (Duration::ZERO, Waited::default(), Sums::default());
        Self { steps: 0, rows: 0, time, waiting, last_epoch, stopped: true, was_over: false }
    }
}

/// Time that a run has taken to get its rows; not measured, and zero, where they lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// All of it: reading and decoding on the run's own thread, and waiting.
    pub total: Duration,
    /// Of that, with nothing to do: until the thread that reads ahead, or a stream, had rows.
    pub blocked: Duration,
}

/// What tells one strategy from another.
pub(crate) struct Plan {
    /// Epochs to end at, counted from the first ever; endless when absent.
    pub(crate) epochs: Option<u64>,
    /// Rows a step.
    pub(crate) batch_size: usize,
    /// Whether the source's rows have been loaded: a place among them says nothing of other ranks'.
    pub(crate) loads: bool,
    /// Whether each batch is scored before it is trained on.
    pub(crate) test: Test,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    BeforeTraining,
    Never,
}

/// The one training loop.
pub(crate) fn drive<T: Scalar>(
    trainer: &Trainer<T>,
    state: &mut State<T>,
    source: &mut dyn Source<T>,
    plan: &Plan,
    observer: &mut dyn Observer<T>,
) -> Result<Summary, Error> {
    if plan.batch_size == 0 {
        return Err(Error::setting("batch size", "0 rows; expected 1 or more"));
    }
    let mut stepper = Stepper::new(trainer, source, plan)?;
    let timeline = trainer.declared_timeline();
    let sent = stepper.sent();
    if let Some(timeline) = timeline {
        timeline.begin(stepper.rank(), &stepper.name());
    }
    stepper.join(state, source, plan)?;
    let was_over = is_over(state, plan)?;
    if state.cursor == Cursor::start(0) && state.epoch.rows == 0 {
        // Of another training, if of any.
        state.memories.clear();
    }
    let (first_cursor, began_empty) = (state.cursor, state.epoch.rows == 0);
    // Of this run alone: when it is over, nobody has a handle of it.
    let stop = Interrupt::any(observer.interrupt());
    source.watch(&stop);
    let mut clock = Clock::new(source, timeline);
    let there = unless_interrupted(clock.seek(source, state.cursor))?;
    let (began, first_step, first_row) = (Instant::now(), state.step, state.rows_trained);
    let mut last_epoch = state.epoch;
    let rows_of_epoch = source.rows();
    let engine = stepper.describe_engine();
    let memory = source.memory_plan();
    let started = Event::Started { state, rows: rows_of_epoch, epochs: plan.epochs, engine: &engine, memory: &memory };
    let mut flow = observer.observe(&started)?;
    if there.is_none() {
        flow = Flow::Stop;
    }
    while plan.epochs.is_none_or(|epochs| state.cursor.epoch < epochs) {
        match stepper.round(state, source, &mut clock, flow, observer)? {
            Round::NoStep => {
                // No event tells the observer.
                if stop.is_set() {
                    flow = Flow::Stop;
                }
            }
            Round::Step(sums) => {
                if observer.saves(state.step) {
                    observer.memories(&mut |name, numbers| state.remember(name, numbers));
                }
                let (waited, optimizer) = (clock.waited, stepper.optimizer());
                let event = Event::Step { state, sums, optimizer, waited };
                flow = timed(timeline, Activity::Observe, || observer.observe(&event))?;
            }
            Round::EpochOver => {
                last_epoch = std::mem::take(&mut state.epoch);
                if last_epoch.rows == 0 && plan.epochs.is_none() {
                    return Err(Error::setting("source", "it has no rows, and endless training was asked for"));
                }
                finite::check(trainer, state)?;
                state.cursor = Cursor::start(state.cursor.epoch + 1);
                let (number, optimizer) = (state.cursor.epoch - 1, stepper.optimizer());
                let event = Event::Epoch { state, number, sums: last_epoch, optimizer };
                flow = timed(timeline, Activity::Observe, || observer.observe(&event))?;
                observer.memories(&mut |name, numbers| state.remember(name, numbers));
                if flow == Flow::Continue
                    && plan.epochs.is_none_or(|epochs| state.cursor.epoch < epochs)
                    && unless_interrupted(clock.seek(source, state.cursor))?.is_none()
                {
                    flow = Flow::Stop;
                }
            }
            Round::Stopped => {
                flow = Flow::Stop;
                break;
            }
        }
    }
    let is_whole_run = first_cursor.is_start() && began_empty && !was_over && flow == Flow::Continue;
    if is_whole_run && state.step == first_step {
        state.cursor = first_cursor;
        let problem = match last_epoch.rows {
            0 => "it has no rows, so there is nothing to train on".to_owned(),
            rows => format!("all of its {rows} rows have the weight 0, so there is nothing to train on"),
        };
        return Err(Error::setting("source", problem));
    }
    stepper.make_whole(state)?;
    finite::check(trainer, state)?;
    let summary = Summary {
        steps: state.step - first_step,
        rows: state.rows_trained - first_row,
        time: began.elapsed(),
        waiting: clock.waited,
        last_epoch: if state.epoch.rows > 0 { state.epoch } else { last_epoch },
        stopped: flow == Flow::Stop,
        was_over,
    };
    observer.memories(&mut |name, numbers| state.remember(name, numbers));
    timed(timeline, Activity::Observe, || observer.observe(&Event::Finished { state, summary: &summary }))?;
    if let Some(timeline) = timeline {
        timeline.end(stepper.sent() - sent)?;
    }
    Ok(summary)
}

/// Whether nothing is left to do because a checkpoint is that of a run which had ended.
///
/// # Errors
///
/// When nothing is left to do for another reason: the state has been trained for as many epochs, or more.
fn is_over<T>(state: &mut State<T>, plan: &Plan) -> Result<bool, Error> {
    let is_resumed = std::mem::take(&mut state.is_resumed);
    let Some(epochs) = plan.epochs.filter(|&epochs| state.cursor.epoch >= epochs) else { return Ok(false) };
    if epochs == 0 {
        return Err(Error::setting("strategy", "0 epochs; expected 1 or more"));
    }
    if is_resumed && state.cursor == Cursor::start(epochs) {
        return Ok(true);
    }
    let problem = format!(
        "it has been trained for {} epochs, and the strategy ends after {epochs}, counted from the state's first. To go \
         on, ask for more in all; to begin anew, on these rows or by this strategy, set `state.cursor = \
         Cursor::start(0)`: parameters, optimizer and steps stay",
        state.cursor.epoch
    );
    Err(Error::setting("state", problem))
}

/// `None` when waiting was interrupted: the run ends as it stands.
pub(crate) fn unless_interrupted<R>(result: Result<R, tidemill_data::Error>) -> Result<Option<R>, Error> {
    match result {
        Err(tidemill_data::Error::Interrupted) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Measures what a source takes; rows in memory keep nobody waiting, and reading the clock takes a good part of a small
/// step, so there it does not.
pub(crate) struct Clock<'t> {
    runs: bool,
    timeline: Option<&'t Timeline>,
    blocked_before: Duration,
    waited: Waited,
}

impl<'t> Clock<'t> {
    fn new<T: Scalar>(source: &dyn Source<T>, timeline: Option<&'t Timeline>) -> Self {
        let runs = source.memory().is_none() || timeline.is_some();
        Self { runs, timeline, blocked_before: source.blocked(), waited: Waited::default() }
    }

    pub(crate) fn fill<T: Scalar>(
        &mut self,
        source: &mut dyn Source<T>,
        batch: &mut Rows<T>,
        rows: usize,
    ) -> Result<usize, tidemill_data::Error> {
        batch.clear();
        self.measure(source, |source| source.fill(batch, rows))
    }

    fn seek<T: Scalar>(&mut self, source: &mut dyn Source<T>, cursor: Cursor) -> Result<(), tidemill_data::Error> {
        self.measure(source, |source| source.seek(cursor))
    }

    fn measure<T: Scalar, R>(&mut self, source: &mut dyn Source<T>, work: impl FnOnce(&mut dyn Source<T>) -> R) -> R {
        if !self.runs {
            return work(source);
        }
        let began = Instant::now();
        let result = work(source);
        let took = began.elapsed();
        let blocked = source.blocked().saturating_sub(self.blocked_before);
        if let Some(timeline) = self.timeline {
            let blocked = (blocked - self.waited.blocked).min(took);
            if !blocked.is_zero() {
                timeline.note_span(Activity::WaitForData, began, blocked);
            }
            timeline.note_span(Activity::Read, began + blocked, took - blocked);
        }
        self.waited = Waited { total: self.waited.total + took, blocked };
        result
    }
}

/// A batch's outputs as metrics see them.
pub(crate) fn scored<'a, T: Scalar>(
    width: usize,
    batch: &'a Rows<T>,
    target: usize,
    outputs: &'a Outputs<T>,
) -> Result<Scored<'a, T>, Error> {
    let target = match batch.schema().fields[target].kind {
        tidemill_data::Kind::Index { .. } => Target::Index(batch.indices(target)),
        _ => Target::Real(batch.reals(target)),
    };
    let rows = Scored::new(&outputs.predictions, width, target)?.with_losses(&outputs.losses)?;
    Ok(match batch.weights() {
        Some(weights) => rows.with_weights(weights)?,
        None => rows,
    })
}
