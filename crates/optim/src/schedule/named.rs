//! Schedules that have a name in PyTorch, optax or a paper, as compositions.

use super::kind::{Kind, wave};
use super::{Anneal, Schedule, increasing};
use crate::Error;
use crate::error::{at_least_one, expect, not_negative, positive};

impl Schedule {
    /// A straight line from `init` to `end`, which is reached after `steps` and stays.
    pub fn linear(init: f64, end: f64, steps: u64) -> Self {
        let kind = Kind::Polynomial { init, end, power: 1.0, steps: steps as f64 };
        Self::between("linear schedule", [init, end], steps, kind)
    }

    /// `lr γ^⌊t / step_size⌋`.
    pub fn step(lr: f64, step_size: u64, gamma: f64) -> Self {
        let kind = Kind::Exponential { init: lr, rate: gamma, steps: step_size as f64, is_staircase: true };
        let owner = "step schedule";
        Self::new(kind, not_negative(owner, "lr", lr))
            .and(at_least_one(owner, "step_size", step_size))
            .and(positive(owner, "gamma", gamma))
    }

    /// `lr` times the scale of every boundary `≤ t`. The boundaries are steps, in increasing order.
    pub fn piecewise_constant(lr: f64, scales: impl IntoIterator<Item = (u64, f64)>) -> Self {
        let owner = "piecewise constant schedule";
        let scales: Vec<(u64, f64)> = scales.into_iter().collect();
        let boundaries: Vec<u64> = scales.iter().map(|&(boundary, _)| boundary).collect();
        let mut rate = lr;
        let then = scales.iter().map(|&(boundary, scale)| {
            rate *= scale;
            (boundary as f64, Self::new(Kind::Constant(rate), not_negative(owner, "scale", scale)))
        });
        Self::joined(Self::new(Kind::Constant(lr), not_negative(owner, "lr", lr)), then).and(increasing(
            owner,
            "boundary",
            &boundaries,
        ))
    }

    /// `init · rate^(t / steps)`, with a staircase or an end: an [`ExponentialDecay`].
    pub fn exponential_decay(init: f64, rate: f64, steps: u64) -> ExponentialDecay {
        ExponentialDecay::new("exponential decay schedule", init, rate, steps)
    }

    /// A straight line from `init` to `peak` in `warmup_steps`, then half a cosine wave down to `end`, which stays;
    /// `decay_steps` are those of line and wave together.
    pub fn warmup_cosine(init: f64, peak: f64, warmup_steps: u64, decay_steps: u64, end: f64) -> Self {
        let owner = "warm-up cosine schedule";
        let fall = decay_steps.saturating_sub(warmup_steps) as f64;
        let rise = Kind::Polynomial { init, end: peak, power: 1.0, steps: warmup_steps as f64 };
        let expected = format!("decay_steps > warmup_steps, which is {warmup_steps}");
        let fall = Kind::Cosine { init: peak, end, steps: fall };
        Self::new(Kind::Join(vec![(0.0, rise), (warmup_steps as f64, fall)]), not_negative(owner, "init", init))
            .and(not_negative(owner, "peak", peak))
            .and(not_negative(owner, "end", end))
            .and(expect(owner, "decay_steps", decay_steps as f64, decay_steps > warmup_steps, expected))
    }

    /// Up to `max_lr`, then down far below the start, in `total_steps`: an [`OneCycle`].
    pub fn one_cycle(max_lr: f64, total_steps: u64) -> OneCycle {
        OneCycle {
            max_lr,
            total_steps,
            pct_start: 0.3,
            anneal: Anneal::Cosine,
            div_factor: 25.0,
            final_div_factor: 1e4,
            is_three_phase: false,
        }
    }

    /// Half cosine waves from `lr` to `eta_min`, one after another: the first takes `t_0` steps, and each is `t_mult`
    /// times as long as the one before.
    ///
    /// I. Loshchilov, F. Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017.
    pub fn warm_restarts(lr: f64, t_0: u64, t_mult: u64, eta_min: f64) -> Self {
        let owner = "warm restarts schedule";
        let rate = move |step| {
            let (t, length) = restart(step, t_0, t_mult);
            wave(lr, eta_min, t as f64 / length.max(1) as f64)
        };
        Self::function(rate)
            .and(not_negative(owner, "lr", lr))
            .and(at_least_one(owner, "t_0", t_0))
            .and(at_least_one(owner, "t_mult", t_mult))
            .and(not_negative(owner, "eta_min", eta_min))
    }

    /// `lr · min((t + 1) / warmup, √(warmup / (t + 1)))`: the highest rate is `lr`, at the end of the warm-up.
    ///
    /// A. Vaswani et al., *Attention is all you need*, 2017, with the peak as the parameter.
    pub fn inverse_sqrt(lr: f64, warmup: u64) -> Self {
        let owner = "inverse square root schedule";
        let rate = move |step: u64| {
            let (t, warmup) = (step as f64 + 1.0, warmup as f64);
            lr * (t / warmup).min((warmup / t).sqrt())
        };
        Self::function(rate).and(not_negative(owner, "lr", lr)).and(at_least_one(owner, "warmup", warmup))
    }
}

/// Made by [`Schedule::exponential_decay`]: `init · rate^(t / steps)`.
#[derive(Clone, Debug)]
pub struct ExponentialDecay {
    owner: &'static str,
    init: f64,
    rate: f64,
    steps: u64,
    is_staircase: bool,
    end: Option<f64>,
}

impl ExponentialDecay {
    pub(super) fn new(owner: &'static str, init: f64, rate: f64, steps: u64) -> Self {
        Self { owner, init, rate, steps, is_staircase: false, end: None }
    }

    /// Rounds the exponent down to a whole number.
    #[must_use]
    pub fn staircase(mut self) -> Self {
        self.is_staircase = true;
        self
    }

    /// The rate stays here once it has come so far.
    #[must_use]
    pub fn end(mut self, end: f64) -> Self {
        self.end = Some(end);
        self
    }
}

impl From<ExponentialDecay> for Schedule {
    fn from(decay: ExponentialDecay) -> Self {
        let ExponentialDecay { owner, init, rate, steps, is_staircase, end } = decay;
        let exponential = Kind::Exponential { init, rate, steps: steps as f64, is_staircase };
        let schedule = match end {
            None => Self::new(exponential, Ok(())),
            Some(end) => {
                let exponent = (end / init).ln() / rate.ln();
                let exponent = if is_staircase { exponent.ceil() } else { exponent };
                // An end that lies behind the start is one from the beginning; one that is never reached, none.
                let reached = (exponent * steps as f64).max(0.0);
                Self::new(Kind::Join(vec![(0.0, exponential), (reached, Kind::Constant(end))]), Ok(()))
            }
        };
        schedule
            .and(not_negative(owner, "init", init))
            .and(at_least_one(owner, "steps", steps))
            .and(positive(owner, "rate", rate))
            .and(not_negative(owner, "end", end.unwrap_or(0.0)))
    }
}

/// Made by [`Schedule::one_cycle`]. Defaults are PyTorch's; the last rate stays.
///
/// # References
///
/// L. Smith, N. Topin, *Super-convergence: very fast training of neural networks using large learning rates*, 2018.
#[derive(Clone, Debug)]
pub struct OneCycle {
    max_lr: f64,
    total_steps: u64,
    pct_start: f64,
    anneal: Anneal,
    div_factor: f64,
    final_div_factor: f64,
    is_three_phase: bool,
}

impl OneCycle {
    /// The part of the cycle in which the rate rises; 0.3 by default.
    #[must_use]
    pub fn pct_start(mut self, pct_start: f64) -> Self {
        self.pct_start = pct_start;
        self
    }

    /// The form of rise and fall; a cosine wave by default.
    #[must_use]
    pub fn anneal(mut self, anneal: Anneal) -> Self {
        self.anneal = anneal;
        self
    }

    /// The first rate is `max_lr` divided by this; 25 by default.
    #[must_use]
    pub fn div_factor(mut self, div_factor: f64) -> Self {
        self.div_factor = div_factor;
        self
    }

    /// The last rate is the first divided by this; 1e4 by default.
    #[must_use]
    pub fn final_div_factor(mut self, final_div_factor: f64) -> Self {
        self.final_div_factor = final_div_factor;
        self
    }

    /// The rate falls to the first one as fast as it rose, and only then further.
    #[must_use]
    pub fn three_phase(mut self) -> Self {
        self.is_three_phase = true;
        self
    }

    /// Steps of rise and fall: PyTorch has phases end between steps.
    fn phases(&self) -> [f64; 3] {
        let (rise, end) = (self.pct_start * self.total_steps as f64 - 1.0, self.total_steps as f64 - 1.0);
        [rise, 2.0 * rise, end]
    }

    fn check(&self) -> Result<(), Error> {
        let owner = "one-cycle schedule";
        not_negative(owner, "max_lr", self.max_lr)?;
        positive(owner, "div_factor", self.div_factor)?;
        positive(owner, "final_div_factor", self.final_div_factor)?;
        at_least_one(owner, "total_steps", self.total_steps)?;
        let n = self.total_steps as f64;
        // Every phase must have a length.
        let [rise, twice, end] = self.phases();
        let (fall, expected) = match self.is_three_phase {
            false => (rise, format!("1/{n} < pct_start < 1")),
            true => (twice, format!("1/{n} < pct_start < {}/{}", n + 1.0, 2.0 * n)),
        };
        expect(owner, "pct_start", self.pct_start, rise > 0.0 && fall < end, expected)
    }
}

impl From<OneCycle> for Schedule {
    fn from(cycle: OneCycle) -> Self {
        let first = cycle.max_lr / cycle.div_factor;
        let last = first / cycle.final_div_factor;
        let between = |init: f64, end: f64, steps: f64| match cycle.anneal {
            Anneal::Cosine => Kind::Cosine { init, end, steps },
            Anneal::Linear => Kind::Polynomial { init, end, power: 1.0, steps },
        };
        let [rise, twice, end] = cycle.phases();
        let mut phases = vec![(0.0, between(first, cycle.max_lr, rise))];
        if cycle.is_three_phase {
            phases.extend([(rise, between(cycle.max_lr, first, rise)), (twice, between(first, last, end - twice))]);
        } else {
            phases.push((rise, between(cycle.max_lr, last, end - rise)));
        }
        Self::new(Kind::Join(phases), cycle.check())
    }
}

/// The step within its cycle, and the cycle's length.
fn restart(step: u64, first: u64, growth: u64) -> (u64, u64) {
    if growth <= 1 {
        return (step.checked_rem(first).unwrap_or(0), first);
    }
    let (mut t, mut length) = (step, first.max(1));
    while t >= length {
        t -= length;
        length = length.saturating_mul(growth);
    }
    (t, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_their_end_schedules_stay() {
        let check = |schedule: Schedule, want: f64| {
            for step in [100, 1_000, u64::MAX] {
                assert!((schedule.at(step) - want).abs() < 1e-15, "{schedule:?} at {step}: {}", schedule.at(step));
            }
        };
        check(Schedule::linear(1.0, 0.25, 100), 0.25);
        check(Schedule::polynomial(1.0, 0.25, 2.0, 90).delayed(10), 0.25);
        check(Schedule::cosine(1.0, 0.25, 100), 0.25);
        check(Schedule::warmup_cosine(0.0, 1.0, 10, 100, 0.25), 0.25);
        check(Schedule::exponential_decay(1.0, 0.9, 3).end(0.25).into(), 0.25);
        check(Schedule::exponential_decay(0.01, 2.0, 3).staircase().end(0.25).into(), 0.25);
        check(Schedule::join(0.5, [(50, Schedule::linear(0.5, 0.25, 50))]), 0.25);
        let cycle = Schedule::one_cycle(1.0, 100).div_factor(2.0).final_div_factor(2.0);
        check(cycle.clone().into(), 0.25);
        check(cycle.anneal(Anneal::Linear).three_phase().into(), 0.25);
    }

    #[test]
    fn an_exponential_rate_stops_at_its_end() {
        let check = |decay: ExponentialDecay, end: f64| {
            let unbound = Schedule::from(ExponentialDecay { end: None, ..decay.clone() });
            let falls = decay.rate < 1.0;
            let bound = Schedule::from(decay.end(end));
            for t in 0..200 {
                let want = if falls { unbound.at(t).max(end) } else { unbound.at(t).min(end) };
                assert!((bound.at(t) - want).abs() < 1e-15, "{t}: {}, not {want}", bound.at(t));
            }
        };
        check(Schedule::exponential_decay(1.0, 0.5, 10), 0.1);
        check(Schedule::exponential_decay(1.0, 0.5, 10).staircase(), 0.1);
        check(Schedule::exponential_decay(1.0, 0.5, 10).staircase(), 0.25);
        check(Schedule::exponential_decay(0.01, 1.5, 10).staircase(), 0.2);
        check(Schedule::exponential_decay(1.0, 0.5, 10), 2.0);
        check(Schedule::exponential_decay(1.0, 0.5, 10), 0.0);
    }

    #[test]
    fn joined_schedules_count_from_where_they_start() {
        let joined = Schedule::join(0.5, [(3, Schedule::linear(1.0, 0.0, 4)), (5, 0.125.into())]);
        assert_eq!([0, 2, 3, 4, 5, 9].map(|t| joined.at(t)), [0.5, 0.5, 1.0, 0.75, 0.125, 0.125]);
    }

    #[test]
    fn restarts_find_their_cycle() {
        assert_eq!(restart(0, 10, 1), (0, 10));
        assert_eq!(restart(25, 10, 1), (5, 10));
        assert_eq!(restart(29, 10, 2), (19, 20));
        assert_eq!(restart(30, 10, 2), (0, 40));
        assert_eq!(restart(u64::MAX, 1, 2), (0, u64::MAX), "lengths do not overflow");
    }

    #[test]
    fn a_function_is_called() {
        assert_eq!(Schedule::function(|t| t as f64 * 2.0).at(21), 42.0);
    }
}
