use tidemill_tensor::Scalar;

use super::adam::rescale;
use super::decay::weight_decay;
use super::mean::{Decay, correction, excess};
use super::rate::rate;
use crate::error::{positive, unit};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched, UpdateStep};

/// RAdam: [`adam`](crate::adam) that divides by the second moment only once that is known well enough.
///
/// With `ρ∞ = 2/(1 − β₂) − 1` and `ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)`, and `m`, `v`, `m̂`, `v̂` as Adam's:
///
/// ```text
/// ρ > 5: p ← p − η r m̂ √(1 − β₂ᵗ) / (√v + ε), r² = (ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ)        else: p ← p − η m̂
/// ```
///
/// Defaults are PyTorch's: `β₁` 0.9, `β₂` 0.999, `ε` 1e-8.
///
/// # References
///
/// L. Liu et al., *On the variance of the adaptive learning rate and beyond*, 2020.
pub fn radam(lr: impl Into<Schedule>) -> Radam {
    let rule = Rectified { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    Radam { lr: lr.into(), rule, decay: Chain::new() }
}

/// Made by [`radam`].
#[derive(Clone, Debug)]
pub struct Radam {
    lr: Schedule,
    rule: Rectified,
    decay: Chain,
}

impl Radam {
    /// The decay `β₁` of the first moment.
    pub fn beta1(mut self, beta1: f64) -> Self {
        self.rule.beta1 = beta1;
        self
    }

    /// The decay `β₂` of the second moment.
    pub fn beta2(mut self, beta2: f64) -> Self {
        self.rule.beta2 = beta2;
        self
    }

    /// `ε`.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }

    /// Decoupled weight decay; none by default.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.decay = weight_decay(decay);
        self
    }
}

impl From<Radam> for Chain {
    fn from(radam: Radam) -> Self {
        Chain::from(radam.rule).then(radam.decay).then(rate("radam", radam.lr))
    }
}

#[derive(Clone, Debug)]
struct Rectified {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
}

impl Transform for Rectified {
    fn name(&self) -> &'static str {
        "radam"
    }

    fn check(&self) -> Result<(), Error> {
        unit("radam", "beta1", self.beta1)?;
        unit("radam", "beta2", self.beta2)?;
        positive("radam", "epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("first_moment"), Slot::zero("second_moment")]
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "adam" }
    }

    /// Both cases are Adam's kernel, `m / (a √v + e)`.
    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        let (first, second) = (correction(self.beta1, step.number), correction(self.beta2, step.number));
        let t = (step.number + 1) as f64;
        let limit = 2.0 / (1.0 - self.beta2) - 1.0;
        // The equation's two terms are both about 2/(1 − β₂), their difference about t: written with x = −ln β₂ as
        // ρ∞ = 1 + 2/(eˣ − 1) and ρ = ρ∞ − 2t/(eᵗˣ − 1), the large parts 2/x and 2t/tx cancel exactly.
        let x = -self.beta2.ln();
        let rho = 1.0 + 2.0 * excess(x) - 2.0 * t * excess(t * x);
        if rho <= 5.0 {
            return [0.0, first, 0.0, 0.0];
        }
        let r = ((rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho)).sqrt();
        let a = first / (r * second.sqrt());
        [a, a * self.epsilon, 0.0, 0.0]
    }
}

impl<T: Scalar> Rule<T> for Rectified {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, _, [m, v]) = chunk.parts();
        rescale(u, m, v, [Decay::new(self.beta1), Decay::new(self.beta2)], [T::of(at[0]), T::of(at[1])]);
    }
}
