use tidemill_autograd::tensor::Scalar;
use tidemill_data::Cursor;

use super::clock::unless_interrupted;
use super::{Of, Outcome, Session};
use crate::{Error, Summary, finite};

impl<T: Scalar> Session<'_, T> {
    /// Ends the epoch: the source goes to the start of the next one, if the plan has one. Says whether the run goes on.
    ///
    /// # Errors
    ///
    /// When training has diverged, a callback fails, the source cannot go back to its start, or had no rows in an endless
    /// run.
    pub fn end_epoch(&mut self) -> Result<bool, Error> {
        self.close_round()?;
        self.last_epoch = std::mem::take(&mut self.state.epoch);
        if self.last_epoch.rows == 0 && self.read == 0 && self.plan.epochs.is_none() {
            return Err(Error::setting("source", "it has no rows, and endless training was asked for"));
        }
        self.read = 0;
        let trained = self.trainer.program().layout().trainable_len();
        self.trainer.optimizer().catch_up(&mut self.state.params[..trained], &mut self.state.optimizer);
        finite::check(self.trainer, self.state)?;
        let number = self.state.cursor.epoch;
        self.state.cursor = Cursor::start(number + 1);
        self.tell_of_epoch(number)?;
        if !self.stops
            && self.is_running()
            && unless_interrupted(self.clock.seek(self.source, self.state.cursor))?.is_none()
        {
            self.stops = true;
        }
        Ok(self.is_running())
    }

    /// Has ranks that train apart agree on the steps that each has taken since they last did.
    fn close_round(&mut self) -> Result<(), Error> {
        while self.round.is_open() {
            self.rows[Of::Source as usize].clear();
            if self.train()? == Outcome::Stopped {
                break;
            }
        }
        Ok(())
    }

    /// Gives every rank the whole of the state, and has all do what one of them was asked for.
    pub(super) fn gather_state(&mut self) -> Result<(), Error> {
        self.agree_on_actions()?;
        self.world.gather_state(&mut *self.engine, self.trainer, self.state, &mut self.is_sharded)
    }

    /// Ends the run, and says what it did.
    ///
    /// # Errors
    ///
    /// When there was nothing to train on, training has diverged, a rank is gone or late, or a callback fails.
    pub fn finish(mut self) -> Result<Summary, Error> {
        self.close_round()?;
        let stopped = self.stops || self.is_over;
        let is_whole_run = self.began.cursor.is_start() && self.began.is_empty && !self.began.was_over && !stopped;
        if is_whole_run && !self.tested && self.state.step == self.began.step {
            self.state.cursor = self.began.cursor;
            let problem = match self.last_epoch.rows {
                0 => "it has no rows, so there is nothing to train on".to_owned(),
                rows => format!("all of its {rows} rows have the weight 0, so there is nothing to train on"),
            };
            return Err(Error::setting("source", problem));
        }
        self.gather_state()?;
        finite::check(self.trainer, self.state)?;
        let summary = Summary {
            steps: self.state.step - self.began.step,
            rows: self.state.rows_trained - self.began.rows,
            time: self.began.at.elapsed(),
            waiting: self.clock.waited,
            last_epoch: if self.state.epoch.rows > 0 { self.state.epoch } else { self.last_epoch },
            stopped,
            was_over: self.began.was_over,
        };
        self.tell_of_end(&summary)?;
        self.remember()?;
        if let Some(timeline) = self.trainer.declared_timeline() {
            let sent = self.engine.ranks().map_or(0, |ranks| ranks.collective.sent());
            timeline.end(sent - self.began.sent)?;
        }
        Ok(summary)
    }
}

impl<T: Scalar> Drop for Session<'_, T> {
    /// Leaves the state as all ranks last agreed on it, with what callbacks remember.
    fn drop(&mut self) {
        self.round.undo(self.state);
        if !std::thread::panicking() {
            // Of two names that clash, the run has told when it ended, if it has.
            let _ = self.remember();
        }
    }
}
