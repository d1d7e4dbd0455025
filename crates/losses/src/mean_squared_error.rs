use tidemill_autograd::{Error, Graph, Head, Scalar, Var};

use crate::Loss;
use crate::row_mean::{self, Comparison, Elementwise};

/// `loss = 1/W Σⱼ (pⱼ - tⱼ)²`: the mean over a row's elements, without a factor ½, as in PyTorch and Keras.
///
/// # Shapes
///
/// Prediction and target alike, of `W` elements a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanSquaredError;

impl Loss for MeanSquaredError {
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error> {
        row_mean::end(graph, prediction, target, *self)
    }
}

impl Elementwise for MeanSquaredError {
    const NAME: &'static str = "mean squared error";
    type Comparison = Self;

    fn at(&self, _: usize) -> Self {
        *self
    }
}

impl Comparison for MeanSquaredError {
    #[inline(always)]
    fn value<T: Scalar>(self, p: T, t: T) -> T {
        (p - t) * (p - t)
    }

    #[inline(always)]
    fn slope<T: Scalar>(self, p: T, t: T) -> T {
        T::of(2.0) * (p - t)
    }
}
