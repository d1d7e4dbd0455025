use super::{Drift, DriftDetector, require};
use crate::Error;
use crate::state::Reader;

/// Settings of [`Kswin`]; the defaults are River's, but for its larger window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KswinConfig {
    /// The probability of a false alarm at each number; 0.005.
    pub alpha: f64,
    /// How many numbers are compared with as many before them; 30.
    pub stat_size: usize,
}

impl Default for KswinConfig {
    fn default() -> Self {
        Self { alpha: 0.005, stat_size: 30 }
    }
}

/// KSWIN: a two-sample Kolmogorov-Smirnov test of the newer half of a window against the older half.
///
/// Drift is `p <= α` and `D > 0.1`, with the largest distance `D` of the halves' empirical distributions and its exact
/// p-value, for halves of `n` numbers `p = 2 Σ_{k≥1} (-1)^{k-1} C(2n, n - k n D) / C(2n, n)`.
///
/// In the paper and in River the older sample is drawn at random from a longer window. Here it is the whole older half
/// of a window of `2 n`, so that the result depends on the stream alone.
///
/// # References
///
/// C. Raab, M. Heusinger, F.-M. Schleif, *Reactive soft prototype computing for concept drift streams*, 2020; B.
/// Gnedenko, V. Korolyuk, *On the maximum discrepancy between two empirical distributions*, 1951 (the p-value).
#[derive(Clone, Debug)]
pub struct Kswin {
    config: KswinConfig,
    /// Oldest first.
    window: Vec<f64>,
    /// The window's halves, sorted.
    sorted: Vec<f64>,
    /// The p-value of each distance `D n`, from 0 to `n`.
    p_values: Vec<f64>,
    p_value: f64,
    drifted: bool,
}

/// A distance of distributions that is never a drift, as in River.
const NEGLIGIBLE: f64 = 0.1;

impl Kswin {
    /// A detector that has seen nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when `alpha` is not above 0 and at most 1, or `stat_size` is not from 1 to 2²⁰.
    pub fn new(config: KswinConfig) -> Result<Self, Error> {
        let KswinConfig { alpha, stat_size: n } = config;
        require(alpha > 0.0 && alpha <= 1.0, "kswin", "alpha", "above 0 and at most 1", alpha)?;
        require((1..=1 << 20).contains(&n), "kswin", "stat_size", "from 1 to 1048576", n as f64)?;
        let p_values = (0..=n).map(|distance| p_value(n, distance)).collect();
        let (window, sorted) = (Vec::with_capacity(2 * n), Vec::with_capacity(2 * n));
        Ok(Self { config, window, sorted, p_values, p_value: 0.0, drifted: false })
    }

    /// The p-value at the last number; 0 until the window is full.
    pub fn p_value(&self) -> f64 {
        self.p_value
    }

    /// The distance of the halves times their length.
    fn distance(&mut self) -> usize {
        let n = self.config.stat_size;
        self.sorted.clone_from(&self.window);
        let (older, newer) = self.sorted.split_at_mut(n);
        older.sort_unstable_by(f64::total_cmp);
        newer.sort_unstable_by(f64::total_cmp);
        let (mut i, mut j, mut largest) = (0, 0, 0);
        while i < n && j < n {
            let x = older[i].min(newer[j]);
            while i < n && older[i] <= x {
                i += 1;
            }
            while j < n && newer[j] <= x {
                j += 1;
            }
            largest = largest.max(i.abs_diff(j));
        }
        largest
    }
}

/// The probability that samples of `n` of one distribution are at least `distance / n` apart.
fn p_value(n: usize, distance: usize) -> f64 {
    if distance == 0 {
        return 1.0;
    }
    let mut p = 0.0;
    let mut sign = 2.0;
    // The ratio of the binomials, factor by factor, and from one k to the next.
    let (mut ratio, mut taken) = (1.0, 0);
    for end in (distance..=n).step_by(distance) {
        while taken < end {
            ratio *= (n - taken) as f64 / (n + taken + 1) as f64;
            taken += 1;
        }
        p += sign * ratio;
        sign = -sign;
    }
    p.clamp(0.0, 1.0)
}

impl DriftDetector for Kswin {
    fn name(&self) -> &str {
        "kswin"
    }

    fn update(&mut self, x: f64) -> Drift {
        if !x.is_finite() {
            return Drift::Drift;
        }
        if self.drifted {
            self.reset();
        }
        let n = self.config.stat_size;
        if self.window.len() == 2 * n {
            self.window.copy_within(1.., 0);
            self.window.pop();
        }
        self.window.push(x);
        if self.window.len() < 2 * n {
            return Drift::None;
        }
        let distance = self.distance();
        self.p_value = self.p_values[distance];
        self.drifted = self.p_value <= self.config.alpha && distance as f64 / n as f64 > NEGLIGIBLE;
        if self.drifted { Drift::Drift } else { Drift::None }
    }

    fn reset(&mut self) {
        self.window.clear();
        self.p_value = 0.0;
        self.drifted = false;
    }

    fn state(&self) -> Vec<f64> {
        [&[f64::from(u8::from(self.drifted)), self.p_value], &self.window[..]].concat()
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let mut reader = Reader::new("kswin", state);
        let drifted = reader.flag()?;
        let [p_value] = reader.array()?;
        if reader.left() > 2 * self.config.stat_size {
            return Err(reader.wrong(format!("a window of {} numbers", reader.left())));
        }
        let window = reader.take(reader.left())?;
        if !window.iter().all(|x| x.is_finite()) {
            return Err(reader.wrong("a number that is not finite".to_owned()));
        }
        reader.end()?;
        self.window.clear();
        self.window.extend_from_slice(window);
        self.p_value = p_value;
        self.drifted = drifted;
        Ok(())
    }
}
