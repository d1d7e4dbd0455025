use tidemill_autograd::{Error, Graph, Head, Scalar, Var};

use crate::Loss;
use crate::row_mean::{self, Comparison, Elementwise};

/// `loss = 1/W Σⱼ |pⱼ - tⱼ|`: the mean over a row's elements. Where both are equal, the slope is zero.
///
/// # Shapes
///
/// Prediction and target alike, of `W` elements a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanAbsoluteError;

impl Loss for MeanAbsoluteError {
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error> {
        row_mean::end(graph, prediction, target, *self)
    }
}

impl Elementwise for MeanAbsoluteError {
    const NAME: &'static str = "mean absolute error";
    type Comparison = Self;

    fn at(&self, _: usize) -> Self {
        *self
    }
}

impl Comparison for MeanAbsoluteError {
    #[inline(always)]
    fn value<T: Scalar>(self, p: T, t: T) -> T {
        (p - t).abs()
    }

    #[inline(always)]
    fn slope<T: Scalar>(self, p: T, t: T) -> T {
        let d = p - t;
        if d == T::zero() { T::zero() } else { d.signum() }
    }
}
