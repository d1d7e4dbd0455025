use tidemill_tensor::{Scalar, kernels};

use super::adam::{Adam, EpsilonMode, lamb_direction};
use super::rate::rate;
use super::sgd::{Form, Momentum};
use crate::error::{not_negative, positive};
use crate::transform::{Chunk, Coefficients, Norms, Reduction, Rule, Transform};
use crate::{Chain, Compose, Error, Schedule, l2};

/// Scales the update of each parameter tensor to the size of the tensor: `u ← u ‖p‖ / ‖u‖` with Euclidean norms, and
/// unchanged where either is 0.
///
/// # References
///
/// Y. You, I. Gitman, B. Ginsburg, *Large batch training of convolutional networks*, 2017.
pub fn trust_ratio() -> Chain {
    Chain::from(TrustRatio { coefficient: 1.0, epsilon: 0.0 })
}

/// LAMB: [`adam`](crate::adam)'s direction with decoupled weight decay, by [`trust_ratio`], for large batches.
///
/// Defaults are optax's: `β₁` 0.9, `β₂` 0.999, `ε` 1e-6, no decay.
///
/// # References
///
/// Y. You et al., *Large batch optimization for deep learning: training BERT in 76 minutes*, 2020.
pub fn lamb(lr: impl Into<Schedule>) -> Lamb {
    Lamb { adam: lamb_direction(lr.into()) }
}

/// Made by [`lamb`].
#[derive(Clone, Debug)]
pub struct Lamb {
    adam: Adam,
}

impl Lamb {
    /// The decay `β₁` of the first moment.
    pub fn beta1(mut self, beta1: f64) -> Self {
        self.adam = self.adam.beta1(beta1);
        self
    }

    /// The decay `β₂` of the second moment.
    pub fn beta2(mut self, beta2: f64) -> Self {
        self.adam = self.adam.beta2(beta2);
        self
    }

    /// `ε`.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.adam = self.adam.epsilon(epsilon, EpsilonMode::Torch);
        self
    }

    /// Decoupled weight decay.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.adam = self.adam.weight_decay(decay);
        self
    }
}

impl From<Lamb> for Chain {
    fn from(lamb: Lamb) -> Self {
        let (rate, direction) = lamb.adam.split();
        direction.then(trust_ratio()).then(rate)
    }
}

/// LARS: SGD with momentum whose step is, for each tensor, in proportion to the tensor's size.
///
/// ```text
/// g ← g + λ p        g ← g · κ ‖p‖ / (‖g‖ + ε)        b ← μ b + η g        p ← p − b, or p − (η g + μ b) with Nesterov
/// ```
///
/// Defaults are optax's: trust coefficient `κ` 0.001, momentum `μ` 0.9, no decay `λ`, `ε` 0.
///
/// # References
///
/// Y. You, I. Gitman, B. Ginsburg, *Large batch training of convolutional networks*, 2017.
pub fn lars(lr: impl Into<Schedule>) -> Lars {
    let trust = TrustRatio { coefficient: 0.001, epsilon: 0.0 };
    Lars { lr: lr.into(), decay: 0.0, trust, momentum: 0.9, form: Form::HeavyBall }
}

/// Made by [`lars`].
#[derive(Clone, Debug)]
pub struct Lars {
    lr: Schedule,
    decay: f64,
    trust: TrustRatio,
    momentum: f64,
    form: Form,
}

impl Lars {
    /// The trust coefficient `κ`.
    pub fn trust_coefficient(mut self, coefficient: f64) -> Self {
        self.trust.coefficient = coefficient;
        self
    }

    /// `ε`.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.trust.epsilon = epsilon;
        self
    }

    /// The coupled weight decay `λ`.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.decay = decay;
        self
    }

    /// The momentum `μ`.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Nesterov's form of the momentum.
    pub fn nesterov(mut self) -> Self {
        self.form = Form::Nesterov;
        self
    }
}

impl From<Lars> for Chain {
    fn from(lars: Lars) -> Self {
        let momentum = Momentum::new("lars", lars.momentum).with_form(lars.form);
        let decay = if lars.decay == 0.0 { Chain::new() } else { l2(lars.decay) };
        decay.then(lars.trust).then(rate("lars", lars.lr)).then(momentum)
    }
}

#[derive(Clone, Debug)]
struct TrustRatio {
    coefficient: f64,
    epsilon: f64,
}

impl Transform for TrustRatio {
    fn name(&self) -> &'static str {
        "trust_ratio"
    }

    fn check(&self) -> Result<(), Error> {
        positive("trust_ratio", "coefficient", self.coefficient)?;
        not_negative("trust_ratio", "epsilon", self.epsilon)
    }

    fn reduction(&self) -> Option<Reduction> {
        Some(Reduction::PerParameter)
    }

    fn factor(&self, norms: Norms) -> f64 {
        if norms.parameters == 0.0 || norms.updates == 0.0 {
            return 1.0;
        }
        self.coefficient * norms.parameters / (norms.updates + self.epsilon)
    }
}

impl<T: Scalar> Rule<T> for TrustRatio {
    fn update(&self, _: &Coefficients, chunk: Chunk<'_, T>) {
        kernels::scale(chunk.updates, chunk.factor);
    }
}
