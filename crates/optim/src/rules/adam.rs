use std::any::Any;

use tidemill_tensor::{Scalar, vectorized};

use super::decay::weight_decay;
use super::mean::{Decay, by_decay, correction};
use super::rate::rate;
use crate::error::{positive, unit};
use crate::fused::{Descent, Fused};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched, UpdateStep};

/// Adam: gradients divided by the root of their mean square.
///
/// ```text
/// m ← β₁ m + (1 − β₁) g        m̂ = m / (1 − β₁ᵗ)
/// v ← β₂ v + (1 − β₂) g²       v̂ = v / (1 − β₂ᵗ)        p ← p − η m̂ / (√v̂ + ε)
/// ```
///
/// Defaults are those of the paper and of PyTorch: `β₁` 0.9, `β₂` 0.999, `ε` 1e-8. For PyTorch's coupled `weight_decay`
/// put [`l2`](crate::l2) before; for decoupled decay see [`adamw`]. Of rows of tables that are
/// [updated alone](crate::Optimizer::update_rows) it is PyTorch's `SparseAdam`.
///
/// # Example
///
/// ```
/// use tidemill_optim::{EpsilonMode, adam};
///
/// let like_keras = adam(1e-3).epsilon(1e-7, EpsilonMode::Keras);
/// ```
///
/// # References
///
/// D. Kingma, J. Ba, *Adam: a method for stochastic optimization*, 2015. S. Reddi, S. Kale, S. Kumar, *On the
/// convergence of Adam and beyond*, 2018 (AMSGrad).
pub fn adam(lr: impl Into<Schedule>) -> Adam {
    Adam { lr: lr.into(), rule: Rescale::new("adam"), decay: Chain::new() }
}

/// AdamW: [`adam`] with decoupled weight decay `λ`, `p ← p − η (m̂ / (√v̂ + ε) + λ p)`.
///
/// `λ` is 0.01 by default as in PyTorch; optax has 1e-4, Keras 0.004.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Schedule, adamw};
///
/// let schedule = Schedule::warmup_cosine(0.0, 1e-3, 500, 10_000, 0.0);
/// let chain = adamw(schedule).weight_decay_only(0.05, "*.weight");
/// ```
///
/// # References
///
/// I. Loshchilov, F. Hutter, *Decoupled weight decay regularization*, 2019.
pub fn adamw(lr: impl Into<Schedule>) -> Adam {
    Adam { lr: lr.into(), rule: Rescale::new("adamw"), decay: Chain::new() }.weight_decay(0.01)
}

/// Made by [`adam`] and [`adamw`].
#[derive(Clone, Debug)]
pub struct Adam {
    lr: Schedule,
    rule: Rescale,
    decay: Chain,
}

/// Where Adam adds its `ε`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpsilonMode {
    /// To the root of the bias-corrected `v̂`, as the paper's algorithm, PyTorch and optax.
    Torch,
    /// To the root of `v` before the correction, as Keras: the paper's "epsilon hat".
    Keras,
}

impl Adam {
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

    /// `ε`, and where it is added.
    pub fn epsilon(mut self, epsilon: f64, mode: EpsilonMode) -> Self {
        self.rule.epsilon = epsilon;
        self.rule.mode = mode;
        self
    }

    /// AMSGrad: divide by the largest `v` so far.
    pub fn amsgrad(mut self) -> Self {
        self.rule.maximum = Maximum::On;
        self
    }

    /// Decoupled weight decay `λ`, on all parameters.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.decay = weight_decay(decay);
        self
    }

    /// Decoupled weight decay `λ`, on parameters whose names match, such as `*.weight`.
    pub fn weight_decay_only(mut self, decay: f64, pattern: &str) -> Self {
        self.decay = weight_decay(decay).only(pattern);
        self
    }

    /// The direction alone, without the learning rate: to be continued by other transforms.
    pub fn direction(self) -> Chain {
        Chain::from(self.rule).then(self.decay)
    }

    /// Learning rate and direction.
    pub(super) fn split(self) -> (Chain, Chain) {
        (rate(self.rule.owner, self.lr.clone()), self.direction())
    }
}

impl From<Adam> for Chain {
    fn from(adam: Adam) -> Self {
        let (rate, direction) = adam.split();
        direction.then(rate)
    }
}

/// What LAMB continues: Adam with `ε` 1e-6, under LAMB's name.
pub(super) fn lamb_direction(lr: Schedule) -> Adam {
    Adam { lr, rule: Rescale { epsilon: 1e-6, ..Rescale::new("lamb") }, decay: Chain::new() }
}

#[derive(Clone, Debug)]
struct Rescale {
    owner: &'static str,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    mode: EpsilonMode,
    maximum: Maximum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maximum {
    Off,
    On,
}

impl Rescale {
    fn new(owner: &'static str) -> Self {
        Self { owner, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, mode: EpsilonMode::Torch, maximum: Maximum::Off }
    }
}

impl Transform for Rescale {
    fn name(&self) -> &'static str {
        self.owner
    }

    fn check(&self) -> Result<(), Error> {
        unit(self.owner, "beta1", self.beta1)?;
        unit(self.owner, "beta2", self.beta2)?;
        positive(self.owner, "epsilon", self.epsilon)
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::zero("first_moment"), Slot::zero("second_moment")];
        if self.maximum == Maximum::On {
            slots.push(Slot::zero("second_moment_maximum"));
        }
        slots
    }

    /// As PyTorch's `SparseAdam`: moments of rows without a gradient stay, and do not move them.
    fn untouched(&self) -> Untouched {
        Untouched::Stays
    }

    /// `m̂ / (√v̂ + ε)` is `m / (a √v + e)`: both modes are one kernel.
    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        let (first, second) = (correction(self.beta1, step.number), correction(self.beta2, step.number).sqrt());
        let e = match self.mode {
            EpsilonMode::Torch => self.epsilon * first,
            EpsilonMode::Keras => self.epsilon * first / second,
        };
        [first / second, e, 0.0, 0.0]
    }
}

impl Rescale {
    fn decays<T: Scalar>(&self) -> [Decay<T>; 2] {
        [Decay::new(self.beta1), Decay::new(self.beta2)]
    }
}

impl<T: Scalar> Rule<T> for Rescale {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        let decays = self.decays();
        let denominator = [T::of(at[0]), T::of(at[1])];
        match self.maximum {
            Maximum::Off => {
                let (u, _, [m, v]) = chunk.parts();
                rescale(u, m, v, decays, denominator);
            }
            Maximum::On => {
                let (u, _, [m, v, largest]) = chunk.parts();
                rescale_by_maximum(u, m, v, largest, decays, denominator);
            }
        }
    }
}

/// The one pass of Adam and its move, which AMSGrad has not.
pub(crate) fn fused<T: Scalar>(transform: &dyn Transform) -> Option<Box<dyn Fused<T>>> {
    let rule = (transform as &dyn Any).downcast_ref::<Rescale>()?;
    (rule.maximum == Maximum::Off).then(|| Box::new(rule.clone()) as Box<dyn Fused<T>>)
}

impl<T: Scalar> Fused<T> for Rescale {
    fn descend(&self, at: &Coefficients, descent: Descent<'_, T>) {
        let Descent { gradients, parameters, scale, rate, slots: [m, v, ..] } = descent;
        let denominator = [T::of(at[0]), T::of(at[1])];
        descend(parameters, gradients, m, v, [scale, rate], self.decays(), denominator);
    }
}

vectorized! {
    /// `m ← β₁ m + (1 − β₁) u`, `v ← β₂ v + (1 − β₂) u²`, `u ← m / (a √v + e)`.
    pub(super) fn rescale<T: Scalar>(u: &mut [T], m: &mut [T], v: &mut [T], decays: [Decay<T>; 2], denominator: [T; 2]) {
        by_decay!(decays, {
            for ((u, m), v) in u.iter_mut().zip(m).zip(v) {
                *u = rescaled(*u, m, v, decays, denominator);
            }
        });
    }
}

vectorized! {
    /// As [`rescale`] of `s g`, and `p ← p − η u`; `factors` are `s` and `η`.
    fn descend<T: Scalar>(
        p: &mut [T],
        g: &[T],
        m: &mut [T],
        v: &mut [T],
        factors: [T; 2],
        decays: [Decay<T>; 2],
        denominator: [T; 2],
    ) {
        let [scale, rate] = factors;
        by_decay!(decays, {
            for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                *p -= rate * rescaled(scale * g, m, v, decays, denominator);
            }
        });
    }
}

#[inline(always)]
fn rescaled<T: Scalar>(u: T, m: &mut T, v: &mut T, [first, second]: [Decay<T>; 2], [a, e]: [T; 2]) -> T {
    *m = first.mean(*m, u);
    *v = second.mean(*v, u * u);
    *m / (a * v.sqrt() + e)
}

vectorized! {
    fn rescale_by_maximum<T: Scalar>(
        u: &mut [T],
        m: &mut [T],
        v: &mut [T],
        largest: &mut [T],
        decays: [Decay<T>; 2],
        denominator: [T; 2],
    ) {
        let [a, e] = denominator;
        by_decay!(decays, {
            let [first, second] = decays;
            for (((u, m), v), largest) in u.iter_mut().zip(m).zip(v).zip(largest) {
                *m = first.mean(*m, *u);
                *v = second.mean(*v, *u * *u);
                *largest = if *v > *largest { *v } else { *largest };
                *u = *m / (a * largest.sqrt() + e);
            }
        });
    }
}
