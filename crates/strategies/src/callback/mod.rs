//! Who is told what happens in a run, and may act on it.

mod checkpoints;
mod compose;
mod control;
mod early_stopping;
mod event;
mod history;
mod interrupt;
mod memory;

pub use checkpoints::Checkpoints;
pub use compose::{OnEvent, on_event};
pub use control::Control;
pub(crate) use control::check_factor;
pub use early_stopping::EarlyStopping;
pub use event::Event;
pub use history::{History, HistoryPoint};
pub use memory::CallbackMemory;

use tidemill_data::Interrupt;

use crate::Error;

/// Somebody who is told what happens in a run, and may act on it: progress, logs, checkpoints, early stopping, a reaction to
/// drift.
///
/// Several work together as a tuple, a slice or a vector.
///
/// # Example
///
/// A callback that halves the learning rate when an epoch was not better than the one before, also after a checkpoint:
///
/// ```
/// use tidemill_strategies::{Callback, CallbackMemory, Control, Error, Event};
///
/// #[derive(Default)]
/// struct Halve {
///     last: Option<f64>,
/// }
///
/// impl<T> Callback<T> for Halve {
///     fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
///         if let Event::Epoch { state, sums, .. } = event {
///             let loss = sums.mean_loss();
///             if self.last.is_some_and(|last| loss >= last) {
///                 run.set_learning_rate_factor(state.learning_rate_factor / 2.0);
///             }
///             self.last = Some(loss);
///         }
///         Ok(())
///     }
///
///     fn remember(&self, memory: &mut CallbackMemory) {
///         memory.put("halve", self.last);
///     }
///
///     fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
///         self.last = memory.get("halve").and_then(|numbers| numbers.first().copied());
///         Ok(())
///     }
/// }
/// # fn is_callback(_: impl Callback<f32>) {}
/// # is_callback(Halve::default());
/// ```
pub trait Callback<T> {
    /// Takes note of an event.
    ///
    /// # Errors
    ///
    /// Whatever the callback cannot do; the run ends with it.
    fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error>;

    /// What stops the run while it waits for rows, where no event tells the callback that it should; nothing, unless one
    /// says so. Taken when the run begins.
    fn interrupt(&self) -> Option<Interrupt> {
        None
    }

    /// Whether the callback will [save](Control::save) the state after step `step` (counted from one): what other ranks
    /// hold of it is gathered then. Where steps come several at a time, asked of the last of them. After an epoch, ranks
    /// ask each other without it.
    fn saves(&self, step: u64) -> bool {
        let _ = step;
        false
    }

    /// Gives what a run that is resumed needs of it, by a name that no other callback has. Asked before the state is
    /// saved, and when a run ends.
    fn remember(&self, memory: &mut CallbackMemory) {
        let _ = memory;
    }

    /// Takes back what it gave, where the state comes from a run that it was part of; called when a run begins, before
    /// [`Event::Started`]. In a training that begins, nothing is remembered, and the callback begins anew.
    ///
    /// # Errors
    ///
    /// When it has not given such numbers.
    fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
        let _ = memory;
        Ok(())
    }
}
