use std::path::PathBuf;

use crate::Error;

/// What a callback can do to the run. All of it is done when every callback has seen the event, so that their order does
/// not matter.
#[derive(Debug, Default)]
pub struct Control {
    pub(crate) stops: bool,
    pub(crate) resets: bool,
    pub(crate) factor: Option<f64>,
    pub(crate) saves: Vec<PathBuf>,
}

impl Control {
    /// Ends the run; the state is complete and can be saved.
    pub fn stop(&mut self) {
        self.stops = true;
    }

    /// Multiplies every learning rate by this from the next step on, in place of the factor before; schedules go on as they
    /// are. The factor is part of the state ([`State::learning_rate_factor`](crate::State::learning_rate_factor)). Of
    /// several ranks, the first one's counts.
    pub fn set_learning_rate_factor(&mut self, factor: f64) {
        self.factor = Some(factor);
    }

    /// Puts the optimizer's memory, such as moments, back to what it is before the first step. Steps go on being counted.
    /// Where one rank asks for it, all do it.
    pub fn reset_optimizer(&mut self) {
        self.resets = true;
    }

    /// Saves the state, and what callbacks remember with it. Of several ranks, the first one saves; then a callback that
    /// saves after a step says beforehand that it will, by [`Callback::saves`](crate::Callback::saves).
    pub fn save(&mut self, path: impl Into<PathBuf>) {
        self.saves.push(path.into());
    }
}

/// Whether every learning rate can be multiplied by this.
pub(crate) fn check_factor(factor: f64) -> Result<f64, Error> {
    if factor.is_finite() && factor >= 0.0 {
        return Ok(factor);
    }
    Err(Error::setting("learning-rate factor", format!("{factor}; expected a finite number from zero")))
}
