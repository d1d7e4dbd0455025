use super::{Drift, DriftDetector, require};
use crate::Error;
use crate::state::{MOST, Reader};

/// Settings of [`Ddm`]; the defaults are River's and the paper's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DdmConfig {
    /// Says nothing before so many errors or hits were seen; 30.
    pub warm_start: usize,
    /// Standard deviations above the best level at which to warn; 2.
    pub warning_threshold: f64,
    /// Standard deviations above the best level that are a drift; 3.
    pub drift_threshold: f64,
}

impl Default for DdmConfig {
    fn default() -> Self {
        Self { warm_start: 30, warning_threshold: 2.0, drift_threshold: 3.0 }
    }
}

/// The drift detection method: watches whether an error rate rises above the best that it has been.
///
/// Numbers are errors (1) and hits (0). With the error rate `p` of the `n` so far and `s = √(p (1 - p) / n)`, the best
/// level is the `p` and `s` of least `p + s`; drift is `p + s > p_best + 3 s_best`, a warning likewise with 2. A number
/// outside 0 to 1 is clipped.
///
/// # References
///
/// J. Gama, P. Medas, G. Castillo, P. Rodrigues, *Learning with drift detection*, 2004.
#[derive(Clone, Debug)]
pub struct Ddm {
    config: DdmConfig,
    seen: Seen,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    n: u64,
    rate: f64,
    best_rate: f64,
    best_deviation: f64,
    drifted: bool,
}

impl Seen {
    const NOTHING: Self =
        Self { n: 0, rate: 0.0, best_rate: f64::INFINITY, best_deviation: f64::INFINITY, drifted: false };
}

impl Ddm {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when a threshold is negative or not finite, or that of drift below that of warning.
    pub fn new(config: DdmConfig) -> Result<Self, Error> {
        let DdmConfig { warning_threshold: warning, drift_threshold: drift, .. } = config;
        let good = warning.is_finite() && warning >= 0.0;
        require(good, "ddm", "warning_threshold", "finite and not negative", warning)?;
        require(drift.is_finite() && drift >= warning, "ddm", "drift_threshold", "at least that of warning", drift)?;
        Ok(Self { config, seen: Seen::NOTHING })
    }
}

impl DriftDetector for Ddm {
    fn name(&self) -> &str {
        "ddm"
    }

    fn update(&mut self, x: f64) -> Drift {
        if !x.is_finite() {
            return Drift::Drift;
        }
        if self.seen.drifted {
            self.reset();
        }
        let seen = &mut self.seen;
        seen.n += 1;
        seen.rate += (x.clamp(0.0, 1.0) - seen.rate) / seen.n as f64;
        if seen.n <= self.config.warm_start as u64 {
            return Drift::None;
        }
        let deviation = (seen.rate * (1.0 - seen.rate) / seen.n as f64).max(0.0).sqrt();
        let level = seen.rate + deviation;
        if level <= seen.best_rate + seen.best_deviation {
            seen.best_rate = seen.rate;
            seen.best_deviation = deviation;
        }
        let exceeds = |threshold: f64| level > seen.best_rate + threshold * seen.best_deviation;
        if exceeds(self.config.drift_threshold) {
            seen.drifted = true;
            Drift::Drift
        } else if exceeds(self.config.warning_threshold) {
            Drift::Warning
        } else {
            Drift::None
        }
    }

    fn reset(&mut self) {
        self.seen = Seen::NOTHING;
    }

    fn state(&self) -> Vec<f64> {
        let Seen { n, rate, best_rate, best_deviation, drifted } = self.seen;
        vec![n as f64, f64::from(u8::from(drifted)), rate, best_rate, best_deviation]
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let mut reader = Reader::new("ddm", state);
        let (n, drifted) = (reader.count(MOST)?, reader.flag()?);
        let [rate, best_rate, best_deviation] = reader.array()?;
        reader.end()?;
        self.seen = Seen { n, rate, best_rate, best_deviation, drifted };
        Ok(())
    }
}
