use tidemill_tensor::{Scalar, vectorized};

use super::decay::{sign, weight_decay};
use super::mean::{Decay, by_decay};
use super::rate::rate;
use crate::error::unit;
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched};

/// Lion: moves by the sign of a momentum, `p ← p − η (sign(β₁ m + (1 − β₁) g) + λ p)`, `m ← β₂ m + (1 − β₂) g`, where
/// `sign(0) = 0`.
///
/// Defaults are the paper's: `β₁` 0.9, `β₂` 0.99; no weight decay `λ`, where optax has 1e-3.
///
/// # References
///
/// X. Chen et al., *Symbolic discovery of optimization algorithms*, 2023.
pub fn lion(lr: impl Into<Schedule>) -> Lion {
    Lion { lr: lr.into(), rule: SignOfMomentum { beta1: 0.9, beta2: 0.99 }, decay: Chain::new() }
}

/// Made by [`lion`].
#[derive(Clone, Debug)]
pub struct Lion {
    lr: Schedule,
    rule: SignOfMomentum,
    decay: Chain,
}

impl Lion {
    /// The weight `β₁` of the momentum in the direction.
    pub fn beta1(mut self, beta1: f64) -> Self {
        self.rule.beta1 = beta1;
        self
    }

    /// The decay `β₂` of the momentum.
    pub fn beta2(mut self, beta2: f64) -> Self {
        self.rule.beta2 = beta2;
        self
    }

    /// Decoupled weight decay `λ`.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.decay = weight_decay(decay);
        self
    }
}

impl From<Lion> for Chain {
    fn from(lion: Lion) -> Self {
        Chain::from(lion.rule).then(lion.decay).then(rate("lion", lion.lr))
    }
}

#[derive(Clone, Debug)]
struct SignOfMomentum {
    beta1: f64,
    beta2: f64,
}

impl Transform for SignOfMomentum {
    fn name(&self) -> &'static str {
        "lion"
    }

    fn check(&self) -> Result<(), Error> {
        unit("lion", "beta1", self.beta1)?;
        unit("lion", "beta2", self.beta2)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("momentum")]
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "adam" }
    }
}

impl<T: Scalar> Rule<T> for SignOfMomentum {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, _, [m]) = chunk.parts();
        sign_of_momentum(u, m, [Decay::new(self.beta1), Decay::new(self.beta2)]);
    }
}

vectorized! {
    fn sign_of_momentum<T: Scalar>(u: &mut [T], m: &mut [T], decays: [Decay<T>; 2]) {
        by_decay!(decays, {
            let [direction, momentum] = decays;
            for (u, m) in u.iter_mut().zip(m) {
                let towards = direction.mean(*m, *u);
                *m = momentum.mean(*m, *u);
                *u = sign(towards);
            }
        });
    }
}
