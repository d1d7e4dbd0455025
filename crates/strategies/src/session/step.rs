use std::ops::Range;

use tidemill_autograd::Write;
use tidemill_autograd::tensor::Scalar;
use tidemill_collective::Values;
use tidemill_data::Batch as Rows;
use tidemill_optim::{Alone, UpdateStep};

use super::cause::cause;
use super::{Of, Session};
use crate::binding::Need;
use crate::engine::{AgreeStep, Arenas, OptimizerMemory, group};
use crate::extension::{ELSEWHERE, LOST};
use crate::ranks::{self, StepAllReduce};
use crate::rows::{Checked, StepRows};
use crate::sync::{LocalRound, weighted_mean};
use crate::timeline::{Activity, timed};
use crate::{Error, State, Sums};

/// What came of a call that trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// A step was taken, or several by an engine that takes steps of its own and by ranks that train apart. On these rows
    /// of all ranks, with their losses before the update.
    Step(Sums),
    /// This rank has taken a step of its own, and the average of all is still to come.
    OwnStep,
    /// All rows had the weight zero, or there were none but of the source's; no step was taken.
    Skipped,
    /// No rank has a row left.
    EpochOver,
    /// The run was stopped. Nothing was trained.
    Stopped,
}

/// Of what ranks make a sum in a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agreed {
    /// The gradient, and what buffers get.
    All,
    /// The gradient, where ranks that train apart have one to agree on; their buffers are averaged with the parameters.
    GradientAlone,
}

/// Whether rows are scored before they are trained on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    First,
    Never,
}

impl<T: Scalar> Session<'_, T> {
    /// Trains on the rows that were read.
    ///
    /// # Errors
    ///
    /// When the loss is not finite, a rank is gone or late, or a callback fails.
    pub fn train(&mut self) -> Result<Outcome, Error> {
        self.step(Of::Source, Test::Never)
    }

    /// Tests on the rows that were read, updating the state's metrics, then trains on them: with one forward pass for both,
    /// where nothing in the model is random.
    ///
    /// # Errors
    ///
    /// As [`train`](Session::train); and when a metric cannot score the rows. No metric has then taken in rows of a step
    /// that was not taken, but those before the one that failed.
    pub fn test_then_train(&mut self) -> Result<Outcome, Error> {
        self.step(Of::Source, Test::First)
    }

    /// Trains on rows that do not come from the source, but have its columns, such as a sample of those read before. They
    /// are counted as trained on; what [`next_batch`](Session::next_batch) has read stays as it is.
    ///
    /// # Errors
    ///
    /// As [`train`](Session::train); and when the rows have other columns, hold what the model cannot be trained on, or are
    /// more than the [`Plan`](crate::Plan) says.
    pub fn train_on(&mut self, rows: &Rows<T>) -> Result<Outcome, Error> {
        let taken = self.take_rows(rows);
        if taken.is_err() {
            self.round.undo(self.state);
        }
        taken?;
        self.step(Of::Elsewhere, Test::Never)
    }

    fn take_rows(&mut self, rows: &Rows<T>) -> Result<(), Error> {
        if rows.rows() > 0 {
            self.check_size(rows.rows())?;
        }
        let program = self.trainer.program();
        if group(program).is_none() && rows.rows() > self.most {
            let problem = format!(
                "{} rows, more than the source has; {} looks at all rows of a batch, so that it must not be cut",
                rows.rows(),
                program.coupled_by(true)
            );
            return Err(Error::setting("rows to train on", problem));
        }
        if rows.schema() != self.source.schema() {
            let (found, expected) = (rows.schema().names(), self.source.schema().names());
            let problem =
                format!("they have the columns {found}, or others of these names; expected the source's: {expected}");
            return Err(Error::setting("rows to train on", problem));
        }
        let own = &mut self.rows[Of::Elsewhere as usize];
        own.filling().push_rows(rows, 0..rows.rows());
        own.admit(0, Checked::Now)
    }

    /// A step, or part of one.
    fn step(&mut self, of: Of, test: Test) -> Result<Outcome, Error> {
        let outcome = self.attempt(of, test);
        if outcome.is_err() {
            self.round.undo(self.state);
        }
        let (outcome, saves) = outcome?;
        match outcome {
            Outcome::Step(sums) => self.tell_of_step(sums, saves)?,
            // No event tells the callback.
            Outcome::Skipped => self.stops |= self.interrupt.is_set(),
            Outcome::Stopped => self.is_over = true,
            Outcome::OwnStep | Outcome::EpochOver => {}
        }
        Ok(outcome)
    }

    /// A step of all ranks: each computes the gradient of its rows, all reduce their sums, and each moves its parameters
    /// by what they agree on. Ranks that train apart move theirs first, and reduce every few batches. A rank that has no rows left, or
    /// stops, takes part in the reduction all the same.
    fn attempt(&mut self, of: Of, test: Test) -> Result<(Outcome, bool), Error> {
        if self.is_over {
            return Ok((Outcome::Stopped, false));
        }
        let read = self.rows[of as usize].read();
        if self.world.is_alone && self.stops {
            return Ok((Outcome::Stopped, false));
        }
        if self.world.is_alone && read == 0 {
            return Ok((if of == Of::Source { Outcome::EpochOver } else { Outcome::Skipped }, false));
        }
        let apart = self.local_steps();
        self.round.begin(self.state, apart.is_some());
        let tests = test == Test::First && !self.state.metrics.is_empty();
        let own = self.world.own_rows(self.rows[of as usize].batch().rows());
        if apart.is_none() || read > 0 {
            let mine = StepRows::<T>::sums_of(self.gradient(of, own.clone(), tests)?, self.world.own_rows(read));
            self.round.sums.add(mine);
            if apart.is_some() && mine.weight > 0.0 {
                self.check_weight(mine.weight)?;
                if tests {
                    self.keep_scores(of, own.clone());
                }
                self.agree(Agreed::GradientAlone)?;
                self.move_parameters(mine.weight)?;
            }
            self.round.batches += 1;
            if apart.is_some_and(|steps| self.round.batches < steps) && read > 0 {
                return Ok((Outcome::OwnStep, false));
            }
        }
        let StepAllReduce { sums, stops, saves, actions } = self.all_reduce(apart)?;
        if !self.world.is_alone {
            self.follow(actions);
        }
        let first = self.round.first;
        if apart.is_none() && (stops || sums.weight == 0.0) {
            let agreed = self.trainer.agreed_len();
            self.engine.cancel(&mut self.gradients[..agreed]).map_err(Error::lost(first))?;
        }
        match apart {
            None if stops => return Ok((Outcome::Stopped, false)),
            None => {}
            // Behind the steps that others have taken already.
            Some(_) => self.is_stopped_next(stops),
        }
        if sums.rows == 0 {
            self.round.close();
            let outcome = match (stops, of) {
                (true, _) => Outcome::Stopped,
                (false, Of::Source) => Outcome::EpochOver,
                (false, Of::Elsewhere) => Outcome::Skipped,
            };
            return Ok((outcome, false));
        }
        if !sums.loss.is_finite() {
            return Err(self.non_finite(of, own, sums.loss));
        }
        if sums.weight > 0.0 {
            match apart {
                None => self.move_together(of, own, tests, sums.weight)?,
                Some(_) => self.average(sums.weight, tests)?,
            }
        }
        self.round.close();
        self.state.rows_trained += sums.rows;
        self.state.epoch.add(sums);
        self.state.cursor = self.source.cursor();
        if sums.weight == 0.0 {
            return Ok((Outcome::Skipped, false));
        }
        self.compare(first)?;
        Ok((Outcome::Step(sums), saves))
    }

    /// Moves the parameters by the gradient of all ranks. What must be told to other ranks comes first, then scores, so that
    /// none is of a step that others' absence has prevented.
    fn move_together(&mut self, of: Of, own: Range<usize>, tests: bool, weight: f64) -> Result<(), Error> {
        self.check_weight(weight)?;
        if tests && !self.world.is_alone {
            self.keep_scores(of, own);
            self.gather_scores()?;
        }
        self.agree(Agreed::All)?;
        if tests {
            self.update_metrics(of)?;
        }
        self.move_parameters(weight)
    }

    /// Takes the average of the parameters of ranks that have trained apart.
    fn average(&mut self, weight: f64, tests: bool) -> Result<(), Error> {
        let first = self.round.first;
        let round = LocalRound { own_weight: self.round.sums.weight, weight };
        let lost = Error::lost(first);
        let ranks = self.engine.ranks().expect("there are others to train apart from");
        let taken = ranks::largest(ranks.collective, self.state.step - first).map_err(&lost)?;
        self.state.step = first + taken;
        let layout = self.trainer.program().layout();
        // Ranks that have taken other steps have left other rows behind.
        self.trainer.optimizer().catch_up(&mut self.state.params[..layout.trainable_len()], &mut self.state.optimizer);
        let (params, rest) = self.state.params.split_at_mut(layout.trainable_len());
        let (_frozen, buffers) = rest.split_at_mut(rest.len() - layout.buffer_len());
        timed(self.trainer.declared_timeline(), Activity::Sum, || {
            ranks.sync.average(ranks.collective, params, &round)?;
            if buffers.is_empty() { Ok(()) } else { weighted_mean(ranks.collective, buffers, &round) }
        })
        .map_err(&lost)?;
        if tests {
            self.gather_scores()?;
            self.update_metrics(Of::Source)?;
        }
        Ok(())
    }

    /// Whether the run stops before the next round, as ranks that train apart have agreed.
    fn is_stopped_next(&mut self, stops: bool) {
        self.is_over |= stops;
        self.stops |= stops;
    }

    fn gradient(&mut self, of: Of, rows: Range<usize>, tests: bool) -> Result<Sums, Error> {
        if tests {
            self.outputs.resize(self.rows[of as usize].batch().rows(), Need::Target);
        }
        self.touched.find(&self.binding, self.rows[of as usize].batch(), rows.clone());
        let (trained, optimizer) = (self.trainer.program().layout().trainable_len(), self.trainer.optimizer());
        if optimizer.catches_up() {
            let State { params, optimizer: memory, .. } = &mut *self.state;
            optimizer.catch_up_rows(self.touched.rows(), &mut params[..trained], memory, &mut Alone);
        }
        let reads = (&self.binding, self.touched.rows());
        let task = self.world.task(self.trainer, self.state, &self.rows[of as usize], reads, rows.clone());
        let outputs = tests.then_some(&mut self.outputs);
        let sums = self.engine.gradient(&task, &mut self.gradients, Write::Assign, outputs);
        if sums.loss.is_finite() { Ok(sums) } else { Err(self.non_finite(of, rows, sums.loss)) }
    }

    fn all_reduce(&mut self, apart: Option<u64>) -> Result<StepAllReduce, Error> {
        let (sums, stops, actions) = (self.round.sums, self.stops, self.actions());
        let mine = StepAllReduce { sums, stops, saves: false, actions };
        if self.world.is_alone {
            return Ok(mine);
        }
        let Some(ranks) = self.engine.ranks() else { return Ok(mine) };
        let first = self.round.first;
        let saves = self.callback.saves(first + apart.unwrap_or(1));
        let all = timed(self.trainer.declared_timeline(), Activity::WaitForRanks, || {
            StepAllReduce { saves, ..mine }.of_all(ranks.collective)
        });
        all.map_err(Error::lost(first))
    }

    fn check_weight(&self, weight: f64) -> Result<(), Error> {
        let scale = T::of(1.0 / weight);
        if scale.is_finite() && scale > T::zero() {
            return Ok(());
        }
        let step = self.state.step;
        let problem = format!("those of step {step} add up to {weight:e}, which the gradient cannot be divided by");
        Err(Error::setting("row weights", problem))
    }

    /// What buffers get comes before the gradient: what ranks remember of it has changed only when all of it is told.
    fn agree(&mut self, what: Agreed) -> Result<(), Error> {
        if self.world.is_alone {
            return Ok(());
        }
        let (timeline, lost) = (self.trainer.declared_timeline(), Error::lost(self.state.step));
        let (gradients, updates) = self.gradients.split_at_mut(self.trainer.program().layout().trainable_len());
        if let Some(ranks) = self.engine.ranks().filter(|_| what == Agreed::All && !updates.is_empty()) {
            timed(timeline, Activity::Sum, || ranks.collective.sum(Values::of(updates))).map_err(&lost)?;
        }
        if what == Agreed::All && !self.touched.rows().is_empty() {
            self.engine.reduce(gradients, self.touched.rows());
            if let Some(ranks) = self.engine.ranks() {
                let summed =
                    timed(timeline, Activity::Sum, || self.touched.sum_over_ranks(ranks.collective, gradients));
                summed.map_err(&lost)?;
            }
        }
        let gradients = &mut gradients[..self.trainer.agreed_len()];
        self.engine.agree(gradients, &AgreeStep { number: self.state.step, timeline }).map_err(&lost)
    }

    fn move_parameters(&mut self, weight: f64) -> Result<(), Error> {
        let timeline = self.trainer.declared_timeline();
        let state = &mut *self.state;
        let (step, scale) = (state.step, T::of(1.0 / weight));
        let at = UpdateStep { number: step, learning_rate_factor: state.learning_rate_factor };
        let program = self.trainer.program();
        let trained = program.layout().trainable_len();
        if self.gradients.len() > trained {
            program.update_buffers(&mut state.params, &self.gradients, weight);
        }
        let arenas = Arenas {
            params: &mut state.params[..trained],
            gradients: &mut self.gradients[..trained],
            optimizer: &mut state.optimizer,
            touched: self.touched.rows(),
            timeline,
        };
        let (engine, optimizer) = (&mut self.engine, self.trainer.optimizer());
        let updated = timed(timeline, Activity::Update, || engine.update(optimizer, at, scale, arenas));
        self.is_sharded |= updated.memory == OptimizerMemory::OwnShare;
        if let Err(lost) = engine.share(&mut state.params[..self.trainer.agreed_len()], timeline) {
            state.extensions.incomplete = Some(LOST);
            return Err(Error::StateLost { step, source: Box::new(lost) });
        }
        if !self.world.is_alone {
            state.extensions.incomplete = Some(ELSEWHERE);
        }
        state.step += updated.steps;
        Ok(())
    }

    /// Compares parameters, where it is time to since the step `before`.
    fn compare(&mut self, before: u64) -> Result<(), Error> {
        if self.world.is_alone {
            return Ok(());
        }
        let (every, state) = (self.world.compare_every, &*self.state);
        match self.engine.ranks() {
            Some(ranks) if every > 0 && state.step / every > before / every => {
                ranks::compare(ranks.collective, &state.params).map_err(Error::lost(state.step))
            }
            _ => Ok(()),
        }
    }

    /// Looks for what made the loss of a batch no number: an input, or else the parameters.
    pub(super) fn non_finite(&mut self, of: Of, rows: Range<usize>, total: f64) -> Error {
        let (step, row, loss) = match self.engine.non_finite() {
            Some(found) => (found.step, found.row, found.loss),
            None => {
                self.outputs.resize(self.rows[of as usize].batch().rows(), Need::Target);
                let task = self.world.task(
                    self.trainer,
                    self.state,
                    &self.rows[of as usize],
                    (&self.binding, &[]),
                    rows.clone(),
                );
                self.engine.evaluate(&task, &mut self.outputs);
                let losses = &self.outputs.losses()[rows.clone()];
                let found = losses.iter().position(|loss| !loss.is_finite());
                // Where each is finite by itself, without dropout, what is not is their sum.
                let loss = found.map_or(total, |row| losses[row].widen());
                (self.state.step, rows.start + found.unwrap_or(0), loss)
            }
        };
        let rows = &self.rows[of as usize];
        Error::NonFiniteLoss { step, row: rows.place(row), loss, cause: cause(rows.batch(), row) }
    }
}
