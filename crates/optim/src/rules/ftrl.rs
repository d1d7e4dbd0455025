use tidemill_tensor::{Scalar, vectorized};

use crate::error::{expect, not_negative, positive};
use crate::transform::{Chunk, Coefficients, Rate, Rule, Slot, Transform};
use crate::{Error, Schedule, Untouched, UpdateStep};

/// FTRL-proximal: follows the regularized leader; with L1 its parameters become exactly zero, which suits sparse online
/// learning.
///
/// ```text
/// g' = g + 2 λ₂' p        n' = n + g²        z ← z + g' − (n'^−κ − n^−κ)/η · p        n ← n'
/// p ← (clip(z, −λ₁, λ₁) − z) / (n^−κ/η + 2 (λ₂ + β/(2η)))
/// ```
///
/// Defaults are Keras's: power `κ` −0.5, `n` starts at 0.1, no `λ₁`, `λ₂`, shrinkage `λ₂'` or `β`. Parameters are a
/// function of `z` and `n`: what they start from fades at the first step. A rate of 0 leaves everything as it is.
///
/// # Example
///
/// ```
/// use tidemill_optim::ftrl;
///
/// let sparse = ftrl(0.1).l1(1.0).l2(1.0);
/// ```
///
/// # References
///
/// H. B. McMahan et al., *Ad click prediction: a view from the trenches*, 2013.
pub fn ftrl(lr: impl Into<Schedule>) -> Ftrl {
    Ftrl { lr: lr.into(), power: -0.5, initial: 0.1, l1: 0.0, l2: 0.0, shrinkage: 0.0, beta: 0.0 }
}

/// Made by [`ftrl`].
#[derive(Clone, Debug)]
pub struct Ftrl {
    lr: Schedule,
    power: f64,
    initial: f64,
    l1: f64,
    l2: f64,
    shrinkage: f64,
    beta: f64,
}

impl Ftrl {
    /// The power `κ` by which the rate of a parameter falls with its gradients.
    pub fn learning_rate_power(mut self, power: f64) -> Self {
        self.power = power;
        self
    }

    /// Where the sum of squares `n` starts.
    pub fn initial_accumulator(mut self, initial: f64) -> Self {
        self.initial = initial;
        self
    }

    /// The strength `λ₁` of the L1 penalty.
    pub fn l1(mut self, l1: f64) -> Self {
        self.l1 = l1;
        self
    }

    /// The strength `λ₂` of the L2 penalty on the whole sum of losses.
    pub fn l2(mut self, l2: f64) -> Self {
        self.l2 = l2;
        self
    }

    /// The strength `λ₂'` of the L2 penalty on every single loss.
    pub fn l2_shrinkage(mut self, shrinkage: f64) -> Self {
        self.shrinkage = shrinkage;
        self
    }

    /// The paper's `β`.
    pub fn beta(mut self, beta: f64) -> Self {
        self.beta = beta;
        self
    }
}

impl Transform for Ftrl {
    fn name(&self) -> &'static str {
        "ftrl"
    }

    fn check(&self) -> Result<(), Error> {
        self.lr.check_for("ftrl")?;
        let holds = self.power <= 0.0 && self.power.is_finite();
        expect("ftrl", "learning_rate_power", self.power, holds, "learning_rate_power <= 0")?;
        positive("ftrl", "initial_accumulator", self.initial)?;
        not_negative("ftrl", "l1", self.l1)?;
        not_negative("ftrl", "l2", self.l2)?;
        not_negative("ftrl", "l2_shrinkage", self.shrinkage)?;
        not_negative("ftrl", "beta", self.beta)
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot { name: "sum_of_squares", initial: self.initial }, Slot::zero("linear")]
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "adagrad" }
    }

    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        [step.rate(&self.lr), 0.0, 0.0, 0.0]
    }

    fn rate(&self) -> Rate<'_> {
        Rate::Inside(&self.lr)
    }
}

impl<T: Scalar> Rule<T> for Ftrl {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, p, [n, z]) = chunk.parts();
        let lr = at[0];
        if lr == 0.0 {
            return u.fill(T::zero());
        }
        let penalties = [self.l1, 2.0 * (self.l2 + self.beta / (2.0 * lr)), 2.0 * self.shrinkage].map(T::of);
        if self.power == -0.5 {
            follow_by_root(u, p, n, z, T::of(1.0 / lr), penalties);
        } else {
            follow_by_power(u, p, n, z, T::of(1.0 / lr), T::of(-self.power), penalties);
        }
    }
}

vectorized! {
    fn follow_by_root<T: Scalar>(u: &mut [T], p: &[T], n: &mut [T], z: &mut [T], inverse_lr: T, penalties: [T; 3]) {
        follow(u, p, n, z, |n| inverse_lr * n.sqrt(), penalties);
    }
}

vectorized! {
    fn follow_by_power<T: Scalar>(
        u: &mut [T],
        p: &[T],
        n: &mut [T],
        z: &mut [T],
        inverse_lr: T,
        power: T,
        penalties: [T; 3],
    ) {
        follow(u, p, n, z, |n| inverse_lr * n.powf(power), penalties);
    }
}

/// `u ← p − p'`; `weight(n)` is `n^−κ/η`.
#[inline(always)]
fn follow<T: Scalar>(
    u: &mut [T],
    p: &[T],
    n: &mut [T],
    z: &mut [T],
    weight: impl Fn(T) -> T,
    [l1, l2, shrinkage]: [T; 3],
) {
    for (((u, &p), n), z) in u.iter_mut().zip(p).zip(n).zip(z) {
        let before = weight(*n);
        *n += *u * *u;
        let after = weight(*n);
        *z += *u + shrinkage * p - (after - before) * p;
        let low = if *z < -l1 { -l1 } else { *z };
        let clipped = if low > l1 { l1 } else { low };
        *u = p - (clipped - *z) / (after + l2);
    }
}
