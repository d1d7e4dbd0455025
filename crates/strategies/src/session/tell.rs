//! What callbacks are told, and what they have the run do.

use std::path::Path;

use tidemill_autograd::tensor::Scalar;

use super::Session;
use crate::callback::check_factor;
use crate::ranks::{Actions, StepAllReduce};
use crate::timeline::{Activity, timed};
use crate::{Callback, Control, Error, Event, Summary, Sums, Trainer};

impl<T: Scalar> Session<'_, T> {
    /// Multiplies every learning rate by this from the next step on, in place of the factor before. Of several ranks, the
    /// first one's counts.
    ///
    /// # Errors
    ///
    /// When it is negative or not finite.
    pub fn set_learning_rate_factor(&mut self, factor: f64) -> Result<(), Error> {
        self.state.learning_rate_factor = check_factor(factor)?;
        Ok(())
    }

    /// Puts the optimizer's memory, such as moments, back to what it is before the first step. Steps go on being counted.
    /// Where one rank asks for it, all do it.
    pub fn reset_optimizer(&mut self) {
        self.resets = true;
        self.trainer.optimizer().reset(&mut self.state.optimizer);
    }

    /// Ends the run: the next step is not taken. Where ranks train apart, the run ends at their next average.
    pub fn stop(&mut self) {
        self.stops = true;
    }

    /// Saves the state, and what callbacks remember with it. Of several ranks, all call this, and the first one saves.
    ///
    /// # Errors
    ///
    /// As [`Trainer::save`](crate::Trainer::save); and when a rank is gone or late.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.gather_state()?;
        self.remember()?;
        self.write(path.as_ref())
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        match self.world.rank {
            0 => self.trainer.save(self.state, path),
            _ => Ok(()),
        }
    }

    /// Takes over what callbacks remember.
    pub(super) fn remember(&mut self) -> Result<(), Error> {
        let callback = &mut self.callback;
        self.state.extensions.callbacks.ask(|memory| callback.remember(memory))
    }

    pub(super) fn tell_of_start(&mut self) -> Result<(), Error> {
        self.callback.recall(&self.state.extensions.callbacks)?;
        let (engine, memory) = (self.engine.describe(), self.source.memory_plan());
        let (rows, epochs) = (self.source.rows(), self.plan.epochs);
        let event = Event::Started { state: self.state, rows, epochs, engine: &engine, memory: &memory };
        tell(self.callback, &event, &mut self.control, self.trainer)?;
        self.act(Then::Go)
    }

    /// `saves` says that a rank has announced to save.
    pub(super) fn tell_of_step(&mut self, sums: Sums, saves: bool) -> Result<(), Error> {
        let (optimizer, waited) = (self.trainer.optimizer(), self.clock.waited);
        let event = Event::Step { state: self.state, sums, optimizer, waited };
        tell(self.callback, &event, &mut self.control, self.trainer)?;
        self.act(if saves { Then::Save } else { Then::Go })
    }

    pub(super) fn tell_of_epoch(&mut self, number: u64) -> Result<(), Error> {
        let (sums, optimizer) = (self.last_epoch, self.trainer.optimizer());
        let event = Event::Epoch { state: self.state, number, sums, optimizer };
        tell(self.callback, &event, &mut self.control, self.trainer)?;
        self.act(Then::GoOnToTheNextEpoch)
    }

    pub(super) fn tell_of_end(&mut self, summary: &Summary) -> Result<(), Error> {
        let event = Event::Finished { state: self.state, summary };
        tell(self.callback, &event, &mut self.control, self.trainer)?;
        self.act(Then::End)
    }

    /// Does what callbacks have asked for, when all of them have seen the event.
    fn act(&mut self, then: Then) -> Result<(), Error> {
        self.stops |= std::mem::take(&mut self.control.stops);
        if let Some(factor) = self.control.factor.take() {
            self.set_learning_rate_factor(factor)?;
        }
        if std::mem::take(&mut self.control.resets) {
            self.reset_optimizer();
        }
        match then {
            Then::Save => self.gather_state()?,
            Then::GoOnToTheNextEpoch => {
                if self.agree_on_actions()? {
                    self.gather_state()?;
                }
            }
            // Before they do anything apart.
            Then::Go if self.local_steps().is_some() => {
                self.agree_on_actions()?;
            }
            Then::Go | Then::End => {}
        }
        if self.control.saves.is_empty() {
            return Ok(());
        }
        self.remember()?;
        while let Some(path) = self.control.saves.pop() {
            self.write(&path)?;
        }
        Ok(())
    }

    /// Has all ranks do what one of them was asked for, while they stand at the same step. Says whether one of them saves.
    pub(super) fn agree_on_actions(&mut self) -> Result<bool, Error> {
        let saves = !self.control.saves.is_empty();
        let mine = StepAllReduce { saves, actions: self.actions(), ..StepAllReduce::default() };
        let Some(ranks) = self.engine.ranks() else { return Ok(saves) };
        let all = mine.of_all(ranks.collective).map_err(Error::lost(self.state.step))?;
        self.follow(all.actions);
        Ok(all.saves)
    }

    pub(super) fn actions(&self) -> Actions {
        Actions { factor: self.state.learning_rate_factor, resets: self.resets }
    }

    /// Does what all ranks do.
    pub(super) fn follow(&mut self, actions: Actions) {
        self.state.learning_rate_factor = actions.factor;
        if actions.resets && !self.resets {
            self.reset_optimizer();
        }
        self.resets = false;
    }
}

/// What ranks do together after an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// They go on.
    Go,
    /// They go on, and there is time to ask whether one of them saves.
    GoOnToTheNextEpoch,
    /// One of them saves, and the others give it what they hold of the state.
    Save,
    /// The run is over, and each has the whole state.
    End,
}

fn tell<T: Scalar>(
    callback: &mut dyn Callback<T>,
    event: &Event<'_, T>,
    control: &mut Control,
    trainer: &Trainer<T>,
) -> Result<(), Error> {
    timed(trainer.declared_timeline(), Activity::Callbacks, || callback.on_event(event, control))
}
