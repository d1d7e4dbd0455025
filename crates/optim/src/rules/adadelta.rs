use tidemill_tensor::{Scalar, vectorized};

use super::mean::{Decay, by_decay};
use super::rate::rate;
use crate::error::{positive, unit};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched};

/// Adadelta: gradients times the ratio of the running root mean squares of past moves and of gradients.
///
/// ```text
/// v ← ρ v + (1 − ρ) g²        d = g √(s + ε) / √(v + ε)        s ← ρ s + (1 − ρ) d²        p ← p − η d
/// ```
///
/// Defaults are PyTorch's: `ρ` 0.9, `ε` 1e-6; Keras has 0.95 and 1e-7. The paper's learning rate is 1.
///
/// # References
///
/// M. Zeiler, *ADADELTA: an adaptive learning rate method*, 2012.
pub fn adadelta(lr: impl Into<Schedule>) -> Adadelta {
    Adadelta { lr: lr.into(), rule: Rescale { rho: 0.9, epsilon: 1e-6 } }
}

/// Made by [`adadelta`].
#[derive(Clone, Debug)]
pub struct Adadelta {
    lr: Schedule,
    rule: Rescale,
}

impl Adadelta {
    /// The decay `ρ` of both mean squares.
    pub fn rho(mut self, rho: f64) -> Self {
        self.rule.rho = rho;
        self
    }

    /// `ε`.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

impl From<Adadelta> for Chain {
    fn from(adadelta: Adadelta) -> Self {
        Chain::from(adadelta.rule).then(rate("adadelta", adadelta.lr))
    }
}

#[derive(Clone, Debug)]
struct Rescale {
    rho: f64,
    epsilon: f64,
}

impl Transform for Rescale {
    fn name(&self) -> &'static str {
        "adadelta"
    }

    fn check(&self) -> Result<(), Error> {
        unit("adadelta", "rho", self.rho)?;
        positive("adadelta", "epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("mean_square_gradient"), Slot::zero("mean_square_move")]
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "adagrad or adam" }
    }
}

impl<T: Scalar> Rule<T> for Rescale {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, _, [v, s]) = chunk.parts();
        rescale(u, v, s, [Decay::new(self.rho)], T::of(self.epsilon));
    }
}

vectorized! {
    fn rescale<T: Scalar>(u: &mut [T], v: &mut [T], s: &mut [T], decay: [Decay<T>; 1], epsilon: T) {
        by_decay!(decay, {
            let [decay] = decay;
            for ((u, v), s) in u.iter_mut().zip(v).zip(s) {
                *v = decay.mean(*v, *u * *u);
                *u *= ((*s + epsilon) / (*v + epsilon)).sqrt();
                *s = decay.mean(*s, *u * *u);
            }
        });
    }
}
