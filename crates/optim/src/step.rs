/// Which update it is, and what every learning rate is multiplied by in it.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, UpdateStep, sgd};
/// use tidemill_tensor::{Initializer, Layout};
///
/// let mut layout = Layout::new();
/// layout.push("weight", &[1], Initializer::Constant(0.0))?;
/// let optimizer = sgd(0.1).build::<f64>(&layout)?;
/// let mut parameters = [1.0];
/// let step = UpdateStep { number: 0, learning_rate_factor: 0.5 };
/// optimizer.update(step, 1.0, &mut parameters, &mut [10.0], &mut []);
/// assert_eq!(parameters, [0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateStep {
    /// Its number, from 0, by which schedules go.
    pub number: u64,
    /// What every learning rate is multiplied by; 1 changes nothing, to the bit.
    pub learning_rate_factor: f64,
}

impl From<u64> for UpdateStep {
    /// With learning rates as they are.
    fn from(number: u64) -> Self {
        Self { number, learning_rate_factor: 1.0 }
    }
}
