use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Event, Flow, Observer};

/// Stops a run after the step during which somebody set the flag: a signal handler, another thread.
///
/// Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T> Observer<T> for StopFlag {
    fn observe(&mut self, _event: &Event<'_, T>) -> Result<Flow, Error> {
        Ok(if self.is_set() { Flow::Stop } else { Flow::Continue })
    }
}
