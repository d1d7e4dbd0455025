use tidemill_tensor::{Scalar, vectorized};

use super::mean::{Decay, by_decay, correction};
use super::rate::rate;
use crate::error::{positive, unit};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched, UpdateStep};

/// AdaMax: [`adam`](crate::adam) with a decaying maximum in place of the mean square.
///
/// ```text
/// m ← β₁ m + (1 − β₁) g        n ← max(β₂ n, |g| + ε)        p ← p − η / (1 − β₁ᵗ) · m / n
/// ```
///
/// Defaults are PyTorch's: `β₁` 0.9, `β₂` 0.999, `ε` 1e-8 inside the maximum.
///
/// # References
///
/// D. Kingma, J. Ba, *Adam: a method for stochastic optimization*, 2015.
pub fn adamax(lr: impl Into<Schedule>) -> Adamax {
    Adamax { lr: lr.into(), rule: Rescale { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } }
}

/// Made by [`adamax`].
#[derive(Clone, Debug)]
pub struct Adamax {
    lr: Schedule,
    rule: Rescale,
}

impl Adamax {
    /// The decay `β₁` of the first moment.
    pub fn beta1(mut self, beta1: f64) -> Self {
        self.rule.beta1 = beta1;
        self
    }

    /// The decay `β₂` of the maximum.
    pub fn beta2(mut self, beta2: f64) -> Self {
        self.rule.beta2 = beta2;
        self
    }

    /// `ε`.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

impl From<Adamax> for Chain {
    fn from(adamax: Adamax) -> Self {
        Chain::from(adamax.rule).then(rate("adamax", adamax.lr))
    }
}

#[derive(Clone, Debug)]
struct Rescale {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
}

impl Transform for Rescale {
    fn name(&self) -> &'static str {
        "adamax"
    }

    fn check(&self) -> Result<(), Error> {
        unit("adamax", "beta1", self.beta1)?;
        unit("adamax", "beta2", self.beta2)?;
        positive("adamax", "epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("first_moment"), Slot::zero("maximum")]
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "adam" }
    }

    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        [1.0 / correction(self.beta1, step.number), 0.0, 0.0, 0.0]
    }
}

impl<T: Scalar> Rule<T> for Rescale {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, _, [m, n]) = chunk.parts();
        rescale(u, m, n, [Decay::new(self.beta1), Decay::new(self.beta2)], T::of(self.epsilon), T::of(at[0]));
    }
}

vectorized! {
    fn rescale<T: Scalar>(u: &mut [T], m: &mut [T], n: &mut [T], decays: [Decay<T>; 2], epsilon: T, factor: T) {
        by_decay!(decays, {
            let [first, largest] = decays;
            for ((u, m), n) in u.iter_mut().zip(m).zip(n) {
                *m = first.mean(*m, *u);
                let (kept, new) = (largest.sum(*n, T::zero()), u.abs() + epsilon);
                *n = if kept > new { kept } else { new };
                *u = factor * *m / *n;
            }
        });
    }
}
