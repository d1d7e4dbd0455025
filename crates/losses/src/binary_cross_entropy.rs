use std::ops::RangeInclusive;

use tidemill_autograd::{Error, Graph, Head, Scalar, Var};

use crate::Loss;
use crate::row_mean::{self, Comparison, Elementwise};

/// `loss = -1/W Σⱼ tⱼ ln pⱼ + (1 - tⱼ) ln(1 - pⱼ)` of probabilities, such as a sigmoid gives: the mean over a row's
/// elements.
///
/// Probabilities are clipped to `[10⁻⁷, 1 - 10⁻⁷]`, beyond which the slope is zero, as in Keras. (PyTorch clips the
/// logarithms to -100.) Of logits, [`BinaryCrossEntropyWithLogits`](crate::BinaryCrossEntropyWithLogits) is exact and
/// never loses its slope.
///
/// # Shapes
///
/// Prediction and target alike, of `W` elements a row, both from 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct BinaryCrossEntropy;

const CLIP: f64 = 1e-7;

impl Loss for BinaryCrossEntropy {
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error> {
        row_mean::end(graph, prediction, target, *self)
    }
}

impl Elementwise for BinaryCrossEntropy {
    const NAME: &'static str = "binary cross entropy";
    const TARGETS: RangeInclusive<f64> = 0.0..=1.0;
    type Comparison = Self;

    fn at(&self, _: usize) -> Self {
        *self
    }
}

impl Comparison for BinaryCrossEntropy {
    #[inline(always)]
    fn value<T: Scalar>(self, p: T, t: T) -> T {
        let (low, high) = (T::of(CLIP), T::of(1.0 - CLIP));
        // Written so that NaN stays NaN.
        let p = if p < low { low } else { p };
        let p = if p > high { high } else { p };
        -(t * p.fast_ln() + (T::one() - t) * (T::one() - p).fast_ln())
    }

    #[inline(always)]
    fn slope<T: Scalar>(self, p: T, t: T) -> T {
        let clipped = p < T::of(CLIP) || p > T::of(1.0 - CLIP);
        if clipped { T::zero() } else { (p - t) / (p * (T::one() - p)) }
    }
}
