use std::f64::consts::PI;

use super::ScheduleFn;

/// The primitives, and what is made of them. Times are real numbers, as the ends of phases may lie between steps.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Constant(f64),
    /// The exponent is rounded down to a whole number where `is_staircase`.
    Exponential {
        init: f64,
        rate: f64,
        steps: f64,
        is_staircase: bool,
    },
    Polynomial {
        init: f64,
        end: f64,
        power: f64,
        steps: f64,
    },
    Cosine {
        init: f64,
        end: f64,
        steps: f64,
    },
    /// Each from its time on, which it counts from; the times increase, and the first is 0.
    Join(Vec<(f64, Kind)>),
    Function(ScheduleFn),
}

impl Kind {
    pub(super) fn value(&self, t: f64) -> f64 {
        match *self {
            Self::Constant(lr) => lr,
            Self::Exponential { init, rate, steps, is_staircase } => {
                let exponent = t / steps;
                init * rate.powf(if is_staircase { exponent.floor() } else { exponent })
            }
            Self::Polynomial { init, end, power, steps } => (init - end) * (1.0 - part(t, steps)).powf(power) + end,
            Self::Cosine { init, end, steps } => wave(init, end, part(t, steps)),
            Self::Join(ref kinds) => {
                let next = kinds.partition_point(|&(start, _)| start <= t);
                let (start, kind) = &kinds[next.saturating_sub(1)];
                kind.value(t - start)
            }
            Self::Function(ref function) => (function.0)(t as u64),
        }
    }
}

/// How much of `steps` is over, from 0 to 1.
fn part(t: f64, steps: f64) -> f64 {
    if t >= steps { 1.0 } else { t / steps }
}

/// Half a cosine wave.
pub(super) fn wave(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * part).cos())
}
