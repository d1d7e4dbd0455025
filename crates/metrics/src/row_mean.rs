use tidemill_tensor::Scalar;

use crate::state::exactly;
use crate::sum::Sum;
use crate::{Error, Metric, Rows, Summary};

/// One number a row, which [`RowMean`] averages: the extension point for metrics that are means.
pub trait Quantity: Send {
    /// The name of its mean, such as `mse`.
    fn name(&self) -> &str;

    /// What is read off the mean; itself, unless overridden.
    fn finish(&self, mean: f64) -> f64 {
        mean
    }
}

/// How a [`Quantity`] is read off rows of numbers of type `T`.
pub trait Measure<T: Scalar>: Quantity {
    /// Calls `each(value, weight)` for every row, or part of a row, that weighs anything.
    ///
    /// # Errors
    ///
    /// When it has no value for such rows; `each` was not called then.
    fn measure(&self, rows: &Rows<'_, T>, each: impl FnMut(f64, f64)) -> Result<(), Error>;
}

/// The weighted mean of one number a row.
///
/// `value = f(Σ w q / Σ w)` with the [`Quantity`] `q` and its `f`, mostly the identity. Both sums are kept in `f64`
/// together with what rounding lost, and divided once, when the value is read. NaN before the first row.
#[derive(Clone, Debug, Default)]
pub struct RowMean<Q> {
    quantity: Q,
    weight: Sum,
    total: Sum,
}

impl<Q: Quantity> RowMean<Q> {
    /// The mean of a quantity.
    pub fn of(quantity: Q) -> Self {
        Self { quantity, weight: Sum::default(), total: Sum::default() }
    }

    fn read(&self, state: &[f64]) -> Result<[Sum; 2], Error> {
        let [w, w_lost, t, t_lost] = exactly(self.name(), state)?;
        Ok([Sum::of_parts([w, w_lost]), Sum::of_parts([t, t_lost])])
    }
}

impl<Q: Quantity> Summary for RowMean<Q> {
    fn name(&self) -> &str {
        self.quantity.name()
    }

    fn value(&self) -> f64 {
        self.quantity.finish(self.total.total() / self.weight.total())
    }

    fn reset(&mut self) {
        self.weight = Sum::default();
        self.total = Sum::default();
    }

    fn state(&self) -> Vec<f64> {
        [self.weight.parts(), self.total.parts()].concat()
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        [self.weight, self.total] = self.read(state)?;
        Ok(())
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        let [weight, total] = self.read(state)?;
        self.weight.merge(weight);
        self.total.merge(total);
        Ok(())
    }

    fn fade(&mut self, factor: f64) {
        self.weight.scale(factor);
        self.total.scale(factor);
    }
}

impl<T: Scalar, Q: Measure<T>> Metric<T> for RowMean<Q> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        let Self { quantity, weight, total } = self;
        quantity.measure(rows, |value, w| {
            weight.add(w);
            total.add(w * value);
        })
    }
}
