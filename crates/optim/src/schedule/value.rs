use std::f64::consts::PI;

use super::{Anneal, Schedule};

impl Schedule {
    /// The rate of the update numbered `step`, from 0.
    pub fn at(&self, step: u64) -> f64 {
        let t = step as f64;
        match *self {
            Self::Constant(lr) => lr,
            Self::Step { lr, step_size, gamma } => lr * gamma.powf((t / step_size as f64).floor()),
            Self::MultiStep { lr, ref milestones, gamma } => lr * gamma.powf(passed(milestones, step) as f64),
            Self::PiecewiseConstant { lr, ref boundaries, ref scales } => {
                scales.iter().take(passed(boundaries, step)).fold(lr, |lr, scale| lr * scale)
            }
            Self::Exponential { lr, gamma } => lr * gamma.powf(t),
            Self::ExponentialDecay { init, transition_steps, decay_rate, begin, staircase, end } => {
                let exponent = step.saturating_sub(begin) as f64 / transition_steps as f64;
                let exponent = if staircase { exponent.floor() } else { exponent };
                let bound = |rate: f64, end: f64| if decay_rate < 1.0 { rate.max(end) } else { rate.min(end) };
                end.map_or(init * decay_rate.powf(exponent), |end| bound(init * decay_rate.powf(exponent), end))
            }
            Self::Linear { init, end, steps } => line(init, end, part(step, steps)),
            Self::Polynomial { init, end, power, steps, begin } => {
                (init - end) * (1.0 - part(step.saturating_sub(begin), steps)).powf(power) + end
            }
            Self::WarmupLinear { lr, start_factor, steps } => lr * line(start_factor, 1.0, part(step, steps)),
            Self::Cosine { init, steps, alpha } => init * wave(1.0, alpha, part(step, steps)),
            Self::CosineAnnealing { lr, t_max, eta_min } => wave(lr, eta_min, part(step, t_max)),
            Self::WarmupCosine { init, peak, warmup_steps, decay_steps, end } => {
                if step < warmup_steps {
                    line(init, peak, part(step, warmup_steps))
                } else {
                    wave(peak, end, part(step - warmup_steps, decay_steps.saturating_sub(warmup_steps)))
                }
            }
            Self::OneCycle { .. } => self.one_cycle(t),
            Self::WarmRestarts { lr, t_0, t_mult, eta_min } => {
                let (t, length) = restart(step, t_0, t_mult);
                wave(lr, eta_min, part(t, length))
            }
            Self::InverseSqrt { lr, warmup } => {
                let (t, warmup) = (t + 1.0, warmup as f64);
                lr * (t / warmup).min((warmup / t).sqrt())
            }
            Self::Function(ref function) => (function.0)(step),
        }
    }

    /// The ends of phases lie between steps; PyTorch computes them as real numbers, and so does this.
    fn one_cycle(&self, t: f64) -> f64 {
        let Self::OneCycle { max_lr, total_steps, pct_start, anneal, div_factor, final_div_factor, three_phase } =
            *self
        else {
            unreachable!("called for one-cycle schedules only");
        };
        let initial = max_lr / div_factor;
        let last = initial / final_div_factor;
        let rise = pct_start * total_steps as f64 - 1.0;
        let end = total_steps as f64 - 1.0;
        let between = |from: f64, to: f64, start: f64, end: f64| {
            let part = ((t - start) / (end - start)).min(1.0);
            match anneal {
                Anneal::Cosine => wave(from, to, part),
                Anneal::Linear => line(from, to, part),
            }
        };
        let fall = 2.0 * rise;
        match three_phase {
            _ if t <= rise => between(initial, max_lr, 0.0, rise),
            false => between(max_lr, last, rise, end),
            true if t <= fall => between(max_lr, initial, rise, fall),
            true => between(initial, last, fall, end),
        }
    }
}

/// How many of the increasing `steps` are not after `step`.
fn passed(steps: &[u64], step: u64) -> usize {
    steps.partition_point(|&s| s <= step)
}

/// How much of `steps` is over, from 0 to 1.
fn part(step: u64, steps: u64) -> f64 {
    if step >= steps { 1.0 } else { step as f64 / steps as f64 }
}

fn line(from: f64, to: f64, part: f64) -> f64 {
    from + (to - from) * part
}

/// Half a cosine wave.
fn wave(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * part).cos())
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
        check(Schedule::Linear { init: 1.0, end: 0.25, steps: 100 }, 0.25);
        check(Schedule::Polynomial { init: 1.0, end: 0.25, power: 2.0, steps: 90, begin: 10 }, 0.25);
        check(Schedule::Cosine { init: 1.0, steps: 100, alpha: 0.25 }, 0.25);
        check(Schedule::CosineAnnealing { lr: 1.0, t_max: 100, eta_min: 0.25 }, 0.25);
        check(Schedule::WarmupLinear { lr: 0.5, start_factor: 0.1, steps: 100 }, 0.5);
        let (warmup_steps, decay_steps) = (10, 100);
        check(Schedule::WarmupCosine { init: 0.0, peak: 1.0, warmup_steps, decay_steps, end: 0.25 }, 0.25);
        for (anneal, three_phase) in [(Anneal::Cosine, false), (Anneal::Linear, true)] {
            let (total_steps, pct_start) = (100, 0.3);
            let (div_factor, final_div_factor) = (2.0, 2.0);
            let max_lr = 1.0;
            check(
                Schedule::OneCycle {
                    max_lr,
                    total_steps,
                    pct_start,
                    anneal,
                    div_factor,
                    final_div_factor,
                    three_phase,
                },
                0.25,
            );
        }
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
