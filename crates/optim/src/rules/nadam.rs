use tidemill_tensor::{Scalar, vectorized};

use super::decay::weight_decay;
use super::mean::{Decay, by_decay, correction};
use super::rate::rate;
use crate::error::{not_negative, positive, unit};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched, UpdateStep};

/// NAdam: [`adam`](crate::adam) with Nesterov's momentum.
///
/// With `μₜ = β₁ (1 − ½ 0.96^(t ψ))`, `M = μ₁ ⋯ μₜ`, and `m`, `v`, `v̂` as Adam's:
///
/// ```text
/// p ← p − η ((1 − μₜ)/(1 − M) g + μₜ₊₁/(1 − M μₜ₊₁) m) / (√v̂ + ε)
/// ```
///
/// Defaults are PyTorch's: `β₁` 0.9, `β₂` 0.999, `ε` 1e-8, momentum decay `ψ` 0.004.
///
/// # References
///
/// T. Dozat, *Incorporating Nesterov momentum into Adam*, 2016.
pub fn nadam(lr: impl Into<Schedule>) -> Nadam {
    let rule = Rescale { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, momentum_decay: 0.004 };
    Nadam { lr: lr.into(), rule, decay: Chain::new() }
}

/// Made by [`nadam`].
#[derive(Clone, Debug)]
pub struct Nadam {
    lr: Schedule,
    rule: Rescale,
    decay: Chain,
}

impl Nadam {
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

    /// The decay `ψ` of the momentum's correction.
    pub fn momentum_decay(mut self, momentum_decay: f64) -> Self {
        self.rule.momentum_decay = momentum_decay;
        self
    }

    /// Decoupled weight decay; none by default.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.decay = weight_decay(decay);
        self
    }
}

impl From<Nadam> for Chain {
    fn from(nadam: Nadam) -> Self {
        Chain::from(nadam.rule).then(nadam.decay).then(rate("nadam", nadam.lr))
    }
}

#[derive(Clone, Debug)]
struct Rescale {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    momentum_decay: f64,
}

impl Rescale {
    /// `ln q` of `q = 0.96^ψ`.
    fn log_decay(&self) -> f64 {
        self.momentum_decay * 0.96_f64.ln()
    }

    /// `μₜ`.
    fn mu(&self, t: f64) -> f64 {
        self.beta1 * (1.0 - 0.5 * (t * self.log_decay()).exp())
    }

    /// `1 − μₜ`, without cancellation where `μₜ` is close to 1.
    fn one_minus_mu(&self, t: f64) -> f64 {
        (1.0 - self.beta1) + 0.5 * self.beta1 * (t * self.log_decay()).exp()
    }

    /// `ln M` of `M = μ₁ ⋯ μₜ` without the product: `ln(1 − ½ qⁱ) = −Σₖ qⁱᵏ / (k 2ᵏ)`, and the sum over `i` is geometric.
    ///
    /// So a step's numbers depend on the step alone, and a resumed run needs no product from the run before.
    fn log_product(&self, t: f64) -> f64 {
        let log_q = self.log_decay();
        let geometric = |k: f64| match log_q {
            0.0 => t,
            _ => (k * log_q).exp() * (k * t * log_q).exp_m1() / (k * log_q).exp_m1(),
        };
        // The last terms are below 2⁻⁶⁴ of the first.
        let sum: f64 = (1..=64).rev().map(|k| geometric(f64::from(k)) * 0.5_f64.powi(k) / f64::from(k)).sum();
        t * self.beta1.ln() - sum
    }
}

impl Transform for Rescale {
    fn name(&self) -> &'static str {
        "nadam"
    }

    fn check(&self) -> Result<(), Error> {
        unit("nadam", "beta1", self.beta1)?;
        unit("nadam", "beta2", self.beta2)?;
        positive("nadam", "epsilon", self.epsilon)?;
        not_negative("nadam", "momentum_decay", self.momentum_decay)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("first_moment"), Slot::zero("second_moment")]
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "adam" }
    }

    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        let t = (step.number + 1) as f64;
        let (log_product, next) = (self.log_product(t), self.mu(t + 1.0));
        let log_next = (-self.one_minus_mu(t + 1.0)).ln_1p();
        let gradient = self.one_minus_mu(t) / -log_product.exp_m1();
        let moment = next / -(log_product + log_next).exp_m1();
        [gradient, moment, 1.0 / correction(self.beta2, step.number).sqrt(), 0.0]
    }
}

impl<T: Scalar> Rule<T> for Rescale {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, _, [m, v]) = chunk.parts();
        let decays = [Decay::new(self.beta1), Decay::new(self.beta2)];
        rescale(u, m, v, decays, [T::of(at[0]), T::of(at[1])], [T::of(at[2]), T::of(self.epsilon)]);
    }
}

vectorized! {
    /// `u ← (a u + b m) / (c √v + ε)` with `numerator` `[a, b]` and `denominator` `[c, ε]`.
    fn rescale<T: Scalar>(
        u: &mut [T],
        m: &mut [T],
        v: &mut [T],
        decays: [Decay<T>; 2],
        numerator: [T; 2],
        denominator: [T; 2],
    ) {
        let ([a, b], [c, epsilon]) = (numerator, denominator);
        by_decay!(decays, {
            let [first, second] = decays;
            for ((u, m), v) in u.iter_mut().zip(m).zip(v) {
                *m = first.mean(*m, *u);
                *v = second.mean(*v, *u * *u);
                *u = (a * *u + b * *m) / (c * v.sqrt() + epsilon);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_in_closed_form() {
        for (beta1, momentum_decay) in [(0.9, 0.004), (0.99, 0.1), (0.9, 1e-9), (0.999, 0.0), (0.5, 10.0)] {
            let rule = Rescale { beta1, beta2: 0.999, epsilon: 1e-8, momentum_decay };
            let mut product = 1.0;
            for t in 1..=500 {
                product *= rule.mu(f64::from(t));
                let apart = (rule.log_product(f64::from(t)).exp() - product).abs();
                assert!(apart <= 1e-12 * product, "beta1 {beta1}, psi {momentum_decay}, t {t}: {apart:e}");
            }
        }
    }
}
