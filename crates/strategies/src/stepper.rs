use std::ops::Range;

use tidemill_autograd::Write;
use tidemill_autograd::tensor::{Arena, Key, Scalar};
use tidemill_collective::Values;
use tidemill_data::{Batch as Rows, Kind, Role, Source};
use tidemill_optim::Optimizer;

use crate::binding::{Binding, Need};
use crate::engine::{Arenas, Outputs, RankRows, Running, Task, Updated};
use crate::ranks::{self, Meeting};
use crate::scores::Scores;
use crate::strategy::{Clock, Plan, Test, scored, unless_interrupted};
use crate::{Error, Flow, Observer, State, Sums, Trainer};

/// The memory of the loop: nothing in it outlives the run.
pub(crate) struct Stepper<'t, T> {
    trainer: &'t Trainer<T>,
    engine: Box<dyn Running<T>>,
    world: World,
    binding: Binding,
    batch_size: usize,
    test: Test,
    batch: Rows<T>,
    gradients: Arena<T>,
    outputs: Outputs<T>,
    scores: Scores<T>,
    target: Option<usize>,
}

/// This process among others.
#[derive(Clone, Copy)]
struct World {
    rank: usize,
    size: usize,
    rows: RankRows,
    compare_every: u64,
    /// Whether there are others to agree with.
    is_alone: bool,
}

/// What came of a round.
pub(crate) enum Round {
    /// A step was taken, on these rows of all ranks.
    Step(Sums),
    /// No rank has a row left.
    EpochOver,
    /// A rank stops.
    Stopped,
}

impl<'t, T: Scalar> Stepper<'t, T> {
    pub(crate) fn new(trainer: &'t Trainer<T>, source: &dyn Source<T>, plan: &Plan) -> Result<Self, Error> {
        let program = trainer.program();
        let rows = source.rows().map_or(plan.batch_size, |rows| plan.batch_size.min(rows.max(1) as usize));
        let mut engine = trainer.declared_engine().start(program, rows)?;
        let world = match engine.ranks() {
            None => World { rank: 0, size: 1, rows: RankRows::Own, compare_every: 0, is_alone: true },
            Some(ranks) => World {
                rank: ranks.collective.rank(),
                size: ranks.collective.size(),
                rows: ranks.rows,
                compare_every: ranks.compare_every,
                is_alone: false,
            },
        };
        Ok(Self {
            trainer,
            engine,
            world,
            binding: Binding::new(program, source.schema(), Need::Target)?,
            batch_size: plan.batch_size,
            test: plan.test,
            batch: Rows::new(source.schema().clone()),
            gradients: Arena::zeros(program.layout().len()),
            outputs: Outputs::default(),
            scores: Scores::default(),
            target: source.schema().role(Role::Target),
        })
    }

    pub(crate) fn optimizer(&self) -> &'t Optimizer<T> {
        self.trainer.optimizer()
    }

    pub(crate) fn describe_engine(&self) -> String {
        self.engine.describe()
    }

    /// Compares with the other ranks what must be the same, and takes over the first one's state.
    pub(crate) fn join(&mut self, state: &mut State<T>, source: &dyn Source<T>, plan: &Plan) -> Result<(), Error> {
        match self.engine.ranks() {
            None => Ok(()),
            Some(mut ranks) => {
                let joined = ranks::join(&mut ranks, self.trainer, state, source.schema(), source.rows(), plan);
                joined.map_err(Error::lost(state.step))
            }
        }
    }

    /// One step of all ranks, where any has rows and none stops: tests if asked to, then trains. A rank that has no rows,
    /// or stops, comes to the meeting all the same.
    pub(crate) fn round(
        &mut self,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        clock: &mut Clock,
        flow: Flow,
        observer: &dyn Observer<T>,
    ) -> Result<Round, Error> {
        let mut stops = flow == Flow::Stop;
        let mut rows = 0;
        self.batch.clear();
        if !stops {
            match unless_interrupted(clock.fill(source, &mut self.batch, self.batch_size))? {
                Some(filled) => rows = filled,
                None => stops = true,
            }
        }
        if self.world.is_alone && stops {
            return Ok(Round::Stopped);
        }
        if self.world.is_alone && rows == 0 {
            return Ok(Round::EpochOver);
        }
        if stops {
            self.batch.clear();
            rows = 0;
        }
        let own = self.own_rows(rows);
        let mine = self.gradient(state, own.clone())?;
        let saves = !self.world.is_alone && observer.saves(state.step + 1);
        let Meeting { sums, stops, saves } = self.meet(state.step, Meeting { sums: mine, stops, saves })?;
        if stops {
            return Ok(Round::Stopped);
        }
        if sums.rows == 0 {
            return Ok(Round::EpochOver);
        }
        if !sums.loss.is_finite() {
            return Err(self.non_finite(state, own));
        }
        if self.tests(state) {
            self.score(state, own)?;
        }
        self.update(state, sums)?;
        state.cursor = source.cursor();
        if !self.world.is_alone {
            self.compare(state)?;
            if saves {
                self.make_whole(state)?;
            }
        }
        Ok(Round::Step(sums))
    }

    /// The rows of the batch that are computed on here.
    fn own_rows(&self, rows: usize) -> Range<usize> {
        match self.world.rows {
            RankRows::Own => 0..rows,
            RankRows::Shared => {
                let World { rank, size, .. } = self.world;
                rows * rank / size..rows * (rank + 1) / size
            }
        }
    }

    /// Whether each batch is scored before it is trained on.
    fn tests(&self, state: &State<T>) -> bool {
        self.test == Test::BeforeTraining && !state.metrics.is_empty()
    }

    fn gradient(&mut self, state: &State<T>, rows: Range<usize>) -> Result<Sums, Error> {
        let tests = self.tests(state);
        if tests {
            self.outputs.resize(self.trainer.program(), self.batch.rows(), Need::Target);
        }
        let task = Task {
            params: &state.params,
            batch: &self.batch,
            binding: &self.binding,
            rows: rows.clone(),
            key: self.key(state),
        };
        let outputs = tests.then_some(&mut self.outputs);
        let sums = self.engine.gradient(&task, &mut self.gradients, Write::Assign, outputs);
        if sums.loss.is_finite() { Ok(sums) } else { Err(self.non_finite(state, rows)) }
    }

    /// Of this step's random numbers; making a new one takes a good part of a small step, so only where any are drawn.
    /// Ranks with rows of their own draw numbers of their own.
    fn key(&self, state: &State<T>) -> Key {
        let key = state.steps_key();
        if !self.trainer.program().is_random() {
            return key;
        }
        let key = key.fold(state.step);
        match self.world.rows {
            RankRows::Own if self.world.rank > 0 => key.fold(self.world.rank as u64),
            _ => key,
        }
    }

    fn meet(&mut self, step: u64, mine: Meeting) -> Result<Meeting, Error> {
        if self.world.is_alone {
            return Ok(mine);
        }
        match self.engine.ranks() {
            None => Ok(mine),
            Some(ranks) => mine.of_all(ranks.collective).map_err(Error::lost(step)),
        }
    }

    fn score(&mut self, state: &mut State<T>, own: Range<usize>) -> Result<(), Error> {
        let Some(target) = self.target else { return Ok(()) };
        let width = self.trainer.program().prediction_width();
        let metrics = &mut state.metrics;
        match self.engine.ranks() {
            None => {
                let rows = scored(width, &self.batch, target, &self.outputs)?;
                metrics.iter_mut().try_for_each(|metric| metric.update(&rows))?;
            }
            Some(ranks) => {
                self.scores.push(width, &self.batch, own, target, &self.outputs);
                self.scores.gather(ranks.collective).map_err(Error::lost(state.step))?;
                self.scores.each(width, &self.batch, target, |rows| {
                    metrics.iter_mut().try_for_each(|metric| Ok(metric.update(rows)?))
                })?;
            }
        }
        Ok(())
    }

    fn update(&mut self, state: &mut State<T>, sums: Sums) -> Result<(), Error> {
        if sums.weight > 0.0 {
            let arenas =
                Arenas { params: &mut state.params, gradients: &mut self.gradients, optimizer: &mut state.optimizer };
            let scale = T::of(1.0 / sums.weight);
            let updated = self.engine.update(self.trainer.optimizer(), state.step, scale, arenas);
            state.is_spread |= updated.map_err(Error::lost(state.step))? == Updated::OwnMemory;
        }
        state.step += 1;
        state.rows_trained += sums.rows;
        state.epoch.add(sums);
        Ok(())
    }

    fn compare(&mut self, state: &State<T>) -> Result<(), Error> {
        let every = self.world.compare_every;
        match self.engine.ranks() {
            Some(ranks) if every > 0 && state.step.is_multiple_of(every) => {
                ranks::compare(ranks.collective, &state.params).map_err(Error::lost(state.step))
            }
            _ => Ok(()),
        }
    }

    /// Gives every rank the whole of the optimizer's memory.
    pub(crate) fn make_whole(&mut self, state: &mut State<T>) -> Result<(), Error> {
        let Some(ranks) = self.engine.ranks() else { return Ok(()) };
        let lost = Error::lost(state.step);
        if std::mem::take(&mut state.is_spread) {
            let len = state.params.len();
            for slot in state.optimizer.chunks_exact_mut(len).take(self.trainer.optimizer().slots()) {
                ranks.collective.gather_shares(Values::of(slot)).map_err(&lost)?;
            }
        }
        state.is_elsewhere = !ranks::same_place(ranks.collective, state.cursor).map_err(&lost)?;
        Ok(())
    }

    /// Looks for what made the loss of a batch no number: an input, or else the parameters.
    fn non_finite(&mut self, state: &State<T>, rows: Range<usize>) -> Error {
        let first = rows.start;
        let task = Task {
            params: &state.params,
            batch: &self.batch,
            binding: &self.binding,
            rows: rows.clone(),
            key: self.key(state),
        };
        self.outputs.resize(self.trainer.program(), self.batch.rows(), Need::Target);
        self.engine.evaluate(&task, &mut self.outputs);
        let row = first + self.outputs.losses[rows].iter().position(|l| !l.is_finite()).unwrap_or(0);
        let loss = self.outputs.losses.get(row).map_or(f64::NAN, |l| l.widen());
        let cause = non_finite_column(&self.batch, row).unwrap_or_else(|| {
            "every number of that row is finite, so training has diverged: lower the learning rate, clip the gradient or \
             standardise the features"
                .to_owned()
        });
        Error::NonFiniteLoss { step: state.step, row, loss, cause }
    }
}

fn non_finite_column<T: Scalar>(batch: &Rows<T>, row: usize) -> Option<String> {
    for (column, field) in batch.schema().fields.iter().enumerate() {
        let Kind::Real { width } = field.kind else { continue };
        let values = batch.reals(column).get(row * width..(row + 1) * width)?;
        if let Some((i, value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let at = if width > 1 { format!("[{i}]") } else { String::new() };
            return Some(format!("column {}{at} is {value} there", field.name));
        }
    }
    None
}
