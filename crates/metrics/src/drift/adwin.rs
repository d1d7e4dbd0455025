use super::histogram::{Bucket, Histogram};
use super::{Drift, DriftDetector, require};
use crate::Error;
use crate::state::{MOST, Reader};

/// What [`Adwin`] does after a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDrift {
    /// Starts anew with the next number, as River does.
    StartAnew,
    /// Goes on with the newer part of the window, as in the paper.
    KeepNewer,
}

/// Settings of [`Adwin`]; the defaults are River's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdwinConfig {
    /// The probability of a false alarm at a cut; 0.002.
    pub delta: f64,
    /// Looks for a cut after every so many numbers; 32.
    pub clock: usize,
    /// Buckets of one size before the two oldest are merged; 5.
    pub max_buckets: usize,
    /// Neither side of a cut is shorter than this; 5.
    pub min_window_length: usize,
    /// Looks for no cut until the window is longer than this; 10.
    pub grace_period: usize,
    /// What follows a drift; [`AfterDrift::StartAnew`].
    pub after_drift: AfterDrift,
}

impl Default for AdwinConfig {
    fn default() -> Self {
        Self {
            delta: 0.002,
            clock: 32,
            max_buckets: 5,
            min_window_length: 5,
            grace_period: 10,
            after_drift: AfterDrift::StartAnew,
        }
    }
}

/// ADWIN2: keeps a window as long as no cut of it has two sides of different mean, and else drops its older side.
///
/// Sides of `n₀` and `n₁` numbers with means `μ₀` and `μ₁` differ when `|μ₀ - μ₁| > √(2 k σ² d) + ⅔ k d` with
/// `k = 1/(n₀ - m + 1) + 1/(n₁ - m + 1)`, `d = ln(2 ln(n₀ + n₁) / δ)`, the window's variance `σ²` and the shortest side
/// allowed `m`. The window is an exponential histogram: buckets of `2^r` numbers, at most `max_buckets` of each size.
/// Numbers may be of any size, though the bound assumes that they are spread by about one. What is kept are means of
/// differences from the first number of the window, not sums: rounding does not grow with the window, and a constant has
/// the same mean on both sides of every cut, exactly.
///
/// # References
///
/// A. Bifet, R. Gavaldà, *Learning from time-changing data with adaptive windowing*, 2007. The form of the bound with
/// `m` follows River.
#[derive(Clone, Debug)]
pub struct Adwin {
    config: AdwinConfig,
    ticks: u64,
    width: u64,
    /// The number that all means are differences from.
    origin: f64,
    /// The window's mean.
    mean: f64,
    /// Squared deviations from the mean, summed.
    squares: f64,
    histogram: Histogram,
    drifted: bool,
}

impl Adwin {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when `delta` is not above 0 and at most 1, or `clock`, `max_buckets` or `min_window_length` is
    /// 0, or `max_buckets` above 1024.
    pub fn new(config: AdwinConfig) -> Result<Self, Error> {
        let check = |good, setting, expected, found| require(good, "adwin", setting, expected, found);
        let AdwinConfig { delta, clock, max_buckets, min_window_length, .. } = config;
        check(delta > 0.0 && delta <= 1.0, "delta", "above 0 and at most 1", delta)?;
        check(clock > 0, "clock", "at least 1", clock as f64)?;
        check((1..=1024).contains(&max_buckets), "max_buckets", "from 1 to 1024", max_buckets as f64)?;
        check(min_window_length > 0, "min_window_length", "at least 1", min_window_length as f64)?;
        let histogram = Histogram::new(max_buckets);
        Ok(Self { config, ticks: 0, width: 0, origin: 0.0, mean: 0.0, squares: 0.0, histogram, drifted: false })
    }

    /// How many numbers the window holds.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// The mean of the window; 0 while it is empty.
    pub fn mean(&self) -> f64 {
        if self.width == 0 { 0.0 } else { self.origin + self.mean }
    }

    /// The population variance of the window; 0 while it is empty.
    pub fn variance(&self) -> f64 {
        // Buckets taken away leave rounding errors, which may be below zero.
        if self.width == 0 { 0.0 } else { self.squares.max(0.0) / self.width as f64 }
    }

    fn insert(&mut self, x: f64) {
        if self.width == 0 {
            (self.origin, self.mean, self.squares) = (x, 0.0, 0.0);
        }
        let x = x - self.origin;
        self.width += 1;
        let (width, before) = (self.width as f64, (self.width - 1) as f64);
        let apart = x - self.mean;
        self.squares += before / width * apart * apart;
        self.mean += apart / width;
        self.histogram.insert(x);
    }

    fn drop_oldest(&mut self) {
        let Some((n, dropped)) = self.histogram.drop_oldest() else { return };
        self.width -= n;
        if self.width == 0 {
            return;
        }
        let (n, rest) = (n as f64, self.width as f64);
        self.mean += n / rest * (self.mean - dropped.mean);
        let apart = dropped.mean - self.mean;
        self.squares -= dropped.squares + n * rest / (n + rest) * apart * apart;
    }

    /// Counts from the window's mean, which may be far from where the window began.
    fn move_origin(&mut self) {
        let by = self.mean;
        self.origin += by;
        self.mean = 0.0;
        self.histogram.shift(by);
    }

    /// Whether some cut of the window has two different sides.
    fn has_cut(&self) -> bool {
        let shortest = self.config.min_window_length as u64;
        let d = (2.0 * (self.width as f64).ln() / self.config.delta).ln();
        let variance = self.variance();
        let bound = |older: u64, newer: u64| {
            let k = 1.0 / older as f64 + 1.0 / newer as f64;
            (2.0 * k * variance * d).sqrt() + 2.0 / 3.0 * d * k
        };
        let (mut older, mut older_mean) = (0, 0.0);
        for (n, bucket) in self.histogram.oldest_first() {
            older += n;
            older_mean += n as f64 / older as f64 * (bucket.mean - older_mean);
            let newer = self.width - older;
            if newer < shortest {
                return false;
            }
            if older >= shortest {
                // The newer mean is as far from the whole one on the other side, by the ratio of the lengths.
                let apart = (older_mean - self.mean) * (self.width as f64 / newer as f64);
                if apart.abs() > bound(older - shortest + 1, newer - shortest + 1) {
                    return true;
                }
            }
        }
        false
    }
}

impl DriftDetector for Adwin {
    fn name(&self) -> &str {
        "adwin"
    }

    fn update(&mut self, x: f64) -> Drift {
        if !x.is_finite() {
            return Drift::Drift;
        }
        if self.drifted && self.config.after_drift == AfterDrift::StartAnew {
            self.reset();
        }
        self.drifted = false;
        self.insert(x);
        self.ticks += 1;
        if self.ticks.is_multiple_of(self.config.clock as u64) && self.width > self.config.grace_period as u64 {
            while self.has_cut() {
                self.drifted = true;
                self.drop_oldest();
            }
            if self.drifted {
                self.move_origin();
            }
        }
        if self.drifted { Drift::Drift } else { Drift::None }
    }

    fn reset(&mut self) {
        self.ticks = 0;
        self.width = 0;
        self.origin = 0.0;
        self.mean = 0.0;
        self.squares = 0.0;
        self.histogram.clear();
        self.drifted = false;
    }

    fn state(&self) -> Vec<f64> {
        let mut state =
            vec![self.ticks as f64, self.origin, self.mean, self.squares, f64::from(u8::from(self.drifted))];
        for row in 0..self.histogram.rows() {
            let buckets = self.histogram.row(row);
            state.push(buckets.len() as f64);
            state.extend(buckets.iter().flat_map(|bucket| [bucket.mean, bucket.squares]));
        }
        state
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let mut reader = Reader::new("adwin", state);
        let ticks = reader.count(MOST)?;
        let [origin, mean, squares] = reader.array()?;
        let drifted = reader.flag()?;
        let mut histogram = Histogram::new(self.config.max_buckets);
        let mut width = 0;
        while reader.left() > 0 {
            let row = histogram.rows();
            let length = reader.count(self.config.max_buckets as u64)?;
            width += length << row;
            if width > MOST || row > 52 {
                return Err(reader.wrong(format!("a window of more than {MOST} numbers")));
            }
            let (buckets, _) = reader.take(2 * length as usize)?.as_chunks();
            histogram.grow();
            for &[mean, squares] in buckets {
                histogram.push(row, Bucket { mean, squares });
            }
        }
        reader.end()?;
        *self = Self { ticks, width, origin, mean, squares, drifted, histogram, ..*self };
        Ok(())
    }
}
