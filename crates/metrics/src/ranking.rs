use std::marker::PhantomData;

use tidemill_tensor::Scalar;

use crate::classes::{for_each_binary, refuse_nan};
use crate::scores::Scores;
use crate::sketch::Sketch;
use crate::sum::Sum;
use crate::{Error, Metric, Rows, Summary};

/// The area under the receiver operating characteristic: how often a positive outranks a negative, ties counting one
/// half.
///
/// `Σ_ij w_i w_j ([p_i > p_j] + ½ [p_i = p_j]) / Σ_ij w_i w_j` over positives `i` and negatives `j`.
///
/// [`exact`](Ranking::exact) keeps every score, [`binned`](Ranking::binned) a bounded number of bins, which adapt to the
/// scores. The order of scores within a bin is lost, which moves the area by at most
/// [`error_bound`](Summary::error_bound): `½ Σ_b P_b N_b / (P N)` over the bins `b` of several scores.
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
/// The sum is not interpolated, as in scikit-learn. Binned, scores in one bin count as one threshold; the error is at most
/// [`error_bound`](Summary::error_bound), from the best and the worst order that the rows of each bin could have had.
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
/// have been seen (for average precision: before a positive), and where bins leave it uncertain by more than
/// [`LARGEST_ERROR`].
#[derive(Clone, Debug)]
pub struct Ranking<C> {
    scores: Scores,
    curve: PhantomData<fn() -> C>,
}

/// The largest [`error_bound`](Summary::error_bound) of a [`Ranking`] with which it has a value: 0.01. Beyond, two models
/// could not be told apart by it, and [`value`](Summary::value) is NaN; more bins, or exact scores, give one.
pub const LARGEST_ERROR: f64 = 0.01;

/// A curve through the scores of positives and negatives.
pub trait Curve {
    /// The name of the area under it.
    const NAME: &'static str;

    /// The area: `descending` calls its argument with the weights (positive, negative) at every score from the largest
    /// down, `totals` are their sums.
    fn area(totals: (f64, f64), descending: impl FnOnce(&mut dyn FnMut(f64, f64))) -> f64;

    /// How far the area may be from the true one, where the order of some rows is lost: `descending` also says whether
    /// these weights are known to be of one score.
    fn error(totals: (f64, f64), descending: impl FnOnce(&mut dyn FnMut(f64, f64, bool))) -> f64;
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

    fn error((positives, negatives): (f64, f64), descending: impl FnOnce(&mut dyn FnMut(f64, f64, bool))) -> f64 {
        let mut lost = 0.0;
        descending(&mut |positive, negative, one_score| {
            if !one_score {
                lost += positive / positives * (negative / negatives);
            }
        });
        0.5 * lost
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

    fn error((positives, _): (f64, f64), descending: impl FnOnce(&mut dyn FnMut(f64, f64, bool))) -> f64 {
        let (mut hits, mut all, mut above, mut below) = (0.0, 0.0, 0.0, 0.0);
        descending(&mut |positive, negative, one_score| {
            if !one_score && positive > 0.0 {
                let tied = (hits + positive) / (all + positive + negative);
                // At best all positives come first, and together; at worst last, and one by one: the integral of
                // (hits + t) / (all + negative + t) over t from 0 to the positives.
                let (best, before) = ((hits + positive) / (all + positive), all + negative);
                let misses = before - hits;
                let worst = if before > 0.0 { positive - misses * (positive / before).ln_1p() } else { positive };
                above += positive * (best - tied);
                below += positive * tied - worst;
            }
            hits += positive;
            all += positive + negative;
        });
        above.max(below).max(0.0) / positives
    }
}

impl<C: Curve> Ranking<C> {
    /// Keeps every row's score: 16 bytes a row, and a sort whenever the value is read.
    pub fn exact() -> Self {
        Self::of(Scores::Exact(Vec::new()))
    }

    /// Keeps the weights of at most so many bins, about 100 bytes each, whatever the number of rows.
    ///
    /// Exact as long as there are no more distinct scores than bins. Then bins adapt: none holds more of the positives or
    /// of the negatives than the few hundredths or thousandths that the number of bins allows, be the scores spread or
    /// crowded, rare positives among them or not. 2¹⁴ bins are a good choice: the bound is then mostly below 0.0005. Where
    /// a stream first fixes bins and then crowds into one of them, the bound grows, and says so.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when there is no bin.
    pub fn binned(bins: usize) -> Result<Self, Error> {
        if bins == 0 {
            return Err(Error::Setting { of: C::NAME, setting: "bins", expected: "at least 1", found: "0".to_owned() });
        }
        Ok(Self::of(Scores::Binned(Sketch::new(bins))))
    }

    fn of(scores: Scores) -> Self {
        Self { scores, curve: PhantomData }
    }
}

impl<C: Curve> Ranking<C> {
    /// The area with every bin taken as one score, whatever the error; [`value`](Summary::value) where that is small.
    pub fn estimate(&self) -> f64 {
        C::area(self.totals(), |each| self.scores.for_each_descending(|tied| each(tied.positive, tied.negative)))
    }

    fn totals(&self) -> (f64, f64) {
        self.scores.totals()
    }
}

impl<C: Curve> Summary for Ranking<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn value(&self) -> f64 {
        if self.error_bound() > LARGEST_ERROR { f64::NAN } else { self.estimate() }
    }

    fn error_bound(&self) -> f64 {
        if matches!(self.scores, Scores::Exact(_)) {
            return 0.0;
        }
        C::error(self.totals(), |each| {
            self.scores.for_each_descending(|tied| each(tied.positive, tied.negative, tied.one_score));
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
