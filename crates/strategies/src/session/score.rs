use std::ops::Range;

use tidemill_autograd::tensor::Scalar;

use super::{Of, Session};
use crate::binding::Need;
use crate::ranks::StepAllReduce;
use crate::rows::StepRows;
use crate::scores::update;
use crate::{Error, Predictions, Sums};

impl<T: Scalar> Session<'_, T> {
    /// Predicts the rows that were read, without training on them. Each rank those that it has read itself.
    pub fn predict(&mut self) -> Predictions<'_, T> {
        self.tested = true;
        let rows = self.rows[Of::Source as usize].batch().rows();
        self.evaluate(0..rows, Need::Features);
        Predictions::new(self.trainer.program(), &self.outputs, self.rows[Of::Source as usize].batch())
    }

    /// Tests on the rows that were read, updating the state's metrics, without training on them. Gives the sums of all
    /// ranks.
    ///
    /// # Errors
    ///
    /// When the loss is not finite, a metric cannot score the rows, or a rank is gone or late.
    pub fn score(&mut self) -> Result<Sums, Error> {
        self.tested = true;
        let of = Of::Source as usize;
        let own = self.world.own_rows(self.rows[of].batch().rows());
        let read = self.world.own_rows(self.rows[of].read());
        let found = self.evaluate(own.clone(), Need::Target);
        if !found.loss.is_finite() {
            return Err(self.non_finite(Of::Source, own, found.loss));
        }
        let mut sums = StepRows::<T>::sums_of(found, read);
        if let Some(ranks) = self.engine.ranks() {
            let all = StepAllReduce { sums, ..StepAllReduce::default() }.of_all(ranks.collective);
            sums = all.map_err(Error::lost(self.state.step))?.sums;
        }
        if sums.weight > 0.0 && !self.state.metrics.is_empty() {
            if !self.world.is_alone {
                self.keep_scores(Of::Source, own);
                self.gather_scores()?;
            }
            self.update_metrics(Of::Source)?;
        }
        self.state.cursor = self.source.cursor();
        Ok(sums)
    }

    fn evaluate(&mut self, rows: Range<usize>, need: Need) -> Sums {
        let step = &self.rows[Of::Source as usize];
        self.outputs.resize(step.batch().rows(), need);
        if rows.is_empty() {
            return Sums::default();
        }
        let (trained, optimizer) = (self.trainer.program().layout().trainable_len(), self.trainer.optimizer());
        if optimizer.catches_up() {
            self.touched.find(&self.binding, step.batch(), rows.clone());
            self.touched.preview(optimizer, &mut self.state.params[..trained], &self.state.optimizer);
        }
        let task = self.world.task(self.trainer, self.state, step, (&self.binding, &[]), rows);
        let sums = self.engine.evaluate(&task, &mut self.outputs);
        if optimizer.catches_up() {
            self.touched.end_preview(&mut self.state.params[..trained]);
        }
        sums
    }

    /// Keeps what this rank has predicted until it is given to all.
    pub(super) fn keep_scores(&mut self, of: Of, own: Range<usize>) {
        if !self.scored.is_empty() {
            self.scores.push(&self.scored, self.rows[of as usize].batch(), own, &self.outputs);
        }
    }

    /// Gives all ranks what each has predicted.
    pub(super) fn gather_scores(&mut self) -> Result<(), Error> {
        match self.engine.ranks() {
            Some(ranks) if !self.scored.is_empty() => {
                self.scores.gather(ranks.collective).map_err(Error::lost(self.state.step))
            }
            _ => Ok(()),
        }
    }

    /// Has the metrics take in what all ranks have predicted.
    pub(super) fn update_metrics(&mut self, of: Of) -> Result<(), Error> {
        let Self { scored, outputs, scores, .. } = self;
        let (batch, metrics) = (self.rows[of as usize].batch(), &mut self.state.metrics);
        match self.world.is_alone {
            true => update(metrics, scored, batch, outputs),
            false => scores.update(metrics, scored, batch, outputs),
        }
    }
}
