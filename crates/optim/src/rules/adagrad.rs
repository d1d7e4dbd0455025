use tidemill_tensor::{Scalar, vectorized};

use super::rate::rate;
use crate::error::{not_negative, positive};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched, UpdateStep};

/// Adagrad: gradients divided by the root of the sum of all their squares, `s ← s + g²`,
/// `p ← p − η / (1 + (t − 1) d) · g / (√s + ε)`.
///
/// Defaults are PyTorch's: `s` starts at 0, `ε` 1e-10, no decay `d`; Keras starts `s` at 0.1 with `ε` 1e-7.
///
/// # References
///
/// J. Duchi, E. Hazan, Y. Singer, *Adaptive subgradient methods for online learning and stochastic optimization*, 2011.
pub fn adagrad(lr: impl Into<Schedule>) -> Adagrad {
    Adagrad { lr: lr.into(), rule: Rescale { lr_decay: 0.0, initial: 0.0, epsilon: 1e-10 } }
}

/// Made by [`adagrad`].
#[derive(Clone, Debug)]
pub struct Adagrad {
    lr: Schedule,
    rule: Rescale,
}

impl Adagrad {
    /// The decay `d` of the learning rate.
    pub fn lr_decay(mut self, lr_decay: f64) -> Self {
        self.rule.lr_decay = lr_decay;
        self
    }

    /// Where the sum of squares starts.
    pub fn initial_accumulator(mut self, initial: f64) -> Self {
        self.rule.initial = initial;
        self
    }

    /// `ε`.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

impl From<Adagrad> for Chain {
    fn from(adagrad: Adagrad) -> Self {
        Chain::from(adagrad.rule).then(rate("adagrad", adagrad.lr))
    }
}

#[derive(Clone, Debug)]
struct Rescale {
    lr_decay: f64,
    initial: f64,
    epsilon: f64,
}

impl Transform for Rescale {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn check(&self) -> Result<(), Error> {
        not_negative("adagrad", "lr_decay", self.lr_decay)?;
        not_negative("adagrad", "initial_accumulator", self.initial)?;
        positive("adagrad", "epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot { name: "sum_of_squares", initial: self.initial }]
    }

    /// A gradient of zero changes nothing.
    fn untouched(&self) -> Untouched {
        Untouched::Stays
    }

    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        [1.0 / (1.0 + step.number as f64 * self.lr_decay), 0.0, 0.0, 0.0]
    }
}

impl<T: Scalar> Rule<T> for Rescale {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, _, [s]) = chunk.parts();
        rescale(u, s, T::of(at[0]), T::of(self.epsilon));
    }
}

vectorized! {
    fn rescale<T: Scalar>(u: &mut [T], s: &mut [T], factor: T, epsilon: T) {
        for (u, s) in u.iter_mut().zip(s) {
            *s += *u * *u;
            *u = factor * *u / (s.sqrt() + epsilon);
        }
    }
}
