use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost, Values};

use super::{After, GradientSync, OwnState, RankMemory, SyncRun, SyncStep, Synced};
use crate::{Error, RankRows};

/// Local SGD: each rank takes some steps by itself, then all take the average of their parameters, weighted by the rows that
/// each has trained on since; so a message in that many steps. The optimizer's memory stays each rank's own. It is not what
/// one process would come to; how far from that grows with the number of steps and the learning rate.
///
/// Each rank must have rows of its own. Scores, callbacks, checkpoints and stops are at averages alone. With
/// [`after`](Average::after) it is post-local SGD.
///
/// # References
///
/// S. U. Stich, *Local SGD converges fast and communicates little*, 2019. T. Lin et al., *Don't use large mini-batches, use
/// local SGD*, 2020.
#[derive(Clone, Copy, Debug)]
pub struct Average {
    steps: u64,
}

/// The optimizer's memory of each rank.
const OPTIMIZER: &str = "optimizer";

impl Average {
    /// Every so many steps.
    pub fn every(steps: u64) -> Self {
        Self { steps }
    }

    /// Post-local SGD: whole sums in the first so many steps, and only then averages.
    pub fn after(self, steps: u64) -> After<Self> {
        After::new(steps, self)
    }
}

impl<T: Scalar> GradientSync<T> for Average {
    fn describe(&self) -> String {
        format!("averaged every {} steps", self.steps)
    }

    fn start(&mut self, run: &SyncRun<'_>) -> Result<(), Error> {
        if run.rows == RankRows::Shared {
            return Err(Error::setting("distributed", "ranks that train apart need rows of their own"));
        }
        if self.steps == 0 {
            return Err(Error::setting("distributed", "averages every 0 steps; expected 1 or more"));
        }
        Ok(())
    }

    fn local_steps(&self, _step: u64) -> Option<u64> {
        Some(self.steps)
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], _step: &SyncStep) -> Result<Synced, Lost> {
        ranks.sum(Values::of(gradient)).map(|()| Synced::Sum)
    }

    fn remember(&self, state: &OwnState<'_, T>, keep: &mut dyn FnMut(&str, &[T])) {
        keep(OPTIMIZER, state.optimizer);
    }

    fn recall(&mut self, memory: &RankMemory<'_, T>, optimizer: &mut [T]) -> Result<(), Error> {
        let Some(parts) = memory.get(OPTIMIZER) else { return Ok(()) };
        let own = &parts[memory.rank % parts.len()];
        if own.len() != optimizer.len() {
            return Err(memory.of_another_model(OPTIMIZER, own.len(), optimizer.len()));
        }
        optimizer.copy_from_slice(own);
        Ok(())
    }
}
