use tidemill_data::Interrupt;

use crate::{Error, Event, Flow, Observer};

/// Stops a run after the step during which it was set, and at once while the run waits for rows.
impl<T> Observer<T> for Interrupt {
    fn observe(&mut self, _event: &Event<'_, T>) -> Result<Flow, Error> {
        Ok(if self.is_set() { Flow::Stop } else { Flow::Continue })
    }

    fn interrupt(&self) -> Option<Interrupt> {
        Some(self.clone())
    }
}
