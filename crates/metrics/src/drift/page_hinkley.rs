use super::{Drift, DriftDetector, require};
use crate::Error;
use crate::state::{MOST, Reader};

/// Which changes of the mean [`PageHinkley`] looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It rises.
    Up,
    /// It falls.
    Down,
    /// Either.
    Both,
}

/// Settings of [`PageHinkley`]; the defaults are River's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageHinkleyConfig {
    /// No drift before so many numbers; 30.
    pub min_instances: usize,
    /// Changes of the mean that are tolerated; 0.005.
    pub delta: f64,
    /// How far the cumulative sum may stray; 50.
    pub threshold: f64,
    /// How much of the cumulative sum is kept at each number; 0.9999.
    pub alpha: f64,
    /// Which changes count; [`Direction::Both`].
    pub direction: Direction,
}

impl Default for PageHinkleyConfig {
    fn default() -> Self {
        Self { min_instances: 30, delta: 0.005, threshold: 50.0, alpha: 0.9999, direction: Direction::Both }
    }
}

/// The Page-Hinkley test: sums deviations from the running mean and flags drift when the sum strays from its extreme.
///
/// Upwards, `m_t = α m_{t-1} + (x_t - x̄_t - δ)` and drift is `m_t - min m > λ`; downwards, with `+ δ` and
/// `max m - m_t > λ`.
///
/// # References
///
/// E. Page, *Continuous inspection schemes*, 1954; J. Gama, R. Sebastião, P. Rodrigues, *On evaluating stream learning
/// algorithms*, 2013 (its use on streams). The forgetting `α` follows River.
#[derive(Clone, Debug)]
pub struct PageHinkley {
    config: PageHinkleyConfig,
    seen: Seen,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    n: u64,
    /// The first number.
    origin: f64,
    /// The mean, from the origin: where numbers are large and close together, it keeps the digits in which they differ.
    mean: f64,
    rise: f64,
    lowest_rise: f64,
    fall: f64,
    highest_fall: f64,
    drifted: bool,
}

impl Seen {
    const NOTHING: Self = Self {
        n: 0,
        origin: 0.0,
        mean: 0.0,
        rise: 0.0,
        lowest_rise: f64::INFINITY,
        fall: 0.0,
        highest_fall: f64::NEG_INFINITY,
        drifted: false,
    };
}

impl PageHinkley {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when `delta` or `threshold` is negative or not finite, or `alpha` is not above 0 and at most 1.
    pub fn new(config: PageHinkleyConfig) -> Result<Self, Error> {
        let check = |good, setting, expected, found| require(good, "page_hinkley", setting, expected, found);
        let PageHinkleyConfig { delta, threshold, alpha, .. } = config;
        check(delta.is_finite() && delta >= 0.0, "delta", "finite and not negative", delta)?;
        check(threshold.is_finite() && threshold >= 0.0, "threshold", "finite and not negative", threshold)?;
        check(alpha > 0.0 && alpha <= 1.0, "alpha", "above 0 and at most 1", alpha)?;
        Ok(Self { config, seen: Seen::NOTHING })
    }
}

impl DriftDetector for PageHinkley {
    fn name(&self) -> &str {
        "page_hinkley"
    }

    fn update(&mut self, x: f64) -> Drift {
        if !x.is_finite() {
            return Drift::Drift;
        }
        if self.seen.drifted {
            self.reset();
        }
        let PageHinkleyConfig { min_instances, delta, threshold, alpha, direction } = self.config;
        let seen = &mut self.seen;
        seen.n += 1;
        if seen.n == 1 {
            seen.origin = x;
        }
        let x = x - seen.origin;
        seen.mean += (x - seen.mean) / seen.n as f64;
        let deviation = x - seen.mean;
        seen.rise = alpha * seen.rise + deviation - delta;
        seen.fall = alpha * seen.fall + deviation + delta;
        seen.lowest_rise = seen.lowest_rise.min(seen.rise);
        seen.highest_fall = seen.highest_fall.max(seen.fall);
        let rose = direction != Direction::Down && seen.rise - seen.lowest_rise > threshold;
        let fell = direction != Direction::Up && seen.highest_fall - seen.fall > threshold;
        seen.drifted = seen.n >= min_instances as u64 && (rose || fell);
        if seen.drifted { Drift::Drift } else { Drift::None }
    }

    fn reset(&mut self) {
        self.seen = Seen::NOTHING;
    }

    fn state(&self) -> Vec<f64> {
        let Seen { n, origin, mean, rise, lowest_rise, fall, highest_fall, drifted } = self.seen;
        vec![n as f64, f64::from(u8::from(drifted)), origin, mean, rise, lowest_rise, fall, highest_fall]
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let mut reader = Reader::new("page_hinkley", state);
        let (n, drifted) = (reader.count(MOST)?, reader.flag()?);
        let [origin, mean, rise, lowest_rise, fall, highest_fall] = reader.array()?;
        reader.end()?;
        self.seen = Seen { n, origin, mean, rise, lowest_rise, fall, highest_fall, drifted };
        Ok(())
    }
}
