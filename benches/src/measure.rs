use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use tidemill::optim::EpsilonMode;
use tidemill::prelude::*;
use tidemill::strategies::{Event, Flow, on_event};

use crate::Workload;

/// How a workload is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Threads: serial for one, data parallel for more.
    pub threads: usize,
    /// Shards of each batch; as many as threads when absent.
    pub shards: Option<usize>,
    /// Times that are taken, of which the median counts.
    pub repeats: usize,
    /// Epochs in each of them.
    pub epochs: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { threads: 1, shards: None, repeats: 5, epochs: 1 }
    }
}

/// A result, as its one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// `tidemill`.
    pub engine: &'static str,
    /// The workload's name.
    pub workload: String,
    /// Threads that trained.
    pub threads: usize,
    /// Rows a second of the fastest repeat.
    pub best: u64,
    /// Rows a second of the median repeat.
    pub median: u64,
    /// Microseconds a step of the median repeat.
    pub us_per_step: f64,
}

impl Setup {
    /// Trains the workload as a user would, and takes the time of whole epochs after one to warm up.
    ///
    /// # Errors
    ///
    /// When the setup is impossible for the workload, and those of training.
    pub fn measure(&self, workload: &Workload) -> Result<Measurement> {
        self.check(workload)?;
        let trainer = self.trainer(workload)?;
        let mut source = workload.source()?;
        let epochs = (1 + self.repeats * self.epochs) as u64;
        let strategy = Batch::new(epochs).batch_size(workload.batch_size).in_order();
        let mut ends = Vec::with_capacity(epochs as usize);
        let mut clock = on_event(|event: &Event<'_, f32>| {
            if let Event::Epoch { .. } = event {
                ends.push(Instant::now());
            }
            Ok(Flow::Continue)
        });
        trainer.run(&strategy, &mut trainer.start(0), &mut source, &mut clock)?;
        let repeats: Vec<Instant> = ends.into_iter().step_by(self.epochs).collect();
        let times = repeats.windows(2).map(|ends| ends[1] - ends[0]).collect();
        Ok(self.summarize(workload, times))
    }

    /// Whether this can be done, before anything is built.
    ///
    /// # Errors
    ///
    /// When it cannot, with the option to change.
    pub fn check(&self, workload: &Workload) -> Result<()> {
        ensure!(self.threads > 0, "threads: 0; expected 1 or more");
        ensure!(self.repeats > 0, "repeats: 0; expected 1 or more");
        ensure!(self.epochs > 0, "epochs: 0; expected 1 or more");
        let (threads, shards, batch) = (self.threads, self.shards(), workload.batch_size);
        ensure!(shards >= threads, "shards: {shards} leave some of {threads} threads without work");
        ensure!(shards <= batch, "a batch of {batch} rows cannot be cut into {shards} shards");
        Ok(())
    }

    fn shards(&self) -> usize {
        self.shards.unwrap_or(self.threads)
    }

    fn trainer(&self, workload: &Workload) -> Result<Trainer<f32>> {
        let optimizer = adam(1e-3).beta1(0.9).beta2(0.999).epsilon(1e-8, EpsilonMode::Torch);
        let trainer = Trainer::new(workload.program()?, optimizer)?;
        Ok(match self.shards() {
            1 => trainer.engine(Serial),
            shards => trainer.engine(DataParallel::new(self.threads).shards(shards)),
        })
    }

    fn summarize(&self, workload: &Workload, mut times: Vec<Duration>) -> Measurement {
        times.sort();
        let (best, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
        let rows = (workload.rows * self.epochs) as f64;
        let steps = (workload.steps() * self.epochs) as f64;
        Measurement {
            engine: "tidemill",
            workload: workload.name.clone(),
            threads: self.threads,
            best: (rows / best).round() as u64,
            median: (rows / median).round() as u64,
            us_per_step: (1e8 * median / steps).round() / 100.0,
        }
    }
}

impl Measurement {
    /// The line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, best, us_per_step, .. } = self;
        let threads = if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        write!(f, "{threads}: {median} rows/s (median), {best} (best), {us_per_step} µs a step")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Goal;

    fn small() -> Workload {
        Workload::new("own".into(), vec![3, 4, 1], Goal::Bce, 8, 32).unwrap()
    }

    #[test]
    fn times_become_rates() {
        let setup = Setup { epochs: 2, ..Setup::default() };
        let times = [3, 1, 2].map(Duration::from_secs).to_vec();
        let found = setup.summarize(&small(), times);
        assert_eq!((found.best, found.median, found.us_per_step), (64, 32, 250_000.0));
    }

    #[test]
    fn the_line_has_the_keys_of_the_other_engines() {
        for (threads, shards) in [(1, None), (1, Some(3)), (2, None), (2, Some(4))] {
            let setup = Setup { threads, shards, repeats: 2, epochs: 2 };
            let line = setup.measure(&small()).unwrap().json();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
            let expected = ["engine", "workload", "threads", "best", "median", "us_per_step"];
            assert!(keys.len() == expected.len() && expected.iter().all(|key| keys.contains(key)), "{line}");
            assert_eq!((&value["engine"], &value["threads"]), (&"tidemill".into(), &threads.into()));
            assert!(value["best"].as_u64() >= value["median"].as_u64() && value["median"].as_u64() > Some(0), "{line}");
        }
    }

    #[test]
    fn impossible_setups_are_refused_by_name() {
        let error = |setup: Setup| setup.measure(&small()).unwrap_err().to_string();
        let all = Setup::default();
        assert!(error(Setup { threads: 0, ..all }).starts_with("threads: 0"));
        assert!(error(Setup { repeats: 0, ..all }).starts_with("repeats: 0"));
        assert!(error(Setup { epochs: 0, ..all }).starts_with("epochs: 0"));
        assert!(error(Setup { threads: 2, shards: Some(1), ..all }).starts_with("shards: 1 leave some of 2 threads"));
        assert_eq!(error(Setup { threads: 9, ..all }), "a batch of 8 rows cannot be cut into 9 shards");
    }
}
