use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Cursor, Source};

use crate::{Error, Event, Flow, Observer, State, evaluate};

/// Stops when the loss on held-out rows has not fallen for so many epochs, and keeps the best parameters.
///
/// # References
///
/// L. Prechelt, *Early stopping — but when?*, 1998.
pub struct EarlyStopping<'s, T> {
    program: Arc<Program<T>>,
    held_out: &'s mut dyn Source<T>,
    patience: u64,
    best: Option<Best<T>>,
}

struct Best<T> {
    epoch: u64,
    loss: f64,
    params: Vec<T>,
}

impl<'s, T: Scalar> EarlyStopping<'s, T> {
    /// Evaluates on epoch 0 of `held_out` at the end of each epoch; stops after `patience` epochs in a row that were not
    /// better than the best.
    pub fn new(program: &Arc<Program<T>>, held_out: &'s mut dyn Source<T>, patience: u64) -> Self {
        Self { program: Arc::clone(program), held_out, patience, best: None }
    }

    /// The best epoch, counted from zero, and its loss.
    pub fn best(&self) -> Option<(u64, f64)> {
        self.best.as_ref().map(|best| (best.epoch, best.loss))
    }

    /// Puts the best parameters back.
    pub fn restore(&self, state: &mut State<T>) {
        if let Some(best) = &self.best {
            state.params.copy_from_slice(&best.params);
        }
    }
}

impl<T: Scalar> Observer<T> for EarlyStopping<'_, T> {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        let Event::Epoch { state, number, .. } = event else { return Ok(Flow::Continue) };
        self.held_out.seek(Cursor::start(0))?;
        let loss = evaluate(&self.program, &state.params, self.held_out, &mut [])?.loss();
        match &self.best {
            Some(best) if loss >= best.loss || loss.is_nan() => {
                Ok(if number - best.epoch >= self.patience { Flow::Stop } else { Flow::Continue })
            }
            _ => {
                self.best = Some(Best { epoch: *number, loss, params: state.params.clone() });
                Ok(Flow::Continue)
            }
        }
    }
}
