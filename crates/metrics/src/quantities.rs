//! Means of losses and of regression errors.

use tidemill_tensor::Scalar;

use crate::{Error, Measure, Quantity, RowMean, Rows, Target};

/// The mean of the rows' losses, `Σ w l / Σ w`.
///
/// The losses are those that were computed for training, so this follows whatever loss the model has.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{MeanLoss, Metric, Rows, Summary, Target};
///
/// let mut loss = MeanLoss::default();
/// let rows = Rows::new(&[0.0, 0.0], 1, Target::Real(&[1.0, 3.0]))?;
/// loss.update(&rows.with_losses(&[1.0, 4.0])?.with_weights(&[2.0, 1.0])?)?;
/// assert_eq!(loss.value(), 2.0);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub type MeanLoss = RowMean<Loss>;

/// The mean squared error, `Σ w (p - y)² / Σ w`, over all outputs of a row alike.
pub type Mse = RowMean<SquaredError>;

/// The root of the mean squared error, `√(Σ w (p - y)² / Σ w)`.
///
/// With several outputs a row, the root of the mean over all of them, as in Keras; scikit-learn averages a root for
/// each output.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Metric, Rmse, Rows, Summary, Target};
///
/// let mut rmse = Rmse::default();
/// rmse.update(&Rows::new(&[0.0, 0.0], 1, Target::Real(&[1.0, 7.0]))?)?;
/// assert_eq!(rmse.value(), 5.0);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub type Rmse = RowMean<RootSquaredError>;

/// The mean absolute error, `Σ w |p - y| / Σ w`, over all outputs of a row alike.
pub type Mae = RowMean<AbsoluteError>;

/// The mean absolute percentage error as a share, `Σ w |p - y| / |y| / Σ w`, over all outputs of a row alike.
///
/// The divisor is at least the `f64` machine epsilon, as in scikit-learn: finite at `y = 0`, but very large.
pub type Mape = RowMean<PercentageError>;

/// The loss of a row, given beside the predictions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss;

impl Quantity for Loss {
    fn name(&self) -> &str {
        "loss"
    }
}

impl<T: Scalar> Measure<T> for Loss {
    fn measure(&self, rows: &Rows<'_, T>, mut each: impl FnMut(f64, f64)) -> Result<(), Error> {
        let losses = rows.losses().ok_or_else(|| Error::Unsuitable {
            metric: self.name().to_owned(),
            expected: "rows with losses".to_owned(),
            found: "none".to_owned(),
        })?;
        rows.for_each(|row, weight| each(losses[row].widen(), weight));
        Ok(())
    }
}

/// A quantity of the prediction and the target of every output of a row.
macro_rules! error_quantity {
    ($(#[$doc:meta])* $quantity:ident, $name:literal, $error:expr, $finish:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $quantity;

        impl Quantity for $quantity {
            fn name(&self) -> &str {
                $name
            }

            fn finish(&self, mean: f64) -> f64 {
                $finish(mean)
            }
        }

        impl<T: Scalar> Measure<T> for $quantity {
            fn measure(&self, rows: &Rows<'_, T>, mut each: impl FnMut(f64, f64)) -> Result<(), Error> {
                for_each_output($name, rows, |_, p, y, weight| each($error(p, y), weight))
            }
        }
    };
}

error_quantity!(
    /// `(p - y)²`
    SquaredError,
    "mse",
    |p: f64, y: f64| (p - y) * (p - y),
    |mean| mean
);

error_quantity!(
    /// `(p - y)²`, whose mean is read off as its root.
    RootSquaredError,
    "rmse",
    |p: f64, y: f64| (p - y) * (p - y),
    f64::sqrt
);

error_quantity!(
    /// `|p - y|`
    AbsoluteError,
    "mae",
    |p: f64, y: f64| (p - y).abs(),
    |mean| mean
);

error_quantity!(
    /// `|p - y| / |y|`
    PercentageError,
    "mape",
    |p: f64, y: f64| (p - y).abs() / y.abs().max(f64::EPSILON),
    |mean| mean
);

/// Calls `each(output, prediction, target, weight)` for every output of every row that weighs anything.
pub(crate) fn for_each_output<T: Scalar>(
    metric: &str,
    rows: &Rows<'_, T>,
    mut each: impl FnMut(usize, f64, f64, f64),
) -> Result<(), Error> {
    let (predictions, width) = (rows.predictions(), rows.width());
    let target = match rows.target() {
        Target::Real(target) if target.len() == predictions.len() => target,
        Target::Real(target) => {
            return Err(unsuitable(metric, width, format!("{} for {} rows", target.len(), rows.len())));
        }
        Target::Index(_) => return Err(unsuitable(metric, width, "class indices".to_owned())),
    };
    if width == 1 {
        rows.for_each(|row, weight| each(0, predictions[row].widen(), target[row].widen(), weight));
    } else {
        rows.for_each(|row, weight| {
            let outputs = row * width..(row + 1) * width;
            for (output, (p, y)) in predictions[outputs.clone()].iter().zip(&target[outputs]).enumerate() {
                each(output, p.widen(), y.widen(), weight);
            }
        });
    }
    Ok(())
}

fn unsuitable(metric: &str, width: usize, found: String) -> Error {
    Error::Unsuitable { metric: metric.to_owned(), expected: format!("real targets, {width} a row"), found }
}
