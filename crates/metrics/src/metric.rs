use tidemill_tensor::Scalar;

use crate::{Error, Rows};

/// What a metric remembers of the rows it has seen: a few numbers that can be read, merged, faded, saved and restored.
///
/// Apart from [`Metric`] because none of this depends on the type of the numbers in the rows.
pub trait Summary: Send {
    /// What is measured, such as `accuracy`.
    fn name(&self) -> &str;

    /// The score of the rows seen; NaN while it is undefined, as before the first row.
    fn value(&self) -> f64;

    /// How far [`value`](Summary::value) may be from that of all rows, because the metric keeps less than all; 0 for most.
    ///
    /// A metric whose bound is too large to be of use says so by a value of NaN.
    fn error_bound(&self) -> f64 {
        0.0
    }

    /// Forgets all rows, keeps the memory.
    fn reset(&mut self);

    /// All that has been learned from rows, as numbers. Settings are not part of it.
    fn state(&self) -> Vec<f64>;

    /// Takes over a [`state`](Summary::state), bit for bit, and forgets its own.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is not the state of such a metric with the same settings; nothing is changed then.
    fn restore(&mut self, state: &[f64]) -> Result<(), Error>;

    /// Takes in the rows that another such metric has seen, by its [`state`](Summary::state): so rows can be shared
    /// out over threads or machines. The value is then that of all rows, up to rounding.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it is not the state of such a metric with the same settings; nothing is changed then.
    fn merge(&mut self, state: &[f64]) -> Result<(), Error>;

    /// Multiplies the weights of all rows seen so far by `factor`.
    fn fade(&mut self, factor: f64);
}

/// A score that is updated from batches of predictions and targets.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Accuracy, Metric, Rows, Summary, Target};
///
/// let mut metrics: Vec<Box<dyn Metric<f32>>> = vec![Box::new(Accuracy::binary(0.5)?)];
/// let rows = Rows::new(&[0.9, 0.2, 0.6], 1, Target::Index(&[1, 0, 0]))?;
/// for metric in &mut metrics {
///     metric.update(&rows)?;
///     assert_eq!((metric.name(), metric.value()), ("accuracy", 2.0 / 3.0));
/// }
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub trait Metric<T: Scalar>: Summary {
    /// Takes in rows.
    ///
    /// # Errors
    ///
    /// When the metric cannot score such rows; it may then have taken in some of them.
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error>;
}

impl<S: Summary + ?Sized> Summary for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn value(&self) -> f64 {
        (**self).value()
    }

    fn error_bound(&self) -> f64 {
        (**self).error_bound()
    }

    fn reset(&mut self) {
        (**self).reset();
    }

    fn state(&self) -> Vec<f64> {
        (**self).state()
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        (**self).restore(state)
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        (**self).merge(state)
    }

    fn fade(&mut self, factor: f64) {
        (**self).fade(factor);
    }
}

impl<T: Scalar, M: Metric<T> + ?Sized> Metric<T> for Box<M> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        (**self).update(rows)
    }
}
