use tidemill_data::Interrupt;

use super::{Callback, Control, Event};
use crate::Error;

/// Stops a run after the step during which it was set, and at once while the run waits for rows.
impl<T> Callback<T> for Interrupt {
    fn on_event(&mut self, _event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
        if self.is_set() {
            run.stop();
        }
        Ok(())
    }

    fn interrupt(&self) -> Option<Interrupt> {
        Some(self.clone())
    }
}
