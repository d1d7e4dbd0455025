use std::path::PathBuf;

use super::{Callback, Control, Event};
use crate::Error;

/// Saves the state every so many steps, and when the run ends. The file is always a whole checkpoint: the last one, or
/// the one before. Of several ranks, the first one saves.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    path: PathBuf,
    every: u64,
    /// The step that was saved last, or that the run began at.
    last: u64,
}

impl Checkpoints {
    /// To this file, after every `every` steps (zero: only when the run ends).
    pub fn new(path: impl Into<PathBuf>, every: u64) -> Self {
        Self { path: path.into(), every, last: 0 }
    }

    fn is_due(&self, step: u64) -> bool {
        self.every > 0 && step / self.every > self.last / self.every
    }
}

impl<T> Callback<T> for Checkpoints {
    fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
        let state = match event {
            Event::Started { state, .. } => {
                self.last = state.step;
                return Ok(());
            }
            Event::Step { state, .. } if self.is_due(state.step) => state,
            Event::Finished { state, .. } => state,
            _ => return Ok(()),
        };
        run.save(&self.path);
        self.last = state.step;
        Ok(())
    }

    fn saves(&self, step: u64) -> bool {
        self.is_due(step)
    }
}
