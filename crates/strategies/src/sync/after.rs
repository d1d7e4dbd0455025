use std::ops::Range;

use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost};

use super::{AllReduce, GradientSync, LocalRound, OwnState, RankMemory, Sharing, SyncRun, SyncStep, Synced};
use crate::Error;

/// Whole sums in rank order in the first steps, then another way to agree.
#[derive(Clone, Debug)]
pub struct After<S> {
    steps: u64,
    then: S,
}

impl<S> After<S> {
    /// `then`, from step `steps` (counted from zero) on.
    pub fn new(steps: u64, then: S) -> Self {
        Self { steps, then }
    }
}

impl<T: Scalar, S: GradientSync<T>> GradientSync<T> for After<S> {
    fn describe(&self) -> String {
        format!("{} from step {} on", self.then.describe(), self.steps)
    }

    fn start(&mut self, run: &SyncRun<'_>) -> Result<(), Error> {
        self.then.start(run)
    }

    fn sync(&mut self, ranks: &mut dyn Collective, gradient: &mut [T], step: &SyncStep) -> Result<Synced, Lost> {
        if step.number >= self.steps {
            return self.then.sync(ranks, gradient, step);
        }
        // Every rank has the whole of the optimizer's memory when the other way begins.
        AllReduce.sync(ranks, gradient, &SyncStep { sharing: Sharing::Impossible, ..*step })
    }

    fn local_steps(&self, step: u64) -> Option<u64> {
        if step >= self.steps { self.then.local_steps(step) } else { None }
    }

    fn average(&mut self, ranks: &mut dyn Collective, params: &mut [T], round: &LocalRound) -> Result<(), Lost> {
        self.then.average(ranks, params, round)
    }

    fn part_bytes(&self, step: u64) -> Option<usize> {
        if step >= self.steps { self.then.part_bytes(step) } else { None }
    }

    fn begin(&mut self, ranks: &mut dyn Collective, range: Range<usize>, part: &mut [T]) -> Result<(), Lost> {
        self.then.begin(ranks, range, part)
    }

    fn cancel(&mut self, ranks: &mut dyn Collective, gradient: &mut [T]) -> Result<(), Lost> {
        self.then.cancel(ranks, gradient)
    }

    fn remember(&self, state: &OwnState<'_, T>, keep: &mut dyn FnMut(&str, &[T])) {
        if state.step > self.steps {
            self.then.remember(state, keep);
        }
    }

    fn recall(&mut self, memory: &RankMemory<'_, T>, optimizer: &mut [T]) -> Result<(), Error> {
        self.then.recall(memory, optimizer)
    }
}
