use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Cursor, Source};

use crate::{Error, Event, Flow, Metrics, Observer, State, evaluate};

/// Stops when the loss on held-out rows has not fallen for so many epochs, and keeps the best parameters. What it has seen
/// is saved with the state, so that a resumed run stops where it would have; a run from the state's first epoch on begins
/// without it.
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

/// What its memory is called in a state.
const NAME: &str = "early_stopping";

impl<T: Scalar> EarlyStopping<'_, T> {
    fn recall(&mut self, state: &State<T>) -> Result<(), Error> {
        if state.cursor == Cursor::start(0) && state.epoch.rows == 0 {
            self.best = None;
        }
        let Some(memory) = state.memory(NAME) else { return Ok(()) };
        let best = match memory {
            [epoch, loss, params @ ..]
                if params.len() == state.params.len()
                    && params.iter().all(|value| value.is_finite())
                    && epoch.fract() == 0.0
                    && (0.0..state.cursor.epoch as f64).contains(epoch) =>
            {
                Best { epoch: *epoch as u64, loss: *loss, params: params.iter().map(|&value| T::of(value)).collect() }
            }
            _ => return Err(Error::setting("early stopping", "what the state remembers of it is of another model")),
        };
        self.best = Some(best);
        Ok(())
    }
}

impl<T: Scalar> Observer<T> for EarlyStopping<'_, T> {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        let (state, number) = match event {
            Event::Started { state, .. } => {
                self.recall(state)?;
                return Ok(Flow::Continue);
            }
            Event::Epoch { state, number, .. } => (state, number),
            _ => return Ok(Flow::Continue),
        };
        self.held_out.seek(Cursor::start(0))?;
        let loss = evaluate(&self.program, &state.params, self.held_out, &mut Metrics::new())?.loss();
        match &self.best {
            Some(best) if loss >= best.loss || loss.is_nan() => {
                let since = number.saturating_sub(best.epoch);
                Ok(if since >= self.patience { Flow::Stop } else { Flow::Continue })
            }
            _ => {
                self.best = Some(Best { epoch: *number, loss, params: state.params.clone() });
                Ok(Flow::Continue)
            }
        }
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        if let Some(Best { epoch, loss, params }) = &self.best {
            keep(NAME, &mut [*epoch as f64, *loss].into_iter().chain(params.iter().map(|value| value.widen())));
        }
    }
}
