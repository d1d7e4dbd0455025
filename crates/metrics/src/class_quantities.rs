//! Means over rows that were classified, or given probabilities.

use tidemill_tensor::Scalar;

use crate::classes::{Threshold, for_each_binary, for_each_class, refuse_nan};
use crate::{Error, Measure, Quantity, RowMean, Rows};

/// The share of rows that are classified right, `Σ w [ŷ = y] / Σ w`.
///
/// A binary target is of class 1 when above one half. Predictions must not be NaN.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Accuracy, Metric, Rows, Summary, Target};
///
/// let mut accuracy = Accuracy::multiclass();
/// accuracy.update(&Rows::new(&[0.1, 0.7, 0.2, 0.3, 0.3, 0.4], 3, Target::Index(&[1, 0]))?)?;
/// assert_eq!(accuracy.value(), 0.5);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub type Accuracy = RowMean<Correct>;

/// The mean negative log likelihood of the targets under predicted probabilities.
///
/// Binary, one prediction a row: `-(y ln p + (1 - y) ln(1 - p))`, where `y` may be any number from 0 to 1.
/// Multiclass, one a class: `-ln p_y`; the probabilities of a row are taken as they are, not made to sum to one.
///
/// Probabilities are clipped to `[ε, 1 - ε]` with the machine epsilon `ε` of the predictions' type (1.2e-7 for `f32`,
/// 2.2e-16 for `f64`), as in scikit-learn. For logits see [`FromLogits`](crate::FromLogits).
///
/// # Example
///
/// ```
/// use tidemill_metrics::{LogLoss, Metric, Rows, Summary, Target};
///
/// let mut loss = LogLoss::default();
/// loss.update(&Rows::new(&[0.5, 0.25], 1, Target::Index(&[1, 0]))?)?;
/// assert!((loss.value() - (2.0f64.ln() + (4.0f64 / 3.0).ln()) / 2.0).abs() < 1e-15);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub type LogLoss = RowMean<LogarithmicScore>;

/// The mean squared error of binary probabilities, `Σ w (p - y)² / Σ w`.
///
/// # References
///
/// G. Brier, *Verification of forecasts expressed in terms of probability*, 1950.
pub type Brier = RowMean<QuadraticScore>;

/// Whether a row is classified right: 1 or 0.
#[derive(Clone, Copy, Debug)]
pub struct Correct(Decision);

#[derive(Clone, Copy, Debug)]
enum Decision {
    Threshold(Threshold),
    Top(usize),
}

impl Accuracy {
    /// One score a row: class 1 if it reaches `threshold`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when the threshold is NaN.
    pub fn binary(threshold: f64) -> Result<Self, Error> {
        Ok(Self::of(Correct(Decision::Threshold(Threshold::new("accuracy", threshold)?))))
    }

    /// One score a class: the class of the largest, the first of those that tie.
    pub fn multiclass() -> Self {
        Self::of(Correct(Decision::Top(1)))
    }

    /// One score a class: right if the target is among the `k` classes of largest score.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when `k` is 0.
    pub fn top(k: usize) -> Result<Self, Error> {
        if k == 0 {
            return Err(Error::Setting { of: "accuracy", setting: "k", expected: "at least 1", found: k.to_string() });
        }
        Ok(Self::of(Correct(Decision::Top(k))))
    }
}

impl Quantity for Correct {
    fn name(&self) -> &str {
        match self.0 {
            Decision::Threshold(_) | Decision::Top(1) => "accuracy",
            Decision::Top(_) => "top_k_accuracy",
        }
    }
}

impl<T: Scalar> Measure<T> for Correct {
    fn measure(&self, rows: &Rows<'_, T>, mut each: impl FnMut(f64, f64)) -> Result<(), Error> {
        refuse_nan(self.name(), rows)?;
        let mut count = |right, weight| each(f64::from(u8::from(right)), weight);
        match self.0 {
            Decision::Threshold(threshold) => {
                for_each_binary(self.name(), rows, |p, y, weight| count(threshold.says(p) == (y > 0.5), weight))
            }
            Decision::Top(k) => for_each_class(self.name(), rows, |p, y, weight| {
                let above = p.iter().enumerate().filter(|&(c, &score)| score > p[y] || score == p[y] && c < y).count();
                count(above < k, weight);
            }),
        }
    }
}

/// The negative log likelihood of a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogarithmicScore;

impl Quantity for LogarithmicScore {
    fn name(&self) -> &str {
        "log_loss"
    }
}

impl<T: Scalar> Measure<T> for LogarithmicScore {
    fn measure(&self, rows: &Rows<'_, T>, mut each: impl FnMut(f64, f64)) -> Result<(), Error> {
        let epsilon = T::epsilon().widen();
        let clip = |p: f64| p.clamp(epsilon, 1.0 - epsilon);
        if rows.width() == 1 {
            return for_each_binary(self.name(), rows, |p, y, weight| {
                let p = clip(p);
                let score = match y {
                    1.0 => p.ln(),
                    0.0 => (-p).ln_1p(),
                    _ => y * p.ln() + (1.0 - y) * (-p).ln_1p(),
                };
                each(-score, weight);
            });
        }
        for_each_class(self.name(), rows, |p, y, weight| each(-clip(p[y].widen()).ln(), weight))
    }
}

/// The squared distance of a binary probability from its target.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuadraticScore;

impl Quantity for QuadraticScore {
    fn name(&self) -> &str {
        "brier"
    }
}

impl<T: Scalar> Measure<T> for QuadraticScore {
    fn measure(&self, rows: &Rows<'_, T>, mut each: impl FnMut(f64, f64)) -> Result<(), Error> {
        for_each_binary(self.name(), rows, |p, y, weight| each((p - y) * (p - y), weight))
    }
}
