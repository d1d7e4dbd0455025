use std::fs;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tidemill::data::file;
use tidemill::prelude::*;
use tidemill::strategies::Error;

use super::paths::Paths;
use crate::results::{Planned, Point, Segment, ToTarget};
use crate::spec::Spec;

/// What is known of a run before it is finished; with the state of training, all that is needed to go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Partial {
    /// Of the data and settings that it was made from.
    pub(super) fingerprint: String,
    pub(super) phase: usize,
    /// Whether the state is in the middle of the phase, rather than before its beginning.
    pub(super) has_begun: bool,
    /// Number of the state file that belongs to this.
    pub(super) state: Option<u64>,
    /// Steps and rows of that state.
    state_steps: u64,
    state_rows: u64,
    pub(super) rows_before: u64,
    pub(super) steps_before: u64,
    pub(super) training_seconds: f64,
    pub(super) waiting_seconds: f64,
    pub(super) total_seconds: f64,
    pub(super) next_mark: u64,
    pub(super) curve: Vec<Point>,
    pub(super) segments: Vec<Segment>,
    pub(super) to_target: Option<ToTarget>,
    pub(super) memory_plan: Vec<Planned>,
    /// Sums over the segments tested before they were trained on.
    pub(super) prequential: Vec<Vec<f64>>,
    pub(super) prequential_rows: u64,
    /// What readers of the result should know.
    pub(super) note: Option<String>,
}

impl Partial {
    pub(super) fn new(fingerprint: &str) -> Self {
        Self { fingerprint: fingerprint.to_owned(), ..Self::default() }
    }

    /// What an earlier process has saved, and its state; nothing where none has.
    ///
    /// # Errors
    ///
    /// When what is there cannot be gone on with.
    pub(super) fn load(
        paths: &Paths,
        fingerprint: &str,
        phases: usize,
        spec: &Spec,
        trainer: &Trainer<f32>,
    ) -> Result<Option<(Self, State<f32>)>> {
        let bytes = match fs::read(paths.partial()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let partial: Self = serde_json::from_slice(&bytes)?;
        ensure!(partial.fingerprint == fingerprint, "it was made from other data or settings");
        // A run that has gone through all phases writes its result, and never this.
        ensure!(partial.phase < phases, "it is in phase {} of {phases}", partial.phase + 1);
        let number = partial.state.context("it names no state of training")?;
        let state = trainer.resume(paths.state(number), spec.metrics())?;
        ensure!(
            (state.step, state.rows_trained) == (partial.state_steps, partial.state_rows),
            "its state of training is of step {}, expected step {}",
            state.step,
            partial.state_steps
        );
        Ok(Some((partial, state)))
    }

    /// Saves the state under a new name, then this, which names it, then drops the state before.
    pub(super) fn save(&mut self, trainer: &Trainer<f32>, state: &State<f32>, paths: &Paths) -> Result<(), Error> {
        let old = self.state;
        let number = old.map_or(0, |n| n + 1);
        trainer.save(state, paths.state(number))?;
        (self.state, self.state_steps, self.state_rows) = (Some(number), state.step, state.rows_trained);
        let failed = |source| Error::File { path: paths.partial(), source };
        let json = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        file::write(paths.partial(), json).map_err(failed)?;
        if let Some(old) = old {
            let _ = file::remove(paths.state(old));
        }
        Ok(())
    }
}
