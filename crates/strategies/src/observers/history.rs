use std::time::{Duration, Instant};

use tidemill_autograd::tensor::Scalar;

use crate::{Error, Event, Flow, Observer};

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
    /// Of the step.
    pub learning_rate: f64,
}

/// Notes the loss as training goes on.
#[derive(Clone, Debug, Default)]
pub struct History {
    every: u64,
    began: Option<Instant>,
    /// Every so many steps.
    pub steps: Vec<HistoryPoint>,
    /// Each epoch.
    pub epochs: Vec<HistoryPoint>,
}

impl History {
    /// Notes every `every`-th step (zero: none), and each epoch.
    pub fn new(every: u64) -> Self {
        Self { every, ..Self::default() }
    }
}

impl<T: Scalar> Observer<T> for History {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        let time = self.began.get_or_insert_with(Instant::now).elapsed();
        match event {
            Event::Step { state, sums, optimizer, .. } if self.every > 0 && state.step % self.every == 0 => {
                let learning_rate = optimizer.learning_rate(state.step - 1);
                let loss = sums.mean_loss();
                self.steps.push(HistoryPoint { step: state.step, rows: state.rows_trained, time, loss, learning_rate });
            }
            Event::Epoch { state, sums, .. } => {
                let learning_rate = self.steps.last().map_or(f64::NAN, |p| p.learning_rate);
                let loss = sums.mean_loss();
                self.epochs.push(HistoryPoint {
                    step: state.step,
                    rows: state.rows_trained,
                    time,
                    loss,
                    learning_rate,
                });
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }
}
