use tidemill_tensor::{Scalar, kernels};

use crate::transform::{Chunk, Coefficients, Rate, Rule, Transform};
use crate::{Chain, Error, Schedule, Untouched, UpdateStep};

/// Sets the learning rate: `u ← η(t) u`. The parameters to which it applies are those that move.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, learning_rate, momentum};
///
/// let heavy_ball = momentum(0.9).then(learning_rate(0.1));
/// ```
pub fn learning_rate(schedule: impl Into<Schedule>) -> Chain {
    rate("learning_rate", schedule.into())
}

/// Multiplies the updates by a schedule that is not the learning rate: `u ← s(t) u`.
///
/// # Example
///
/// A tenth of the learning rate for the lower layers:
///
/// ```
/// use tidemill_optim::{Compose, adam, scale};
///
/// let chain = adam(1e-3).then(scale(0.1).only("backbone.*"));
/// ```
pub fn scale(schedule: impl Into<Schedule>) -> Chain {
    Chain::from(Multiply { owner: "scale", schedule: schedule.into(), moves: false })
}

/// The learning rate of the optimizer named `owner`.
pub(super) fn rate(owner: &'static str, schedule: Schedule) -> Chain {
    Chain::from(Multiply { owner, schedule, moves: true })
}

#[derive(Clone, Debug)]
struct Multiply {
    owner: &'static str,
    schedule: Schedule,
    moves: bool,
}

impl Transform for Multiply {
    fn name(&self) -> &'static str {
        self.owner
    }

    fn check(&self) -> Result<(), Error> {
        self.schedule.check_for(self.owner)
    }

    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        [step.rate(&self.schedule), 0.0, 0.0, 0.0]
    }

    fn moves_without_gradient(&self) -> bool {
        false
    }

    fn untouched(&self) -> Untouched {
        Untouched::Scaled
    }

    fn rate(&self) -> Rate<'_> {
        if self.moves { Rate::Factor(&self.schedule) } else { Rate::None }
    }
}

impl<T: Scalar> Rule<T> for Multiply {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        kernels::scale(chunk.updates, T::of(at[0]));
    }
}
