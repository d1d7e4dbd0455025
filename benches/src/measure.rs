use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tidemill::collective::Collective;
use tidemill::mpi;
use tidemill::optim::{Adam, EpsilonMode};
use tidemill::prelude::*;
use tidemill::strategies::Strategy;

use crate::{Found, Workload, engine};

/// How a workload is trained on from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Threads: serial for one, data parallel for more.
    pub threads: usize,
    /// Shards of each batch; as the engine chooses when absent.
    pub shards: Option<usize>,
    /// Times that are taken, of which the median counts.
    pub repeats: usize,
    /// Epochs in each of them.
    pub epochs: usize,
    /// Processes over MPI that share each batch out, each with so many threads.
    pub ranks: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { threads: 1, shards: None, repeats: 5, epochs: 1, ranks: 1 }
    }
}

impl Setup {
    /// Trains the workload as a user would, and takes the time of whole epochs after one to warm up. With several ranks,
    /// this is one of them, and the first one alone tells what it found.
    ///
    /// # Errors
    ///
    /// When the setup is impossible for the workload, and those of training.
    pub fn measure(&self, workload: &Workload) -> Result<Option<Found>> {
        self.check(workload)?;
        let engine = engine(self.threads, self.shards);
        let trainer = Trainer::new(workload.program()?, optimizer())?;
        let (trainer, rank) = if self.ranks == 1 {
            (trainer.engine(engine), 0)
        } else {
            let world = mpi::world(mpi::Options::default())?;
            let (rank, ranks) = (world.rank(), world.size());
            ensure!(ranks == self.ranks, "ranks: {} were asked for, and mpirun has started {ranks}", self.ranks);
            (trainer.engine(Distributed::new(world, engine).share_rows()), rank)
        };
        let epochs = 1 + self.repeats * self.epochs;
        let strategy = Batch::new(epochs as u64).batch_size(workload.batch_size).in_order();
        let clock = epoch_times(&trainer, &strategy, &mut trainer.start(0), &mut workload.source()?, self.epochs)?;
        let (rows, steps) = (workload.rows * self.epochs, workload.steps() * self.epochs);
        let found = Found::of_times(&workload.name, self.threads, rows, steps, clock);
        let ranks = (self.ranks > 1).then_some(self.ranks);
        Ok((rank == 0).then_some(Found { ranks, categories: workload.model.categories(), ..found }))
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
        ensure!(self.ranks > 0, "ranks: 0; expected 1 or more");
        let (threads, batch) = (self.threads, workload.batch_size);
        let shards = self.shards.unwrap_or(threads);
        ensure!(shards >= threads, "shards: {shards} leave some of {threads} threads without work");
        ensure!(shards <= batch, "a batch of {batch} rows cannot be cut into {shards} shards");
        Ok(())
    }
}

/// Adam as PyTorch has it.
pub(crate) fn optimizer() -> Adam {
    adam(1e-3).beta1(0.9).beta2(0.999).epsilon(1e-8, EpsilonMode::Torch)
}

/// What a run was like.
pub(crate) struct Clock {
    /// How long each group of epochs took.
    pub(crate) times: Vec<Duration>,
    /// What the engine says of itself.
    pub(crate) how: String,
}

/// Runs the strategy to its end, and says how long each group of so many epochs took, after the first epoch.
pub(crate) fn epoch_times(
    trainer: &Trainer<f32>,
    strategy: &impl Strategy<f32>,
    state: &mut State<f32>,
    source: &mut dyn Source<f32>,
    epochs: usize,
) -> Result<Clock> {
    let (mut ends, mut how) = (Vec::new(), String::new());
    let mut clock = on_event(|event: &Event<'_, f32>, _: &mut Control| {
        match event {
            Event::Started { engine, .. } => how = (*engine).to_owned(),
            Event::Epoch { .. } => ends.push(Instant::now()),
            Event::Step { .. } | Event::Finished { .. } => {}
        }
        Ok(())
    });
    trainer.run(strategy, state, source, &mut clock)?;
    let ends: Vec<Instant> = ends.into_iter().step_by(epochs).collect();
    Ok(Clock { times: ends.windows(2).map(|ends| ends[1] - ends[0]).collect(), how })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Goal, Model};

    fn small() -> Workload {
        Workload::new("own".into(), Model::Dense(vec![3, 4, 1]), Goal::Bce, 8, 32).unwrap()
    }

    #[test]
    fn the_line_has_the_keys_of_the_other_engines() {
        for (threads, shards) in [(1, None), (1, Some(3)), (2, None), (2, Some(4))] {
            let setup = Setup { threads, shards, repeats: 2, epochs: 2, ranks: 1 };
            let line = setup.measure(&small()).unwrap().unwrap().json();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
            let expected = ["engine", "workload", "threads", "best", "median", "us_per_step", "how"];
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
