//! Learning rates as functions of the step.

mod check;
mod value;

use std::fmt;
use std::sync::Arc;

/// A learning rate as a function of the step `t`, the number of updates done before; nothing else is remembered.
///
/// A number is the constant schedule. An optimizer checks its schedules when it is built; a schedule that was not
/// checked may give numbers without meaning, but never panics.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Anneal, Schedule, adam, sgd};
///
/// let steps = Schedule::Step { lr: 0.1, step_size: 30, gamma: 0.1 };
/// assert_eq!(steps.at(29), 0.1);
/// assert!((steps.at(30) - 0.01).abs() < 1e-15);
///
/// let optimizer = adam(Schedule::OneCycle {
///     max_lr: 0.1,
///     total_steps: 1_000,
///     pct_start: 0.3,
///     anneal: Anneal::Cosine,
///     div_factor: 25.0,
///     final_div_factor: 1e4,
///     three_phase: false,
/// });
/// let own = sgd(Schedule::function(|t| 0.1 / (1.0 + t as f64)));
/// ```
///
/// # References
///
/// Kinds and formulas are those of PyTorch's `lr_scheduler` and of optax, as each says.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Always the same.
    Constant(f64),
    /// `lr γ^⌊t / step_size⌋` (PyTorch's `StepLR`).
    Step {
        /// The first rate.
        lr: f64,
        /// Steps between changes.
        step_size: u64,
        /// The factor `γ` of each change.
        gamma: f64,
    },
    /// `lr γ^(milestones ≤ t)` (PyTorch's `MultiStepLR`).
    MultiStep {
        /// The first rate.
        lr: f64,
        /// The steps at which it changes, in increasing order.
        milestones: Vec<u64>,
        /// The factor `γ` of each change.
        gamma: f64,
    },
    /// `lr` times the scale of every boundary `≤ t` (optax).
    PiecewiseConstant {
        /// The first rate.
        lr: f64,
        /// The steps at which it changes, in increasing order.
        boundaries: Vec<u64>,
        /// The factor of each change.
        scales: Vec<f64>,
    },
    /// `lr γᵗ` (PyTorch's `ExponentialLR`).
    Exponential {
        /// The first rate.
        lr: f64,
        /// The factor `γ` of each step.
        gamma: f64,
    },
    /// `init` until `begin`, then `init · decay_rate^((t − begin) / transition_steps)` (optax).
    ExponentialDecay {
        /// The first rate.
        init: f64,
        /// Steps in which `decay_rate` comes about once.
        transition_steps: u64,
        /// The factor.
        decay_rate: f64,
        /// The step at which the decay begins.
        begin: u64,
        /// Whether the exponent is rounded down.
        staircase: bool,
        /// The rate never passes this one.
        end: Option<f64>,
    },
    /// A straight line from `init` to `end`, reached after `steps`; constant afterwards (optax).
    Linear {
        /// The first rate.
        init: f64,
        /// The last rate.
        end: f64,
        /// The length of the line.
        steps: u64,
    },
    /// `(init − end) (1 − (t − begin) / steps)^power + end`, constant before `begin` and after the end (optax; PyTorch's
    /// `PolynomialLR` ends at 0).
    Polynomial {
        /// The first rate.
        init: f64,
        /// The last rate.
        end: f64,
        /// The exponent.
        power: f64,
        /// Steps from first to last.
        steps: u64,
        /// The step at which it begins.
        begin: u64,
    },
    /// `lr` after a straight line from `lr · start_factor`, which takes `steps` (PyTorch's `LinearLR`).
    WarmupLinear {
        /// The rate after warm-up.
        lr: f64,
        /// The first rate as a part of `lr`.
        start_factor: f64,
        /// Steps of warm-up.
        steps: u64,
    },
    /// Half a cosine wave from `init` to `alpha · init`, which then stays (optax).
    Cosine {
        /// The first rate.
        init: f64,
        /// Steps from first to last.
        steps: u64,
        /// The last rate as a part of `init`.
        alpha: f64,
    },
    /// Half a cosine wave from `lr` to `eta_min` (PyTorch's `CosineAnnealingLR`), which then stays; PyTorch's would rise
    /// again.
    CosineAnnealing {
        /// The first rate.
        lr: f64,
        /// Steps from first to last.
        t_max: u64,
        /// The last rate.
        eta_min: f64,
    },
    /// A straight line from `init` to `peak`, then half a cosine wave down to `end`, which stays (optax).
    WarmupCosine {
        /// The first rate.
        init: f64,
        /// The highest rate.
        peak: f64,
        /// Steps of the line.
        warmup_steps: u64,
        /// Steps of line and wave together.
        decay_steps: u64,
        /// The last rate.
        end: f64,
    },
    /// Up to `max_lr`, then down far below the start, in `total_steps` (PyTorch's `OneCycleLR`; its defaults are
    /// `pct_start` 0.3, cosine, `div_factor` 25, `final_div_factor` 1e4, two phases). The last rate stays.
    ///
    /// L. Smith, N. Topin, *Super-convergence: very fast training of neural networks using large learning rates*, 2018.
    OneCycle {
        /// The highest rate.
        max_lr: f64,
        /// Steps of the cycle.
        total_steps: u64,
        /// The part of the cycle in which the rate rises.
        pct_start: f64,
        /// The form of rise and fall.
        anneal: Anneal,
        /// The first rate is `max_lr / div_factor`.
        div_factor: f64,
        /// The last rate is the first divided by this.
        final_div_factor: f64,
        /// Whether the rate falls to the first one as fast as it rose, and only then further.
        three_phase: bool,
    },
    /// Half cosine waves from `lr` to `eta_min`, one after another, each `t_mult` times as long as the one before
    /// (PyTorch's `CosineAnnealingWarmRestarts`).
    ///
    /// I. Loshchilov, F. Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017.
    WarmRestarts {
        /// The rate at which a wave starts.
        lr: f64,
        /// Steps of the first wave.
        t_0: u64,
        /// By how much waves grow.
        t_mult: u64,
        /// The rate towards which a wave falls.
        eta_min: f64,
    },
    /// `lr · min((t + 1) / warmup, √(warmup / (t + 1)))`: the highest rate is `lr`, at the end of the warm-up.
    ///
    /// A. Vaswani et al., *Attention is all you need*, 2017, with the peak as the parameter.
    InverseSqrt {
        /// The highest rate.
        lr: f64,
        /// Steps of warm-up.
        warmup: u64,
    },
    /// Anything else; made by [`Schedule::function`].
    Function(ScheduleFn),
}

/// How [`Schedule::OneCycle`] goes from one rate to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anneal {
    /// Along half a cosine wave.
    Cosine,
    /// Along a straight line.
    Linear,
}

/// A function of the step; made by [`Schedule::function`].
#[derive(Clone)]
pub struct ScheduleFn(Arc<dyn Fn(u64) -> f64 + Send + Sync>);

impl Schedule {
    /// A schedule of one's own. The function must depend on the step alone, or resumed runs differ.
    pub fn function(function: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Function(ScheduleFn(Arc::new(function)))
    }
}

impl From<f64> for Schedule {
    fn from(lr: f64) -> Self {
        Self::Constant(lr)
    }
}

impl fmt::Debug for ScheduleFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function of the step")
    }
}
