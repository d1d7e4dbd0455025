use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tidemill::prelude::*;

use crate::measure::epoch_times;
use crate::{Found, Goal, Mode, Model, Workload, engine, higgs};

/// Logistic regression, one row at a time: predict, then learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneByOne {
    /// [`Mode::Memory`] or [`Mode::Parquet`].
    pub mode: Mode,
    /// Rows of a pass, where no file says so.
    pub rows: usize,
    /// The file that rows are read from, or loaded from beforehand.
    pub file: Option<PathBuf>,
    /// Threads: a row is not cut, so that those beyond the first do not train.
    pub threads: usize,
    /// Passes whose time is taken, of which the median counts.
    pub repeats: usize,
}

impl OneByOne {
    /// Rows of a pass unless told otherwise.
    pub const ROWS: usize = 400_000;

    /// Takes the time of whole passes after one to warm up, with and without a prequential metric.
    ///
    /// # Errors
    ///
    /// When the setup is impossible, the file is of another shape, and those of training.
    pub fn measure(&self) -> Result<Found> {
        self.check()?;
        let mut source = self.source()?;
        let rows = source.rows().context("a source that does not know how many rows it has")? as usize;
        let program = Workload::new("online1".into(), Model::Dense(vec![28, 1]), Goal::Bce, 1, rows)?.program()?;
        let trainer = Trainer::new(program, sgd(0.01))?.engine(engine(1, None));
        let strategy = Online::new().batch_size(1).passes(1 + self.repeats as u64);
        let mut found = |metrics| -> Result<Found> {
            let clock = epoch_times(&trainer, &strategy, &mut trainer.start_with(0, metrics), &mut source, 1)?;
            Ok(Found::of_times("online1", self.threads, rows, rows, clock))
        };
        let (plain, scored) = (found(Metrics::new())?, found(Metrics::new().with(LogLoss::default()))?);
        let median_with_metric = scored.repeated.map(|scored| scored.median);
        let repeated = plain.repeated.clone().map(|plain| crate::Repeated { median_with_metric, ..plain });
        Ok(Found { mode: Some(self.mode.name()), repeated, ..plain })
    }

    /// Whether this can be done, before anything is built.
    ///
    /// # Errors
    ///
    /// When it cannot, with the option to change.
    pub fn check(&self) -> Result<()> {
        ensure!(self.threads > 0, "threads: 0; expected 1 or more");
        ensure!(self.repeats > 0, "repeats: 0; expected 1 or more");
        ensure!(self.rows > 0, "rows: 0; expected 1 or more");
        let knows = [Mode::Memory, Mode::Parquet].contains(&self.mode);
        ensure!(knows, "mode: online1 takes rows from memory or parquet, not {}", self.mode.name());
        Ok(())
    }

    fn source(&self) -> Result<Box<dyn Source<f32>>> {
        Ok(match (self.mode, &self.file) {
            (Mode::Parquet, file) => {
                let file = file.as_deref().context("online1 from Parquet needs a file")?;
                higgs::open(file, None, self.threads)?.prefetch(4, 1024)?.boxed()
            }
            (_, None) => higgs::memory(self.rows)?.boxed(),
            (_, Some(file)) => MemorySource::load(higgs::open(file, None, self.threads)?, u64::MAX)?.boxed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_memory_and_of_a_file_are_learned_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("higgs.parquet");
        higgs::write(&path, 50).unwrap();
        for (mode, file) in [(Mode::Memory, None), (Mode::Memory, Some(&path)), (Mode::Parquet, Some(&path))] {
            let workload = OneByOne { mode, rows: 50, file: file.cloned(), threads: 1, repeats: 2 };
            let found = workload.measure().unwrap();
            assert_eq!((found.workload.as_str(), found.mode), ("online1", Some(mode.name())));
            let rates = found.repeated.unwrap();
            assert!(rates.median > 0 && rates.median_with_metric > Some(0), "{rates:?}");
        }
    }

    #[test]
    fn impossible_setups_are_refused_by_name() {
        let all = OneByOne { mode: Mode::Memory, rows: 5, file: None, threads: 1, repeats: 1 };
        let error = |setup: OneByOne| setup.measure().unwrap_err().to_string();
        assert!(error(OneByOne { threads: 0, ..all.clone() }).starts_with("threads: 0"));
        assert!(error(OneByOne { repeats: 0, ..all.clone() }).starts_with("repeats: 0"));
        assert!(error(OneByOne { rows: 0, ..all.clone() }).starts_with("rows: 0"));
        assert!(error(OneByOne { mode: Mode::Decode, ..all.clone() }).contains("memory or parquet, not decode"));
        assert!(error(OneByOne { mode: Mode::Parquet, ..all }).contains("needs a file"));
    }
}
