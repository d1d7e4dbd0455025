use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Cursor, Source};

use super::{Callback, CallbackMemory, Control, Event};
use crate::{Error, Metrics, State, evaluate};

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
    name: String,
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
        Self { program: Arc::clone(program), held_out, patience, name: "early_stopping".into(), best: None }
    }

    /// Remembers what it has seen by this name, where several stop a run early.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
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

impl<T: Scalar> Callback<T> for EarlyStopping<'_, T> {
    fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
        let Event::Epoch { state, number, .. } = event else { return Ok(()) };
        self.held_out.seek(Cursor::start(0))?;
        let loss = evaluate(&self.program, &state.params, self.held_out, &mut Metrics::new())?.loss();
        match &self.best {
            Some(best) if loss >= best.loss || loss.is_nan() => {
                if number.saturating_sub(best.epoch) >= self.patience {
                    run.stop();
                }
            }
            _ => self.best = Some(Best { epoch: *number, loss, params: state.params.clone() }),
        }
        Ok(())
    }

    fn remember(&self, memory: &mut CallbackMemory) {
        if let Some(Best { epoch, loss, params }) = &self.best {
            let params = params.iter().map(|value| value.widen());
            memory.put(&self.name, [*epoch as f64, *loss].into_iter().chain(params));
        }
    }

    fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
        self.best = match memory.get(&self.name) {
            None => None,
            Some([epoch, loss, params @ ..])
                if params.len() == self.program.layout().len()
                    && params.iter().all(|value| value.is_finite())
                    && epoch.fract() == 0.0
                    && (0.0..MOST_EPOCHS).contains(epoch) =>
            {
                let params = params.iter().map(|&value| T::of(value)).collect();
                Some(Best { epoch: *epoch as u64, loss: *loss, params })
            }
            _ => return Err(Error::setting("early stopping", "what the state remembers of it is of another model")),
        };
        Ok(())
    }
}

/// What no run counts beyond, and real numbers of 64 bits hold exactly.
const MOST_EPOCHS: f64 = (1_u64 << 53) as f64;
