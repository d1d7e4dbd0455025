//! From numbers to places on the page, and where the ticks go.

/// How an axis runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Linear,
    /// Of the logarithm; for numbers above zero.
    Log,
}

/// One axis: numbers `low..=high` laid out from `start` to `end` on the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// An axis over the range; a range that is empty or not finite is replaced by one around it.
    pub(crate) fn new(kind: Kind, (low, high): (f64, f64), (start, end): (f64, f64)) -> Self {
        let (low, high) = match kind {
            Kind::Linear => proper(low, high),
            Kind::Log => {
                let usable = low > 0.0 && high > 0.0 && low.is_finite() && high.is_finite();
                let (low, high) = if usable { (low, high) } else { (1.0, 10.0) };
                if low < high { (low, high) } else { (low / 2.0, low * 2.0) }
            }
        };
        Self { kind, low, high, start, end }
    }

    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    /// Whether the number lies on the axis.
    pub(crate) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Where the number is on the page; not finite when the number has no place.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.start + share * (self.end - self.start)
    }

    /// About `wanted` round numbers on the axis.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linear => linear_ticks(self.low, self.high, wanted),
            Kind::Log => log_ticks(self.low, self.high, wanted),
        }
    }
}

/// A range a little wider than the numbers need, so that nothing lies on the frame.
pub(crate) fn padded((low, high): (f64, f64), share: f64) -> (f64, f64) {
    let (low, high) = proper(low, high);
    let pad = (high - low) * share;
    (low - pad, high + pad)
}

/// Ticks as texts, with the digits that tell them apart.
pub(super) fn tick_texts(ticks: &[f64]) -> Vec<String> {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let digits = if step.is_finite() && step > 0.0 { -(step * 1.0001).log10().floor() } else { 3.0 };
    let large = ticks.iter().any(|tick| tick.abs() >= 1e5);
    let text = |tick: &f64| {
        if *tick == 0.0 {
            "0".into()
        } else if digits > 5.0 || large {
            format!("{tick:e}")
        } else {
            format!("{tick:.digits$}", digits = digits.max(0.0) as usize)
        }
    };
    ticks.iter().map(text).collect()
}

fn proper(low: f64, high: f64) -> (f64, f64) {
    if !low.is_finite() || !high.is_finite() {
        return (0.0, 1.0);
    }
    let (low, high) = if low <= high { (low, high) } else { (high, low) };
    // Beyond this the digits of the numbers no longer tell them apart.
    let least = low.abs().max(high.abs()).max(1e-9) * 1e-6;
    if high - low >= least { (low, high) } else { (low - 5e4 * least, high + 5e4 * least) }
}

/// One, two or five times a power of ten, such that about `wanted` steps fill the range.
fn nice_step(range: f64, wanted: usize) -> f64 {
    let rough = range / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= rough * 0.999).unwrap_or(10.0);
    step * power
}

fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let step = nice_step(high - low, wanted);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = (last - first).clamp(0.0, 1000.0) as usize;
    // Adding zero turns a negative zero into a positive one.
    (0..=count)
        .map(|i| (first + i as f64) * step + 0.0)
        .filter(|tick| (low - step..=high + step).contains(tick))
        .collect()
}

fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let within = |steps: &[f64]| -> Vec<f64> {
        let all = (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        all.filter(|tick| (low * 0.9999..=high * 1.0001).contains(tick)).collect()
    };
    let candidates = [within(&[1.0, 2.0, 5.0]), within(&[1.0, 3.0]), within(&[1.0])];
    let fits = candidates.iter().find(|ticks| (2..=wanted + 1).contains(&ticks.len()));
    match fits {
        Some(ticks) => ticks.clone(),
        // Less than two round numbers: a short range, on which linear ticks do.
        None if candidates[0].len() < 2 => linear_ticks(low, high, wanted.min(4)),
        None => {
            let decades = &candidates[2];
            decades.iter().copied().step_by(decades.len().div_ceil(wanted.max(1))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_ticks(kind: Kind, range: (f64, f64), wanted: usize, expected: &[f64]) {
        let ticks = Scale::new(kind, range, (0.0, 1.0)).ticks(wanted);
        let same = ticks.len() == expected.len()
            && ticks.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9 * b.abs().max(1.0));
        assert!(same, "{range:?}: {ticks:?}, expected {expected:?}");
    }

    #[test]
    fn ticks_are_round() {
        check_ticks(Kind::Linear, (0.41, 0.47), 5, &[0.42, 0.44, 0.46]);
        check_ticks(Kind::Linear, (0.0, 100.0), 5, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check_ticks(Kind::Linear, (-1.0, 1.0), 4, &[-1.0, -0.5, 0.0, 0.5, 1.0]);
        check_ticks(Kind::Log, (1e3, 3e6), 6, &[1e3, 1e4, 1e5, 1e6]);
        check_ticks(Kind::Log, (1e3, 1e4), 6, &[1e3, 2e3, 5e3, 1e4]);
        check_ticks(Kind::Log, (110.0, 190.0), 6, &[120.0, 140.0, 160.0, 180.0]);
        check_ticks(Kind::Log, (1.0, 1e12), 6, &[1.0, 1e3, 1e6, 1e9, 1e12]);
    }

    #[test]
    fn ticks_of_any_range_are_few_and_finite() {
        let numbers = [f64::NAN, f64::INFINITY, 0.0, -1.0, 1e-300, 1.0, 1.0 + 1e-15, 1e300];
        for kind in [Kind::Linear, Kind::Log] {
            for low in numbers {
                for high in numbers {
                    let scale = Scale::new(kind, (low, high), (0.0, 100.0));
                    let ticks = scale.ticks(6);
                    assert!(ticks.len() <= 20, "{kind:?} {low} {high}: {} ticks", ticks.len());
                    assert!(ticks.iter().all(|t| t.is_finite()), "{kind:?} {low} {high}: {ticks:?}");
                }
            }
        }
    }

    #[test]
    fn places_run_from_start_to_end() {
        let linear = Scale::new(Kind::Linear, (0.0, 10.0), (100.0, 0.0));
        assert_eq!([0.0, 5.0, 10.0].map(|v| linear.place(v)), [100.0, 50.0, 0.0]);
        let log = Scale::new(Kind::Log, (1.0, 100.0), (0.0, 10.0));
        assert!((log.place(10.0) - 5.0).abs() < 1e-12);
        assert!(!log.place(-1.0).is_finite());
    }

    #[test]
    fn digits_tell_ticks_apart() {
        let rows: [(&[f64], &[&str]); 5] = [
            (&[0.42, 0.44], &["0.42", "0.44"]),
            (&[-0.005, 0.0, 0.005], &["-0.005", "0", "0.005"]),
            (&[0.0, 20.0], &["0", "20"]),
            (&[200_000.0, 400_000.0], &["2e5", "4e5"]),
            (&[0.5], &["0.500"]),
        ];
        for (ticks, texts) in rows {
            assert_eq!(tick_texts(ticks), texts);
        }
    }
}
