//! Learning rates as functions of the step.

mod kind;
mod named;

use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::error::{at_least_one, expect, not_negative, positive};
use kind::Kind;
pub use named::{ExponentialDecay, OneCycle};

/// A learning rate as a function of the step `t`, the number of updates done before; nothing else is remembered.
///
/// A number is the constant schedule. The others are made of four primitives, [`constant`](Self::constant),
/// [`exponential`](Self::exponential), [`polynomial`](Self::polynomial) and [`cosine`](Self::cosine), which stay where
/// they end, and of [`join`](Self::join), which puts schedules one behind the other:
///
/// | elsewhere | here |
/// |---|---|
/// | PyTorch `StepLR` | [`Schedule::step`] |
/// | PyTorch `MultiStepLR`, optax `piecewise_constant_schedule` | [`Schedule::piecewise_constant`] |
/// | PyTorch `ExponentialLR` | [`Schedule::exponential`] with 1 for `steps` |
/// | optax `exponential_decay` | [`Schedule::exponential_decay`] |
/// | PyTorch `LinearLR`, optax `linear_schedule` | [`Schedule::linear`] |
/// | PyTorch `PolynomialLR`, optax `polynomial_schedule` | [`Schedule::polynomial`], and [`delayed`](Self::delayed) |
/// | PyTorch `CosineAnnealingLR`, optax `cosine_decay_schedule` | [`Schedule::cosine`] |
/// | optax `warmup_cosine_decay_schedule` | [`Schedule::warmup_cosine`] |
/// | PyTorch `OneCycleLR` | [`Schedule::one_cycle`] |
/// | PyTorch `CosineAnnealingWarmRestarts` | [`Schedule::warm_restarts`] |
/// | PyTorch `SequentialLR`, optax `join_schedules` | [`Schedule::join`] |
///
/// Settings are checked when an optimizer is built. A schedule that was not checked may give numbers without meaning,
/// but never panics.
///
/// # Example
///
/// ```
/// use tidemill_optim::{Schedule, adam, sgd};
///
/// let steps = Schedule::step(0.1, 30, 0.1);
/// assert_eq!(steps.at(29), 0.1);
/// assert!((steps.at(30) - 0.01).abs() < 1e-15);
///
/// let warm_up = Schedule::linear(0.0, 0.1, 500);
/// let optimizer = adam(Schedule::join(warm_up, [(500, Schedule::polynomial(0.1, 0.0, 2.0, 10_000))]));
/// let optimizer = adam(Schedule::one_cycle(0.1, 1_000).pct_start(0.2));
/// let own = sgd(Schedule::function(|t| 0.1 / (1.0 + t as f64)));
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    kind: Kind,
    /// The first setting that lies outside its domain.
    problem: Option<Error>,
}

/// How [`OneCycle`] goes from one rate to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anneal {
    /// Along half a cosine wave.
    Cosine,
    /// Along a straight line.
    Linear,
}

/// A function of the step.
#[derive(Clone)]
struct ScheduleFn(Arc<dyn Fn(u64) -> f64 + Send + Sync>);

impl Schedule {
    /// Always the same.
    pub fn constant(lr: f64) -> Self {
        Self::new(Kind::Constant(lr), not_negative("", "lr", lr))
    }

    /// `init · rate^(t / steps)`.
    pub fn exponential(init: f64, rate: f64, steps: u64) -> Self {
        ExponentialDecay::new("exponential schedule", init, rate, steps).into()
    }

    /// `(init − end) (1 − t / steps)^power + end`; `end` from `steps` on.
    pub fn polynomial(init: f64, end: f64, power: f64, steps: u64) -> Self {
        Self::between(
            "polynomial schedule",
            [init, end],
            steps,
            Kind::Polynomial { init, end, power, steps: steps as f64 },
        )
        .and(positive("polynomial schedule", "power", power))
    }

    /// Half a cosine wave from `init` to `end`, which is reached after `steps` and stays; PyTorch's would rise again.
    pub fn cosine(init: f64, end: f64, steps: u64) -> Self {
        Self::between("cosine schedule", [init, end], steps, Kind::Cosine { init, end, steps: steps as f64 })
    }

    /// Schedules one behind the other: `first`, and each of the others from its step on, which is its step 0.
    pub fn join(first: impl Into<Self>, then: impl IntoIterator<Item = (u64, Self)>) -> Self {
        let then: Vec<(u64, Self)> = then.into_iter().collect();
        let starts: Vec<u64> = then.iter().map(|&(start, _)| start).collect();
        let problem = increasing("joined schedules", "start", &starts);
        Self::joined(first.into(), then.into_iter().map(|(start, schedule)| (start as f64, schedule))).and(problem)
    }

    /// This, after so many steps at its first rate.
    #[must_use]
    pub fn delayed(self, steps: u64) -> Self {
        let first = Self { kind: Kind::Constant(self.at(0)), problem: None };
        Self::joined(first, [(steps as f64, self)])
    }

    /// A schedule of one's own. The function must depend on the step alone, or resumed runs differ.
    pub fn function(function: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self { kind: Kind::Function(ScheduleFn(Arc::new(function))), problem: None }
    }

    /// The rate of the update numbered `step`, from 0.
    pub fn at(&self, step: u64) -> f64 {
        self.kind.value(step as f64)
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// When one lies outside its domain.
    pub fn check(&self) -> Result<(), Error> {
        self.problem(String::new())
    }

    /// Checks the settings of a transform's schedule.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), with the transform named.
    pub fn check_for(&self, transform: &str) -> Result<(), Error> {
        self.problem(transform.to_owned())
    }

    fn problem(&self, transform: String) -> Result<(), Error> {
        let mut problem = self.problem.clone().map_or(Ok(()), Err);
        if let Err(Error::HyperParameter { owner, .. }) = &mut problem {
            *owner = match (transform.is_empty(), owner.is_empty()) {
                (true, true) => "constant schedule".to_owned(),
                (true, false) => return problem,
                (false, true) => transform,
                (false, false) => format!("{transform}, {owner}"),
            };
        }
        problem
    }

    fn new(kind: Kind, checked: Result<(), Error>) -> Self {
        Self { kind, problem: checked.err() }
    }

    fn between(owner: &str, [init, end]: [f64; 2], steps: u64, kind: Kind) -> Self {
        Self::new(kind, not_negative(owner, "init", init))
            .and(not_negative(owner, "end", end))
            .and(at_least_one(owner, "steps", steps))
    }

    /// This, with what else was checked.
    fn and(mut self, checked: Result<(), Error>) -> Self {
        self.problem = self.problem.or(checked.err());
        self
    }

    /// Schedules that begin at any times, in increasing order.
    fn joined(first: Self, then: impl IntoIterator<Item = (f64, Self)>) -> Self {
        let mut problem = first.problem;
        let mut kinds = vec![(0.0, first.kind)];
        for (start, schedule) in then {
            problem = problem.or(schedule.problem);
            kinds.push((start, schedule.kind));
        }
        Self { kind: Kind::Join(kinds), problem }
    }
}

impl From<f64> for Schedule {
    fn from(lr: f64) -> Self {
        Self::constant(lr)
    }
}

impl fmt::Debug for ScheduleFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function of the step")
    }
}

fn increasing(owner: &str, name: &'static str, steps: &[u64]) -> Result<(), Error> {
    match steps.windows(2).find(|pair| pair[0] >= pair[1]) {
        None => Ok(()),
        Some(pair) => expect(
            owner,
            name,
            pair[1] as f64,
            false,
            format!("each {name} after the one before, which is {}", pair[0]),
        ),
    }
}
