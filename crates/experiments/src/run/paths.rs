use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tidemill::data::file;

use crate::results::Run;

/// Where a run keeps its files.
#[derive(Clone, Debug)]
pub struct Paths {
    folder: PathBuf,
    name: String,
}

impl Paths {
    /// In this folder, for this strategy and seed.
    pub fn new(folder: &Path, strategy: &str, seed: u64) -> Self {
        Self { folder: folder.to_owned(), name: format!("{strategy}-{seed}") }
    }

    /// The finished run.
    pub fn run(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    /// What is known of a run that goes on.
    pub fn partial(&self) -> PathBuf {
        self.folder.join(format!("{}.partial.json", self.name))
    }

    /// The trained model.
    pub fn model(&self) -> PathBuf {
        self.folder.join(format!("{}.model.safetensors", self.name))
    }

    /// The state of training, by number.
    pub(super) fn state(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}.state-{number}.safetensors", self.name))
    }

    /// Removes the states of training of all numbers but one: those that a killed process had no time to remove.
    pub(super) fn remove_states_but(&self, kept: Option<u64>) {
        let prefix = format!("{}.state-", self.name);
        // What cannot be listed or removed takes disk space, and is in nobody's way.
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number =
                name.to_str().and_then(|n| n.strip_prefix(&prefix)?.strip_suffix(".safetensors")?.parse().ok());
            if number.is_some() && number != kept {
                let _ = file::remove(entry.path());
            }
        }
    }

    /// Removes all that is kept for going on.
    pub(crate) fn remove_partial(&self) {
        // The states only when nothing names them any more.
        if file::remove(self.partial()).is_ok() {
            self.remove_states_but(None);
        }
    }

    /// The finished run, if there is one: made by this strategy with this seed from these data and settings, and with its
    /// model.
    ///
    /// # Errors
    ///
    /// When what is there is something else, or not all of it.
    pub fn finished(&self, strategy: &str, seed: u64, fingerprint: &str) -> Result<Option<Run>> {
        let path = self.run();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| path.display().to_string())?,
        };
        let run: Run = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        if (run.strategy.as_str(), run.seed) != (strategy, seed) {
            bail!("{}: it is of {}, seed {}", path.display(), run.strategy, run.seed);
        }
        if run.fingerprint != fingerprint {
            bail!("{}: it was made from other data or settings", path.display());
        }
        if !self.model().exists() {
            bail!("{}: its model, {}, is missing", path.display(), self.model().display());
        }
        Ok(Some(run))
    }
}
