//! How good predictions are, and whether a stream has changed: metrics that are updated batch by batch, merged over
//! shards and saved exactly, and drift detectors; this crate does not know models, where data come from, or how rows
//! are produced.
//!
//! A [`Metric`] takes in [`Rows`] and remembers a few numbers, its [`Summary`]. Every metric by itself is *cumulative*:
//! it speaks of all rows since the start, which over a stream that is tested before it is trained on is the prequential
//! score. [`Windowed`] and [`Fading`] turn any metric into one that forgets. A [`DriftDetector`] watches a stream of
//! single numbers, such as errors.
//!
//! | family | metrics |
//! |---|---|
//! | [`RowMean`]: the mean of one number a row | [`MeanLoss`], [`Accuracy`], [`LogLoss`], [`Brier`], [`Mse`], [`Rmse`], [`Mae`], [`Mape`] |
//! | [`Goodness`]: variance explained | [`R2`], [`ExplainedVariance`] |
//! | [`ConfusionMatrix`]: counts by class | precision, recall, F1, balanced accuracy, Matthews, see [`ClassScore`] |
//! | [`Ranking`]: areas under curves | [`RocAuc`], [`AveragePrecision`] |
//! | adaptors | [`Windowed`], [`Fading`], [`FromLogits`], [`OneVsRest`] |
//!
//! In equations, `w` are the rows' weights (one where none are given), `y` targets, `p` predictions. A row of weight
//! zero counts as absent: nothing in it is looked at.

mod error;
mod metric;
mod rows;
mod state;
mod sum;

mod moments;
mod row_mean;

mod class_quantities;
mod classes;
mod confusion;
mod goodness;
mod quantities;
mod ranking;
mod scores;
mod sketch;

mod fading;
mod from_logits;
mod one_vs_rest;
mod windowed;

pub mod drift;

pub use class_quantities::{Accuracy, Brier, LogLoss};
pub use confusion::{Average, ClassScore, ConfusionMatrix};
pub use drift::{Drift, DriftDetector};
pub use error::Error;
pub use fading::Fading;
pub use from_logits::FromLogits;
pub use goodness::{ExplainedVariance, Goodness, R2};
pub use metric::{Metric, Summary};
pub use moments::RunningMoments;
pub use one_vs_rest::OneVsRest;
pub use quantities::{Mae, Mape, MeanLoss, Mse, Rmse};
pub use ranking::{AveragePrecision, LARGEST_ERROR, Ranking, RocAuc};
pub use row_mean::{Measure, Quantity, RowMean};
pub use rows::{Rows, Target};
pub use windowed::Windowed;

/// What tells the members of a family apart; needed only to write a new member, or a type in full.
pub mod member {
    pub use crate::class_quantities::{Correct, LogarithmicScore, QuadraticScore};
    pub use crate::goodness::{Residual, Spread, Total};
    pub use crate::quantities::{AbsoluteError, Loss, PercentageError, RootSquaredError, SquaredError};
    pub use crate::ranking::{Curve, PrecisionRecall, Roc};
}
