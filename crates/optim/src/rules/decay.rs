use tidemill_tensor::{Scalar, kernels, vectorized};

use crate::error::not_negative;
use crate::transform::{Chunk, Coefficients, Rule, Transform};
use crate::{Chain, Error, Untouched};

/// L2 regularization: adds the gradient of `½ λ Σ p²`, `u ← u + λ p`. Stands before the optimizer, whose moments then
/// see it; this is what PyTorch's `weight_decay` of SGD and Adam does.
///
/// The penalty is on each step's mean loss: `λ` is not divided by a number of rows.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, l2, sgd};
///
/// let chain = l2(1e-4).only("*.weight").then(sgd(0.1));
/// ```
pub fn l2(strength: f64) -> Chain {
    Chain::from(Decay { name: "l2", strength })
}

/// L1 regularization: adds a subgradient of `λ Σ |p|`, `u ← u + λ sign(p)` with `sign(0) = 0`. Stands before the
/// optimizer.
pub fn l1(strength: f64) -> Chain {
    Chain::from(L1 { strength })
}

/// Decoupled weight decay: `u ← u + λ p`. Stands between an optimizer's direction and its learning rate, so that moments
/// do not see it, as in [`adamw`](crate::adamw).
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, learning_rate, momentum, weight_decay};
///
/// let sgdw = momentum(0.9).then(weight_decay(0.01)).then(learning_rate(0.1));
/// ```
///
/// # References
///
/// I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, 2019.
pub fn weight_decay(strength: f64) -> Chain {
    Chain::from(Decay { name: "weight_decay", strength })
}

#[derive(Clone, Debug)]
struct Decay {
    name: &'static str,
    strength: f64,
}

impl Transform for Decay {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self) -> Result<(), Error> {
        not_negative(self.name, "strength", self.strength)
    }

    fn moves_without_gradient(&self) -> bool {
        self.strength != 0.0
    }

    fn untouched(&self) -> Untouched {
        Untouched::Decays(self.strength)
    }
}

impl<T: Scalar> Rule<T> for Decay {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        kernels::axpy(chunk.updates, T::of(self.strength), chunk.parameters);
    }
}

#[derive(Clone, Debug)]
struct L1 {
    strength: f64,
}

impl Transform for L1 {
    fn name(&self) -> &'static str {
        "l1"
    }

    fn check(&self) -> Result<(), Error> {
        not_negative("l1", "strength", self.strength)
    }

    fn moves_without_gradient(&self) -> bool {
        self.strength != 0.0
    }

    fn untouched(&self) -> Untouched {
        if self.strength == 0.0 { Untouched::Stays } else { Untouched::Moves { instead: "l2" } }
    }
}

impl<T: Scalar> Rule<T> for L1 {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        add_sign(chunk.updates, T::of(self.strength), chunk.parameters);
    }
}

/// -1, 0 or 1. Unlike `signum`, 0 for zeros.
#[inline(always)]
pub(super) fn sign<T: Scalar>(x: T) -> T {
    let (zero, one) = (T::zero(), T::one());
    if x > zero {
        one
    } else if x < zero {
        -one
    } else {
        zero
    }
}

vectorized! {
    fn add_sign<T: Scalar>(u: &mut [T], strength: T, p: &[T]) {
        for (u, &p) in u.iter_mut().zip(p) {
            *u += strength * sign(p);
        }
    }
}
