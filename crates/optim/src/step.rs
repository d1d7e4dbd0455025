use crate::Schedule;

/// Which step an update is, and by how much learning rates are changed meanwhile. A number alone is a step at the
/// learning rates that were declared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateStep {
    /// Its number, from 0: what schedules go by.
    pub number: u64,
    /// What every learning rate is multiplied by, whatever its schedule gives.
    pub learning_rate_factor: f64,
}

impl UpdateStep {
    /// The learning rate that a schedule gives at this step, times the factor.
    pub fn rate(self, schedule: &Schedule) -> f64 {
        schedule.at(self.number) * self.learning_rate_factor
    }
}

impl From<u64> for UpdateStep {
    fn from(number: u64) -> Self {
        Self { number, learning_rate_factor: 1.0 }
    }
}
