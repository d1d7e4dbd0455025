//! What the seeds of a strategy have in common: median, smallest and largest.

use crate::results::{Results, Run};

/// Median and range over the seeds of a strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle value; between the two middle values when their number is even.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// How many values there were.
    pub count: usize,
}

impl Spread {
    /// The spread of the finite values; none when no value is finite.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_experiments::summary::Spread;
    ///
    /// let spread = Spread::of([0.5, f64::NAN, 0.1, 0.2]).unwrap();
    /// assert_eq!((spread.min, spread.median, spread.max, spread.count), (0.1, 0.2, 0.5, 3));
    /// assert_eq!(Spread::of([f64::NAN]), None);
    /// ```
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[half] } else { values[half - 1].midpoint(values[half]) };
        Some(Self { median, min, max, count: values.len() })
    }

    /// Whether some value of one may be that of the other: the ranges touch.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// The runs of one strategy, taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Name of the strategy.
    pub name: String,
    /// What it is called in tables.
    pub label: String,
    /// Its place among the strategies, which gives its colour.
    pub index: usize,
    /// How many runs finished.
    pub runs: usize,
    /// Loss of the final model on the held-out rows.
    pub held_out_loss: Option<Spread>,
    /// Score of the final model on the held-out rows.
    pub held_out_score: Option<Spread>,
    /// Loss of predictions made before training on the rows.
    pub prequential_loss: Option<Spread>,
    /// Score of predictions made before training on the rows.
    pub prequential_score: Option<Spread>,
    /// How many rows were tested before they were trained on.
    pub prequential_rows: Option<Spread>,
    /// How many runs reached the target loss; the next three are of those.
    pub reached_target: usize,
    /// Rows trained on until the target loss.
    pub rows_to_target: Option<Spread>,
    /// Steps until the target loss.
    pub steps_to_target: Option<Spread>,
    /// Seconds of training until the target loss.
    pub seconds_to_target: Option<Spread>,
    /// Rows trained on in all.
    pub rows_trained: Option<Spread>,
    /// Optimizer steps.
    pub steps: Option<Spread>,
    /// Seconds of training.
    pub training_seconds: Option<Spread>,
    /// Seconds of training spent on getting rows from files.
    pub waiting_seconds: Option<Spread>,
    /// Seconds of the whole run.
    pub total_seconds: Option<Spread>,
    /// Rows trained on in a second.
    pub rows_per_second: Option<Spread>,
    /// Most memory held, in bytes.
    pub peak_memory: Option<Spread>,
}

/// One summary a strategy, in the order of the results.
pub fn summarize(results: &Results) -> Vec<Summary> {
    results
        .strategies
        .iter()
        .enumerate()
        .map(|(index, strategy)| {
            let runs: Vec<&Run> = results.runs_of(&strategy.name).collect();
            summary(index, &strategy.name, &strategy.label, &runs)
        })
        .collect()
}

fn summary(index: usize, name: &str, label: &str, runs: &[&Run]) -> Summary {
    let over = |value: &dyn Fn(&Run) -> Option<f64>| Spread::of(runs.iter().filter_map(|run| value(run)));
    Summary {
        name: name.into(),
        label: label.into(),
        index,
        runs: runs.len(),
        held_out_loss: over(&|run| Some(run.held_out.loss)),
        held_out_score: over(&|run| Some(run.held_out.score)),
        prequential_loss: over(&|run| run.prequential.map(|p| p.loss)),
        prequential_score: over(&|run| run.prequential.map(|p| p.score)),
        prequential_rows: over(&|run| run.prequential.map(|p| p.rows as f64)),
        reached_target: runs.iter().filter(|run| run.to_target.is_some()).count(),
        rows_to_target: over(&|run| run.to_target.map(|t| t.rows as f64)),
        steps_to_target: over(&|run| run.to_target.map(|t| t.steps as f64)),
        seconds_to_target: over(&|run| run.to_target.map(|t| t.seconds)),
        rows_trained: over(&|run| Some(run.rows_trained as f64)),
        steps: over(&|run| Some(run.steps as f64)),
        training_seconds: over(&|run| Some(run.training_seconds)),
        waiting_seconds: over(&|run| Some(run.waiting_seconds)),
        total_seconds: over(&|run| Some(run.total_seconds)),
        rows_per_second: over(&|run| Some(run.rows_per_second)),
        peak_memory: over(&|run| run.peak_memory_bytes.map(|bytes| bytes as f64)),
    }
}

/// A point of a curve over seeds; the spread is none where no seed has a finite value, which breaks the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BandPoint {
    pub(crate) x: f64,
    pub(crate) spread: Option<Spread>,
}

/// The median and range over curves, at every `x` that one of them has.
///
/// A curve counts between its first and its last point, linearly interpolated; next to a value that is not finite it
/// does not count.
pub(crate) fn band(curves: &[Vec<(f64, f64)>]) -> Vec<BandPoint> {
    let mut xs: Vec<f64> = curves.iter().flatten().map(|&(x, _)| x).filter(|x| x.is_finite()).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let point = |x| BandPoint { x, spread: Spread::of(curves.iter().map(|curve| interpolate(curve, x))) };
    xs.into_iter().map(point).collect()
}

fn interpolate(curve: &[(f64, f64)], x: f64) -> f64 {
    let after = curve.partition_point(|&(at, _)| at < x);
    match (after.checked_sub(1).map(|i| curve[i]), curve.get(after)) {
        (_, Some(&(at, y))) if at == x => y,
        (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_interpolates_within_a_curve_only() {
        let points = band(&[vec![(0.0, 0.0), (2.0, 4.0)], vec![(1.0, 4.0), (2.0, 6.0), (3.0, 7.0)]]);
        let found: Vec<_> = points.iter().map(|p| (p.x, p.spread.map(|s| (s.min, s.median, s.max)))).collect();
        let expected = [
            (0.0, Some((0.0, 0.0, 0.0))),
            (1.0, Some((2.0, 3.0, 4.0))),
            (2.0, Some((4.0, 5.0, 6.0))),
            (3.0, Some((7.0, 7.0, 7.0))),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_band_breaks_where_nothing_is_finite() {
        let points = band(&[vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0)]]);
        assert_eq!(points.iter().map(|p| p.spread.is_some()).collect::<Vec<_>>(), [true, false, true]);
        assert!(band(&[vec![], vec![]]).is_empty());
    }

    #[test]
    fn ranges_that_touch_overlap() {
        let spread = |min, max| Spread { median: min, min, max, count: 3 };
        assert!(spread(1.0, 2.0).overlaps(&spread(2.0, 3.0)));
        assert!(!spread(1.0, 2.0).overlaps(&spread(2.1, 3.0)));
    }
}
