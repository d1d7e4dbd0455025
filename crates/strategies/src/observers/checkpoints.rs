use std::path::PathBuf;

use tidemill_autograd::tensor::Scalar;

use crate::{Error, Event, Flow, Observer, Trainer};

/// Saves the state every so many steps, and when the run ends. The file is always a whole checkpoint: the last one, or
/// the one before. Of several ranks, the first one saves.
pub struct Checkpoints<'t, T> {
    trainer: &'t Trainer<T>,
    path: PathBuf,
    every: u64,
    /// The step that was saved last, or that the run began at.
    last: u64,
}

impl<'t, T: Scalar> Checkpoints<'t, T> {
    /// To this file, after every `every` steps (zero: only when the run ends).
    pub fn new(trainer: &'t Trainer<T>, path: impl Into<PathBuf>, every: u64) -> Self {
        Self { trainer, path: path.into(), every, last: 0 }
    }
}

impl<T: Scalar> Observer<T> for Checkpoints<'_, T> {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        let state = match event {
            Event::Started { state, .. } => {
                self.last = state.step;
                return Ok(Flow::Continue);
            }
            Event::Step { state, .. } if Observer::<T>::saves(self, state.step) => state,
            Event::Finished { state, .. } => state,
            _ => return Ok(Flow::Continue),
        };
        if self.trainer.declared_engine().rank() == 0 {
            self.trainer.save(state, &self.path)?;
        }
        self.last = state.step;
        Ok(Flow::Continue)
    }

    fn saves(&self, step: u64) -> bool {
        self.every > 0 && step / self.every > self.last / self.every
    }
}
