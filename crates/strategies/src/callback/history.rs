use std::time::{Duration, Instant};

use tidemill_autograd::tensor::Scalar;

use super::{Callback, Control, Event};
use crate::Error;

/// One entry of a [`History`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistoryPoint {
    /// Steps taken.
    pub step: u64,
    /// Rows trained on, repetitions counted.
    pub rows: u64,
    /// Since the run began.
    pub time: Duration,
    /// Mean loss of the step's batch before its update, or of the epoch that ended.
    pub loss: f64,
    /// Of the step, or of the last one before the epoch's end.
    pub learning_rate: f64,
}

/// Notes the loss as training goes on.
#[derive(Clone, Debug, Default)]
pub struct History {
    every: u64,
    began: Option<Instant>,
    /// The step of the last event.
    last: u64,
    /// Every so many steps.
    pub steps: Vec<HistoryPoint>,
    /// Each epoch.
    pub epochs: Vec<HistoryPoint>,
}

impl History {
    /// Notes every `every`-th step (zero: none), and each epoch. Where several steps come at a time, what is noted is the
    /// last of them, with the mean loss of all, if one of them is due.
    pub fn new(every: u64) -> Self {
        Self { every, ..Self::default() }
    }
}

impl<T: Scalar> Callback<T> for History {
    fn on_event(&mut self, event: &Event<'_, T>, _run: &mut Control) -> Result<(), Error> {
        let time = self.began.get_or_insert_with(Instant::now).elapsed();
        let (state, sums, optimizer, points) = match event {
            Event::Started { state, .. } => {
                self.last = state.step;
                return Ok(());
            }
            Event::Step { state, sums, optimizer, .. } => {
                let before = std::mem::replace(&mut self.last, state.step);
                if self.every == 0 || state.step / self.every == before / self.every {
                    return Ok(());
                }
                (state, sums, optimizer, &mut self.steps)
            }
            Event::Epoch { state, sums, optimizer, .. } => (state, sums, optimizer, &mut self.epochs),
            Event::Finished { .. } => return Ok(()),
        };
        points.push(HistoryPoint {
            step: state.step,
            rows: state.rows_trained,
            time,
            loss: sums.mean_loss(),
            learning_rate: optimizer.learning_rate(state.step.saturating_sub(1)) * state.learning_rate_factor,
        });
        Ok(())
    }
}
