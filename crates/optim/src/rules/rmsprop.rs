use tidemill_tensor::{Scalar, vectorized};

use super::mean::{Decay, by_decay};
use super::rate::rate;
use super::sgd::Momentum;
use crate::error::{positive, unit};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched};

/// RMSprop: gradients divided by the root of their running mean square.
///
/// ```text
/// v ← α v + (1 − α) g²        u = g / (√v + ε)
/// centered: a ← α a + (1 − α) g, √(v − a²) for √v        with momentum: b ← μ b + u, u = b        p ← p − η u
/// ```
///
/// Defaults are PyTorch's: `α` 0.99, `ε` 1e-8 outside the root; Keras has 0.9 and 1e-7.
///
/// # References
///
/// T. Tieleman, G. Hinton, *Lecture 6.5: RMSprop*, 2012. A. Graves, *Generating sequences with recurrent neural
/// networks*, 2013 (centered).
pub fn rmsprop(lr: impl Into<Schedule>) -> RmsProp {
    RmsProp { lr: lr.into(), rule: Rescale { alpha: 0.99, epsilon: 1e-8, about: About::Zero }, momentum: None }
}

/// Made by [`rmsprop`].
#[derive(Clone, Debug)]
pub struct RmsProp {
    lr: Schedule,
    rule: Rescale,
    momentum: Option<f64>,
}

impl RmsProp {
    /// The decay `α` of the mean square.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.rule.alpha = alpha;
        self
    }

    /// `ε`.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }

    /// Divides by the standard deviation instead of the root mean square.
    pub fn centered(mut self) -> Self {
        self.rule.about = About::Mean;
        self
    }

    /// Momentum `μ` on the rescaled gradients; none by default.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = Some(momentum);
        self
    }
}

impl From<RmsProp> for Chain {
    fn from(rmsprop: RmsProp) -> Self {
        let direction = Chain::from(rmsprop.rule);
        let direction = match rmsprop.momentum {
            Some(momentum) => direction.then(Momentum::new("rmsprop", momentum)),
            None => direction,
        };
        direction.then(rate("rmsprop", rmsprop.lr))
    }
}

#[derive(Clone, Debug)]
struct Rescale {
    alpha: f64,
    epsilon: f64,
    about: About,
}

/// About what the second moment is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Zero,
    Mean,
}

impl Transform for Rescale {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn check(&self) -> Result<(), Error> {
        unit("rmsprop", "alpha", self.alpha)?;
        positive("rmsprop", "epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::zero("mean_square")];
        if self.about == About::Mean {
            slots.push(Slot::zero("mean"));
        }
        slots
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "adagrad or adam" }
    }
}

impl<T: Scalar> Rule<T> for Rescale {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        let (decay, epsilon) = ([Decay::new(self.alpha)], T::of(self.epsilon));
        match self.about {
            About::Zero => {
                let (u, _, [v]) = chunk.parts();
                rescale(u, v, decay, epsilon);
            }
            About::Mean => {
                let (u, _, [v, mean]) = chunk.parts();
                rescale_centered(u, v, mean, decay, epsilon);
            }
        }
    }
}

vectorized! {
    fn rescale<T: Scalar>(u: &mut [T], v: &mut [T], decay: [Decay<T>; 1], epsilon: T) {
        by_decay!(decay, {
            let [decay] = decay;
            for (u, v) in u.iter_mut().zip(v) {
                *v = decay.mean(*v, *u * *u);
                *u /= v.sqrt() + epsilon;
            }
        });
    }
}

vectorized! {
    fn rescale_centered<T: Scalar>(u: &mut [T], v: &mut [T], mean: &mut [T], decay: [Decay<T>; 1], epsilon: T) {
        by_decay!(decay, {
            let [decay] = decay;
            for ((u, v), mean) in u.iter_mut().zip(v).zip(mean) {
                *v = decay.mean(*v, *u * *u);
                *mean = decay.mean(*mean, *u);
                // Rounding may take the variance of a constant gradient below zero.
                let variance = *v - *mean * *mean;
                let variance = if variance < T::zero() { T::zero() } else { variance };
                *u /= variance.sqrt() + epsilon;
            }
        });
    }
}
