use tidemill_tensor::{Scalar, vectorized};

use super::mean::{Decay, by_decay};
use crate::error::{expect, not_negative, unit};
use crate::transform::{Chunk, Coefficients, Rule, Slot, Transform};
use crate::{Chain, Compose, Error, Schedule, Untouched, UpdateStep};

/// Stochastic gradient descent: `p ← p − η u`, where `u` is the gradient or, with momentum `μ` and dampening `δ`,
/// `b ← μ b + (1 − δ) g` and `u = b`, or `u = g + μ b` in Nesterov's form.
///
/// `b` is the plain gradient at the first step, as in PyTorch. For PyTorch's `weight_decay` put [`l2`](crate::l2)
/// before.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Compose, l2, sgd};
///
/// let chain = l2(5e-4).then(sgd(0.1).momentum(0.9).nesterov());
/// ```
///
/// # References
///
/// I. Sutskever, J. Martens, G. Dahl, G. Hinton, *On the importance of initialization and momentum in deep learning*,
/// 2013.
pub fn sgd(lr: impl Into<Schedule>) -> Sgd {
    Sgd { lr: lr.into(), momentum: Momentum::new("sgd", 0.0) }
}

/// Momentum alone: `b ← μ b + u`, `u ← b`.
pub fn momentum(momentum: f64) -> Chain {
    Chain::from(Momentum::new("momentum", momentum))
}

/// Made by [`sgd`].
#[derive(Clone, Debug)]
pub struct Sgd {
    lr: Schedule,
    momentum: Momentum,
}

impl Sgd {
    /// The momentum `μ`; none by default.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum.momentum = momentum;
        self
    }

    /// The dampening `δ` of the momentum; 0 by default.
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.momentum.dampening = dampening;
        self
    }

    /// Nesterov's form of the momentum.
    pub fn nesterov(mut self) -> Self {
        self.momentum.form = Form::Nesterov;
        self
    }
}

impl From<Sgd> for Chain {
    fn from(sgd: Sgd) -> Self {
        let direction = if sgd.momentum.is_idle() { Chain::new() } else { Chain::from(sgd.momentum) };
        direction.then(super::rate::rate("sgd", sgd.lr))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Momentum {
    owner: &'static str,
    momentum: f64,
    dampening: f64,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    HeavyBall,
    Nesterov,
}

impl Momentum {
    pub(super) fn new(owner: &'static str, momentum: f64) -> Self {
        Self { owner, momentum, dampening: 0.0, form: Form::HeavyBall }
    }

    pub(super) fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// Whether it does nothing; not so where an option shows that momentum was forgotten.
    fn is_idle(&self) -> bool {
        self.momentum == 0.0 && self.dampening == 0.0 && self.form == Form::HeavyBall
    }
}

impl Transform for Momentum {
    fn name(&self) -> &'static str {
        self.owner
    }

    fn check(&self) -> Result<(), Error> {
        unit(self.owner, "momentum", self.momentum)?;
        not_negative(self.owner, "dampening", self.dampening)?;
        let needed = self.form == Form::Nesterov || self.dampening > 0.0;
        let expected = "momentum > 0 with nesterov or dampening";
        expect(self.owner, "momentum", self.momentum, self.momentum > 0.0 || !needed, expected)?;
        let fits = self.form == Form::HeavyBall || self.dampening == 0.0;
        expect(self.owner, "dampening", self.dampening, fits, "dampening = 0 with nesterov")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("velocity")]
    }

    fn untouched(&self) -> Untouched {
        Untouched::Moves { instead: "sgd without momentum, adagrad or adam" }
    }

    fn coefficients(&self, step: UpdateStep) -> Coefficients {
        let gradient = if step.number == 0 { 1.0 } else { 1.0 - self.dampening };
        [self.momentum, gradient, 0.0, 0.0]
    }
}

impl<T: Scalar> Rule<T> for Momentum {
    fn update(&self, at: &Coefficients, chunk: Chunk<'_, T>) {
        let (u, _, [velocity]) = chunk.parts();
        match self.form {
            Form::HeavyBall => heavy_ball(u, velocity, [Decay::new(at[0])], T::of(at[1])),
            Form::Nesterov => nesterov(u, velocity, [Decay::new(at[0])], T::of(at[0]), T::of(at[1])),
        }
    }
}

vectorized! {
    fn heavy_ball<T: Scalar>(u: &mut [T], velocity: &mut [T], decay: [Decay<T>; 1], gradient: T) {
        by_decay!(decay, {
            let [decay] = decay;
            for (u, b) in u.iter_mut().zip(velocity) {
                *b = decay.sum(*b, gradient * *u);
                *u = *b;
            }
        });
    }
}

vectorized! {
    fn nesterov<T: Scalar>(u: &mut [T], velocity: &mut [T], decay: [Decay<T>; 1], momentum: T, gradient: T) {
        by_decay!(decay, {
            let [decay] = decay;
            for (u, b) in u.iter_mut().zip(velocity) {
                *b = decay.sum(*b, gradient * *u);
                *u += momentum * *b;
            }
        });
    }
}
