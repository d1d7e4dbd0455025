use tidemill_autograd::{Error, Graph, Head, Scalar, Var};

use crate::Loss;
use crate::row_mean::{self, Comparison, Elementwise};

/// `loss = 1/W Σⱼ h(pⱼ - tⱼ)`, where `h(d) = d² / 2` for `|d| <= δ` and `δ (|d| - δ / 2)` beyond: squares near the
/// target, absolute values far from it.
///
/// `δ` is 1 by default, as in PyTorch and Keras.
///
/// # Shapes
///
/// Prediction and target alike, of `W` elements a row.
///
/// # References
///
/// P. Huber, *Robust estimation of a location parameter*, 1964.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    delta: f64,
}

impl Default for Huber {
    fn default() -> Self {
        Self::new(1.0)
    }
}

impl Huber {
    /// With this `δ`, above zero.
    pub fn new(delta: f64) -> Self {
        Self { delta }
    }
}

impl Loss for Huber {
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error> {
        if !(self.delta > 0.0 && self.delta.is_finite()) {
            let problem = format!("delta is {}, expected a number above zero", self.delta);
            return Err(Error::invalid(Self::NAME, problem));
        }
        row_mean::end(graph, prediction, target, *self)
    }
}

impl Elementwise for Huber {
    const NAME: &'static str = "huber loss";
    type Comparison = Self;

    fn at(&self, _: usize) -> Self {
        *self
    }
}

impl Comparison for Huber {
    #[inline(always)]
    fn value<T: Scalar>(self, p: T, t: T) -> T {
        let (d, delta, half) = ((p - t).abs(), T::of(self.delta), T::of(0.5));
        if d <= delta { half * d * d } else { delta * (d - half * delta) }
    }

    #[inline(always)]
    fn slope<T: Scalar>(self, p: T, t: T) -> T {
        let (d, delta) = (p - t, T::of(self.delta));
        if d.abs() <= delta { d } else { delta * d.signum() }
    }
}
