use std::ops::RangeInclusive;

use tidemill_autograd::{Activation, Error, Graph, Head, Scalar, Var, ops};

use crate::Loss;
use crate::row_mean::{self, Comparison, Elementwise};

/// `loss = -1/W Σⱼ wⱼ tⱼ ln σ(zⱼ) + (1 - tⱼ) ln σ(-zⱼ)` of logits `z`, in a form that neither overflows nor loses its
/// slope: the mean over a row's elements. What the model predicts is `σ(z)`.
///
/// The weights `w` of positive targets are 1 unless given.
///
/// # Shapes
///
/// Prediction and target alike, of `W` elements a row, the target's from 0 to 1.
///
/// # Example
///
/// ```
/// use tidemill_autograd::Graph;
/// use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss};
///
/// let mut graph = Graph::new();
/// let logits = graph.input("logits", &[3])?;
/// let loss = BinaryCrossEntropyWithLogits::new().positive_weights([2.0, 5.0]);
/// let error = loss.apply(&mut graph, logits).unwrap_err();
/// assert_eq!(error.to_string(), "binary cross entropy with logits: 2 positive weights for 3 elements of logits");
/// # Ok::<(), tidemill_autograd::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct BinaryCrossEntropyWithLogits {
    positive: PositiveWeights,
}

#[derive(Clone, Debug, Default)]
enum PositiveWeights {
    #[default]
    One,
    All(f64),
    Each(Vec<f64>),
}

impl BinaryCrossEntropyWithLogits {
    /// Every target weighs one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Positive targets weigh this much: about `negatives / positives` where the positive are rare. PyTorch's
    /// `pos_weight`.
    #[must_use]
    pub fn positive_weight(mut self, weight: f64) -> Self {
        self.positive = PositiveWeights::All(weight);
        self
    }

    /// As [`positive_weight`](Self::positive_weight), one for each element of a row.
    #[must_use]
    pub fn positive_weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.positive = PositiveWeights::Each(weights.into());
        self
    }
}

impl Loss for BinaryCrossEntropyWithLogits {
    fn compare(&self, graph: &mut Graph, prediction: Var, target: &str) -> Result<Head, Error> {
        let width = graph.width(prediction);
        let weights = match &self.positive {
            PositiveWeights::One => vec![1.0; width],
            &PositiveWeights::All(weight) => vec![weight; width],
            PositiveWeights::Each(weights) => weights.clone(),
        };
        let invalid = |problem| Err(Error::invalid(Logits::NAME, problem));
        if weights.len() != width {
            let label = graph.label(prediction);
            return invalid(format!("{} positive weights for {width} elements of {label}", weights.len()));
        }
        if let Some(weight) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return invalid(format!("a positive weight is {weight}, expected a number not below zero"));
        }
        let head = row_mean::end(graph, prediction, target, Logits { weights })?;
        let probability = graph.add(ops::Activate(Activation::Sigmoid), &[prediction], &[])?;
        Ok(head.predicting(probability))
    }
}

#[derive(Clone, Debug)]
struct Logits {
    weights: Vec<f64>,
}

impl Elementwise for Logits {
    const NAME: &'static str = "binary cross entropy with logits";
    const TARGETS: RangeInclusive<f64> = 0.0..=1.0;
    type Comparison = Logit;

    fn at(&self, column: usize) -> Logit {
        Logit { weight: self.weights[column] }
    }
}

#[derive(Clone, Copy)]
struct Logit {
    weight: f64,
}

impl Comparison for Logit {
    // -ln σ(z) = softplus(-z) and -ln σ(-z) = softplus(z), both of s = ln(1 + exp(-|z|)): as z + softplus(-z) the second
    // would lose its digits where z is far below zero.
    #[inline(always)]
    fn value<T: Scalar>(self, z: T, t: T) -> T {
        let (w, negative) = (T::of(self.weight), T::one() - t);
        let s = (-z.abs()).fast_exp().fast_ln_1p();
        let (below, above) = if z < T::zero() { (s - z, s) } else { (s, s + z) };
        w * t * below + negative * above
    }

    #[inline(always)]
    fn slope<T: Scalar>(self, z: T, t: T) -> T {
        let w = T::of(self.weight);
        (T::one() - t) * z.fast_sigmoid() - w * t * (-z).fast_sigmoid()
    }
}
