use std::ops::Range;

use tidemill_autograd::Write;
use tidemill_autograd::tensor::{Arena, Key, Scalar};
use tidemill_collective::Values;
use tidemill_data::{Batch as Rows, Kind, Role, Source};
use tidemill_optim::Optimizer;

use crate::binding::{Binding, Need};
use crate::engine::{Arenas, LocalSteps, Outputs, RankRows, Running, Task, Updated};
use crate::ranks::{self, Meeting};
use crate::rows::{Checked, StepRows};
use crate::scores::Scores;
use crate::strategy::{Clock, Plan, Test, scored, unless_interrupted};
use crate::timeline::{Activity, timed};
use crate::{Error, Flow, Observer, State, Sums, Trainer};

/// The memory of the loop: nothing in it outlives the run.
pub(crate) struct Stepper<'t, T> {
    trainer: &'t Trainer<T>,
    engine: Box<dyn Running<T>>,
    world: World,
    binding: Binding,
    batch_size: usize,
    test: Test,
    rows: StepRows<T>,
    checked: Checked,
    /// Rows that this rank has read of the epoch, as far as is known.
    read: u64,
    gradients: Arena<T>,
    outputs: Outputs<T>,
    scores: Scores<T>,
    target: Option<usize>,
    /// Whether all ranks have agreed to stop before the next round.
    stops: bool,
    /// Parameters and optimizer's memory as all ranks last had them, while they train apart.
    agreed: Option<(Vec<T>, Vec<T>)>,
    /// Where the pieces of a batch are of which an engine makes steps.
    pieces: Vec<Range<usize>>,
}

/// This process among others.
#[derive(Clone, Copy)]
struct World {
    rank: usize,
    size: usize,
    rows: RankRows,
    compare_every: u64,
    local: Option<LocalSteps>,
    /// Whether there are others to agree with.
    is_alone: bool,
}

/// What came of a round.
pub(crate) enum Round {
    /// A step was taken, on these rows of all ranks.
    Step(Sums),
    /// All rows had the weight zero, so that no step was taken.
    NoStep,
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
        if let Some(engine) = engine.stepping() {
            engine.prepare(trainer.optimizer())?;
        }
        let world = match engine.ranks() {
            None => World { rank: 0, size: 1, rows: RankRows::Own, compare_every: 0, local: None, is_alone: true },
            Some(ranks) => World {
                rank: ranks.collective.rank(),
                size: ranks.collective.size(),
                rows: ranks.rows,
                compare_every: ranks.compare_every,
                local: ranks.local,
                is_alone: false,
            },
        };
        let binding = Binding::new(program, source.schema(), Need::Target)?;
        Ok(Self {
            trainer,
            engine,
            world,
            rows: StepRows::new(program, source.schema(), &binding, Need::Target),
            checked: if plan.loads { Checked::Before } else { Checked::Now },
            read: 0,
            binding,
            batch_size: plan.batch_size,
            test: plan.test,
            gradients: Arena::zeros(program.layout().len()),
            outputs: Outputs::default(),
            scores: Scores::default(),
            target: source.schema().role(Role::Target),
            stops: false,
            agreed: None,
            pieces: Vec::new(),
        })
    }

    pub(crate) fn optimizer(&self) -> &'t Optimizer<T> {
        self.trainer.optimizer()
    }

    pub(crate) fn describe_engine(&self) -> String {
        self.engine.describe()
    }

    /// Bytes that were sent to other ranks.
    pub(crate) fn sent(&mut self) -> u64 {
        self.engine.ranks().map_or(0, |ranks| ranks.collective.sent())
    }

    /// This rank, as messages name it.
    pub(crate) fn name(&mut self) -> String {
        let World { rank, .. } = self.world;
        self.engine.ranks().map_or_else(|| "tidemill".into(), |ranks| ranks.collective.peer(rank).to_string())
    }

    pub(crate) fn rank(&self) -> usize {
        self.world.rank
    }

    /// Compares with the other ranks what must be the same, and takes over the first one's state.
    pub(crate) fn join(&mut self, state: &mut State<T>, source: &dyn Source<T>, plan: &Plan) -> Result<(), Error> {
        if let Some(mut ranks) = self.engine.ranks() {
            let joined = ranks::join(&mut ranks, self.trainer, state, source.schema(), source.rows(), plan);
            joined.map_err(Error::lost(state.step))?;
        }
        let world = self.ranks_with_own_rows();
        if let Some(&cursor) = state.cursors.get(self.world.rank).filter(|_| state.world == world) {
            state.cursor = cursor;
        } else if !state.cursors.is_empty() || plan.loads && !state.cursor.is_start() && state.world != world {
            let problem = format!(
                "it was saved within an epoch by {} rank(s) with rows of their own, and goes on with as many only; here \
                 are {world}. Resume with as many, or from a state that was saved between epochs",
                state.world
            );
            return Err(Error::setting("state", problem));
        }
        state.world = world;
        state.cursors.clear();
        self.read = if world == 1 { state.epoch.rows } else { 0 };
        Ok(())
    }

    fn ranks_with_own_rows(&self) -> usize {
        match self.world.rows {
            RankRows::Own => self.world.size,
            RankRows::Shared => 1,
        }
    }

    /// One step of all ranks, where any has rows and none stops: tests if asked to, then trains. A rank that has no rows,
    /// or stops, comes to the meeting all the same.
    pub(crate) fn round(
        &mut self,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        clock: &mut Clock<'_>,
        flow: Flow,
        observer: &dyn Observer<T>,
    ) -> Result<Round, Error> {
        if let Some(LocalSteps { every, after }) = self.world.local
            && state.step >= after
        {
            return self.steps_apart(state, source, clock, flow, observer, every);
        }
        let mut stops = flow == Flow::Stop;
        let mut read = 0;
        self.rows.clear();
        if !stops {
            match self.fill(source, clock)? {
                Some(filled) => read = filled,
                None => stops = true,
            }
        }
        if self.world.is_alone && stops {
            return Ok(Round::Stopped);
        }
        if self.world.is_alone && read == 0 {
            return Ok(self.epoch_over());
        }
        if stops {
            self.rows.clear();
            read = 0;
        }
        if self.engine.stepping().is_some() {
            return self.steps_of_engine(state, source);
        }
        let own = self.own_rows(self.rows.batch().rows());
        let mine = StepRows::<T>::sums_of(self.gradient(state, own.clone())?, self.own_rows(read));
        let saves = !self.world.is_alone && observer.saves(state.step + 1);
        let Meeting { sums, stops, saves } = self.meet(state.step, Meeting { sums: mine, stops, saves })?;
        if stops {
            return Ok(Round::Stopped);
        }
        if sums.rows == 0 {
            return Ok(self.epoch_over());
        }
        if !sums.loss.is_finite() {
            return Err(self.non_finite(state, own, sums.loss));
        }
        if sums.weight == 0.0 {
            return Ok(Self::no_step(state, source, sums));
        }
        if self.tests(state) {
            self.score(state, own)?;
        }
        self.move_parameters(state, sums.weight)?;
        state.step += 1;
        state.rows_trained += sums.rows;
        state.epoch.add(sums);
        state.cursor = source.cursor();
        if !self.world.is_alone {
            self.compare(state, state.step - 1)?;
            if saves {
                self.make_whole(state)?;
            }
        }
        Ok(Round::Step(sums))
    }

    /// Reads the rows of a step, checks them, and leaves out those of weight zero; says how many were read, or `None`
    /// where that was interrupted.
    fn fill(&mut self, source: &mut dyn Source<T>, clock: &mut Clock<'_>) -> Result<Option<usize>, Error> {
        let filled = unless_interrupted(clock.fill(source, self.rows.filling(), self.batch_size))?;
        self.rows.admit(self.read, self.checked)?;
        self.read += self.rows.read() as u64;
        Ok(filled)
    }

    fn epoch_over(&mut self) -> Round {
        self.read = 0;
        Round::EpochOver
    }

    /// Passes over rows that weigh nothing: they are counted, and the step's number stays.
    fn no_step(state: &mut State<T>, source: &dyn Source<T>, sums: Sums) -> Round {
        state.rows_trained += sums.rows;
        state.epoch.add(sums);
        state.cursor = source.cursor();
        Round::NoStep
    }

    /// The steps that an engine takes by itself, on one batch.
    fn steps_of_engine(&mut self, state: &mut State<T>, source: &dyn Source<T>) -> Result<Round, Error> {
        let (rows, read) = (self.rows.batch().rows(), self.rows.read());
        if rows == 0 {
            let sums = StepRows::<T>::sums_of(Sums::default(), 0..read);
            return Ok(Self::no_step(state, source, sums));
        }
        let tests = self.test == Test::BeforeTraining && !state.metrics.is_empty();
        if tests {
            self.outputs.resize(self.trainer.program(), rows, Need::Target);
            let task = task(&state.params, &self.rows, &self.binding, state, self.trainer);
            self.engine.evaluate(&task, &mut self.outputs);
        }
        let engine = self.engine.stepping().expect("asked before");
        // Of the rows as they were read, so that a row of weight zero does not move others to another step.
        let each = engine.rows_of_a_step();
        self.pieces.clear();
        // With rows of weight zero, the first batch may have fewer pieces than others.
        self.pieces.reserve(read.div_ceil(each));
        let pieces = (0..read).step_by(each).map(|start| self.rows.kept_of(start..read.min(start + each)));
        self.pieces.extend(pieces.filter(|piece| !piece.is_empty()));
        // The engine has the parameters as they change.
        let task = task(&[], &self.rows, &self.binding, state, self.trainer);
        let optimizer = self.trainer.optimizer();
        let sums = match engine.steps(&task, &self.pieces, &mut state.params, optimizer, state.step) {
            Ok(sums) => StepRows::<T>::sums_of(sums, 0..read),
            Err(found) => {
                let row = self.rows.place(found.row);
                let cause = cause(self.rows.batch(), found.row);
                return Err(Error::NonFiniteLoss { step: found.step, row, loss: found.loss, cause });
            }
        };
        if tests {
            self.score(state, 0..rows)?;
        }
        state.step += self.pieces.len() as u64;
        state.rows_trained += sums.rows;
        state.epoch.add(sums);
        state.cursor = source.cursor();
        Ok(Round::Step(sums))
    }

    /// Up to `steps` steps of this rank alone, then the average of all. A rank that stops does so behind it, so that all
    /// have come as far as if none had.
    fn steps_apart(
        &mut self,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        clock: &mut Clock<'_>,
        flow: Flow,
        observer: &dyn Observer<T>,
        steps: u64,
    ) -> Result<Round, Error> {
        if self.stops {
            return Ok(Round::Stopped);
        }
        let first = state.step;
        let (params, optimizer) = self.agreed.get_or_insert_with(|| (state.params.clone(), state.optimizer.clone()));
        params.copy_from_slice(&state.params);
        optimizer.copy_from_slice(&state.optimizer);
        let met = self.steps_to_the_average(state, source, clock, flow, observer, steps);
        let (sums, stops, saves) = match met {
            Ok(met) => met,
            Err(error) => {
                // As all ranks have it: no rank's own steps are of any use.
                let (params, optimizer) = self.agreed.as_ref().expect("copied above");
                state.params.copy_from_slice(params);
                state.optimizer.copy_from_slice(optimizer);
                state.step = first;
                return Err(error);
            }
        };
        self.stops = stops;
        if sums.rows == 0 {
            return Ok(if stops { Round::Stopped } else { self.epoch_over() });
        }
        if sums.weight == 0.0 {
            return Ok(Self::no_step(state, source, sums));
        }
        state.rows_trained += sums.rows;
        state.epoch.add(sums);
        state.cursor = source.cursor();
        self.compare(state, first)?;
        if saves {
            self.make_whole(state)?;
        }
        Ok(Round::Step(sums))
    }

    /// The steps of this rank, and the average: the sums of all ranks, whether one stops, and whether one saves.
    fn steps_to_the_average(
        &mut self,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        clock: &mut Clock<'_>,
        flow: Flow,
        observer: &dyn Observer<T>,
        steps: u64,
    ) -> Result<(Sums, bool, bool), Error> {
        let first = state.step;
        let mut mine =
            Meeting { stops: flow == Flow::Stop, saves: observer.saves(first + steps), sums: Sums::default() };
        for _ in 0..steps {
            let Some(read) = self.fill(source, clock)? else {
                mine.stops = true;
                break;
            };
            if read == 0 {
                break;
            }
            let rows = self.rows.batch().rows();
            let sums = StepRows::<T>::sums_of(self.gradient(state, 0..rows)?, 0..read);
            mine.sums.add(sums);
            if sums.weight == 0.0 {
                continue;
            }
            if let Some(target) = self.target.filter(|_| self.tests(state)) {
                let width = self.trainer.program().prediction_width();
                self.scores.push(width, self.rows.batch(), 0..rows, target, &self.outputs);
            }
            self.move_parameters(state, sums.weight)?;
            state.step += 1;
        }
        let Meeting { sums, stops, saves } = self.meet(first, mine)?;
        if sums.weight == 0.0 {
            return Ok((sums, stops, saves));
        }
        let lost = Error::lost(first);
        let ranks = self.engine.ranks().expect("there are others to train apart from");
        state.step = first + ranks::largest(ranks.collective, state.step - first).map_err(&lost)?;
        timed(self.trainer.declared_timeline(), Activity::Sum, || {
            ranks::average(ranks.collective, &mut state.params, mine.sums.weight, sums.weight)
        })
        .map_err(&lost)?;
        if self.tests(state) {
            self.score_all(state)?;
        }
        Ok((sums, stops, saves))
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
            self.outputs.resize(self.trainer.program(), self.rows.batch().rows(), Need::Target);
        }
        let task = Task {
            params: &state.params,
            batch: self.rows.batch(),
            binding: &self.binding,
            rows: rows.clone(),
            key: self.key(state),
            timeline: self.trainer.declared_timeline(),
        };
        let outputs = tests.then_some(&mut self.outputs);
        let sums = self.engine.gradient(&task, &mut self.gradients, Write::Assign, outputs);
        if sums.loss.is_finite() { Ok(sums) } else { Err(self.non_finite(state, rows, sums.loss)) }
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
            Some(ranks) => {
                let met =
                    timed(self.trainer.declared_timeline(), Activity::WaitForRanks, || mine.of_all(ranks.collective));
                met.map_err(Error::lost(step))
            }
        }
    }

    fn score(&mut self, state: &mut State<T>, own: Range<usize>) -> Result<(), Error> {
        let Some(target) = self.target else { return Ok(()) };
        let width = self.trainer.program().prediction_width();
        if self.world.is_alone {
            let rows = scored(width, self.rows.batch(), target, &self.outputs)?;
            return state.metrics.iter_mut().try_for_each(|metric| Ok(metric.update(&rows)?));
        }
        self.scores.push(width, self.rows.batch(), own, target, &self.outputs);
        self.score_all(state)
    }

    /// Scores what all ranks have predicted.
    fn score_all(&mut self, state: &mut State<T>) -> Result<(), Error> {
        let (Some(target), Some(ranks)) = (self.target, self.engine.ranks()) else { return Ok(()) };
        let (width, metrics) = (self.trainer.program().prediction_width(), &mut state.metrics);
        self.scores.gather(ranks.collective).map_err(Error::lost(state.step))?;
        self.scores.each(width, self.rows.batch(), target, |rows| {
            metrics.iter_mut().try_for_each(|metric| Ok(metric.update(rows)?))
        })
    }

    fn move_parameters(&mut self, state: &mut State<T>, weight: f64) -> Result<(), Error> {
        let scale = T::of(1.0 / weight);
        if !(scale.is_finite() && scale > T::zero()) {
            let problem =
                format!("those of step {} add up to {weight:e}, which the gradient cannot be divided by", state.step);
            return Err(Error::setting("row weights", problem));
        }
        let timeline = self.trainer.declared_timeline();
        let State { params, optimizer, feedback, .. } = state;
        let arenas = Arenas { params, gradients: &mut self.gradients, optimizer, feedback, timeline };
        let updated = timed(timeline, Activity::Update, || {
            self.engine.update(self.trainer.optimizer(), state.step, scale, arenas)
        });
        state.is_spread |= updated.map_err(Error::lost(state.step))? == Updated::OwnMemory;
        Ok(())
    }

    /// Compares parameters, where it is time to since the step `before`.
    fn compare(&mut self, state: &State<T>, before: u64) -> Result<(), Error> {
        let every = self.world.compare_every;
        match self.engine.ranks() {
            Some(ranks) if every > 0 && state.step / every > before / every => {
                ranks::compare(ranks.collective, &state.params).map_err(Error::lost(state.step))
            }
            _ => Ok(()),
        }
    }

    /// Gives every rank the whole of the state.
    pub(crate) fn make_whole(&mut self, state: &mut State<T>) -> Result<(), Error> {
        let Some(ranks) = self.engine.ranks() else { return Ok(()) };
        let lost = Error::lost(state.step);
        if std::mem::take(&mut state.is_spread) {
            let len = state.params.len();
            for slot in state.optimizer.chunks_exact_mut(len).take(self.trainer.optimizer().slots()) {
                ranks.collective.gather_shares(Values::of(slot)).map_err(&lost)?;
            }
        }
        let train_apart = self.world.local.is_some_and(|local| state.step > local.after);
        ranks::gather_what_each_keeps(ranks.collective, state, train_apart).map_err(&lost)?;
        ranks::gather_cursors(ranks.collective, state).map_err(&lost)
    }

    /// Looks for what made the loss of a batch no number: an input, or else the parameters.
    fn non_finite(&mut self, state: &State<T>, rows: Range<usize>, total: f64) -> Error {
        let first = rows.start;
        let task = Task {
            params: &state.params,
            batch: self.rows.batch(),
            binding: &self.binding,
            rows: rows.clone(),
            key: self.key(state),
            timeline: self.trainer.declared_timeline(),
        };
        self.outputs.resize(self.trainer.program(), self.rows.batch().rows(), Need::Target);
        self.engine.evaluate(&task, &mut self.outputs);
        let found = self.outputs.losses[rows].iter().position(|loss| !loss.is_finite());
        // Where each is finite by itself, without dropout, what is not is their sum.
        let row = first + found.unwrap_or(0);
        let loss = found.map_or(total, |row| self.outputs.losses[first + row].widen());
        let cause = cause(self.rows.batch(), row);
        Error::NonFiniteLoss { step: state.step, row: self.rows.place(row), loss, cause }
    }
}

/// The rows of a batch for an engine that takes steps of its own.
fn task<'a, T: Scalar>(
    params: &'a [T],
    rows: &'a StepRows<T>,
    binding: &'a Binding,
    state: &State<T>,
    trainer: &'a Trainer<T>,
) -> Task<'a, T> {
    let (batch, timeline) = (rows.batch(), trainer.declared_timeline());
    Task { params, batch, binding, rows: 0..batch.rows(), key: state.steps_key(), timeline }
}

/// Why the loss of a row is no number, as far as its values tell.
fn cause<T: Scalar>(batch: &Rows<T>, row: usize) -> String {
    non_finite_column(batch, row).unwrap_or_else(|| {
        "every number of that row is finite, so training has diverged: lower the learning rate, clip the gradient or \
         standardise the features"
            .to_owned()
    })
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
