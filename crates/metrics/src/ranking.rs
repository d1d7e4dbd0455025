use std::marker::PhantomData;

use tidemill_tensor::Scalar;

use crate::classes::{for_each_binary, refuse_nan};
use crate::scores::{Scores, Tied};
use crate::sum::Sum;
use crate::{Error, Metric, Rows, Summary};

/// The area under the receiver operating characteristic: how often a positive outranks a negative, ties counting one
/// half.
///
/// `Σ_ij w_i w_j ([p_i > p_j] + ½ [p_i = p_j]) / Σ_ij w_i w_j` over positives `i` and negatives `j`.
///
/// [`exact`](Ranking::exact) keeps every score. [`binned`](Ranking::binned) keeps two numbers a bin; scores in one bin
/// tie, which moves the area by at most [`error_bound`](Ranking::error_bound).
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Metric, RocAuc, Rows, Summary, Target};
///
/// let rows = Rows::new(&[0.1, 0.4, 0.35, 0.8], 1, Target::Index(&[0, 0, 1, 1]))?;
/// let mut exact = RocAuc::exact();
/// exact.update(&rows)?;
/// assert_eq!(exact.value(), 0.75);
///
/// let mut binned = RocAuc::binned(1 << 14)?;
/// binned.update(&rows)?;
/// assert_eq!((binned.value(), binned.error_bound()), (0.75, 0.0));
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
///
/// # References
///
/// J. Hanley, B. McNeil, *The meaning and use of the area under a receiver operating characteristic (ROC) curve*, 1982.
pub type RocAuc = Ranking<Roc>;

/// The average precision, `Σ_n (R_n - R_{n-1}) P_n` with precision `P` and recall `R` at each distinct score, from the
/// largest down.
///
/// The sum is not interpolated, as in scikit-learn. Binned, scores in one bin count as one threshold; there is no bound
/// on the error but it vanishes with the width of the bins.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{AveragePrecision, Metric, Rows, Summary, Target};
///
/// let mut precision = AveragePrecision::exact();
/// precision.update(&Rows::new(&[0.1, 0.4, 0.35, 0.8], 1, Target::Index(&[0, 0, 1, 1]))?)?;
/// assert!((precision.value() - (1.0 / 2.0 + 2.0 / 3.0 / 2.0)).abs() < 1e-15);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub type AveragePrecision = Ranking<PrecisionRecall>;

/// An area under a curve that depends on the order of the rows' scores alone.
///
/// A target is positive when above one half. Predictions must not be NaN. NaN before both a positive and a negative
/// have been seen (for average precision: before a positive).
#[derive(Clone, Debug)]
pub struct Ranking<C> {
    scores: Scores,
    curve: PhantomData<fn() -> C>,
}

/// A curve through the scores of positives and negatives.
pub trait Curve {
    /// The name of the area under it.
    const NAME: &'static str;

    /// The area: `descending` calls its argument with the weights (positive, negative) at every score from the largest
    /// down, `totals` are their sums.
    fn area(totals: (f64, f64), descending: impl FnOnce(&mut dyn FnMut(f64, f64))) -> f64;
}

/// True against false positive rate.
#[derive(Clone, Copy, Debug)]
pub struct Roc;

impl Curve for Roc {
    const NAME: &'static str = "roc_auc";

    fn area((positives, negatives): (f64, f64), descending: impl FnOnce(&mut dyn FnMut(f64, f64))) -> f64 {
        let (mut above, mut area) = (0.0, Sum::default());
        descending(&mut |positive, negative| {
            area.add(negative * (above + positive / 2.0));
            above += positive;
        });
        area.total() / (positives * negatives)
    }
}

/// Precision against recall.
#[derive(Clone, Copy, Debug)]
pub struct PrecisionRecall;

impl Curve for PrecisionRecall {
    const NAME: &'static str = "average_precision";

    fn area((positives, _): (f64, f64), descending: impl FnOnce(&mut dyn FnMut(f64, f64))) -> f64 {
        let (mut hits, mut all, mut area) = (0.0, 0.0, Sum::default());
        descending(&mut |positive, negative| {
            hits += positive;
            all += positive + negative;
            if positive > 0.0 {
                area.add(positive * (hits / all));
            }
        });
        area.total() / positives
    }
}

impl<C: Curve> Ranking<C> {
    /// Keeps every row's score: 16 bytes a row, and a sort whenever the value is read.
    pub fn exact() -> Self {
        Self::of(Scores::Exact(Vec::new()))
    }

    /// Counts scores in so many equal bins over `[0, 1]`, 16 bytes each, whatever the number of rows.
    ///
    /// Made for probabilities: scores outside `[0, 1]` count in the outermost bins. 2¹⁴ bins are a good choice.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when there is no bin.
    pub fn binned(bins: usize) -> Result<Self, Error> {
        if bins == 0 {
            return Err(Error::Setting { of: C::NAME, setting: "bins", expected: "at least 1", found: "0".to_owned() });
        }
        Ok(Self::of(Scores::Binned(vec![Tied::default(); bins])))
    }

    fn of(scores: Scores) -> Self {
        Self { scores, curve: PhantomData }
    }
}

impl Ranking<Roc> {
    /// How far the value can be from that of the exact scores: `½ Σ_b P_b N_b / (P N)` with the positives `P_b` and
    /// negatives `N_b` in bin `b`, whose order is lost; 0 where scores are exact.
    pub fn error_bound(&self) -> f64 {
        let Scores::Binned(bins) = &self.scores else { return 0.0 };
        let totals = self.scores.totals();
        let lost = bins.iter().map(|tied| tied.positive * tied.negative).sum::<f64>();
        0.5 * lost / (totals.positive * totals.negative)
    }
}

impl<C: Curve> Summary for Ranking<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn value(&self) -> f64 {
        let totals = self.scores.totals();
        C::area((totals.positive, totals.negative), |each| {
            self.scores.for_each_descending(|tied| each(tied.positive, tied.negative));
        })
    }

    fn reset(&mut self) {
        self.scores.clear();
    }

    fn state(&self) -> Vec<f64> {
        self.scores.state()
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        self.scores.restore(C::NAME, state)
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        self.scores.merge(C::NAME, state)
    }

    fn fade(&mut self, factor: f64) {
        self.scores.scale(factor);
    }
}

impl<T: Scalar, C: Curve> Metric<T> for Ranking<C> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        refuse_nan(C::NAME, rows)?;
        for_each_binary(C::NAME, rows, |p, y, weight| self.scores.push(p, y > 0.5, weight))
    }
}
