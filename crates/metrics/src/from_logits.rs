use tidemill_tensor::Scalar;

use crate::{Error, Metric, Rows, Summary};

/// A metric of probabilities, given logits.
///
/// One prediction a row becomes `p = 1 / (1 + exp(-z))`, several become `p_k = exp(z_k) / Σ_j exp(z_j)`. Only what
/// depends on probabilities needs this: [`LogLoss`](crate::LogLoss), [`Brier`](crate::Brier), and
/// thresholds that are meant as probabilities.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Accuracy, FromLogits, Metric, Rows, Summary, Target};
///
/// let mut accuracy = FromLogits::new(Accuracy::binary(0.5)?);
/// accuracy.update(&Rows::new(&[0.2f32, -3.0], 1, Target::Index(&[1, 0]))?)?;
/// assert_eq!(accuracy.value(), 1.0);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FromLogits<T, M> {
    metric: M,
    probabilities: Vec<T>,
}

impl<T: Scalar, M: Metric<T>> FromLogits<T, M> {
    /// Gives `metric` probabilities.
    pub fn new(metric: M) -> Self {
        Self { metric, probabilities: Vec::new() }
    }

    /// The metric of the probabilities.
    pub fn inner(&self) -> &M {
        &self.metric
    }
}

impl<T: Scalar, M: Summary> Summary for FromLogits<T, M> {
    fn name(&self) -> &str {
        self.metric.name()
    }

    fn value(&self) -> f64 {
        self.metric.value()
    }

    fn error_bound(&self) -> f64 {
        self.metric.error_bound()
    }

    fn reset(&mut self) {
        self.metric.reset();
    }

    fn state(&self) -> Vec<f64> {
        self.metric.state()
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        self.metric.restore(state)
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        self.metric.merge(state)
    }

    fn fade(&mut self, factor: f64) {
        self.metric.fade(factor);
    }
}

impl<T: Scalar, M: Metric<T>> Metric<T> for FromLogits<T, M> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        self.probabilities.clear();
        self.probabilities.extend_from_slice(rows.predictions());
        if rows.width() == 1 {
            self.probabilities.iter_mut().for_each(|z| *z = T::one() / (T::one() + (-*z).exp()));
        } else {
            self.probabilities.chunks_exact_mut(rows.width()).for_each(softmax);
        }
        self.metric.update(&rows.with_predictions(&self.probabilities))
    }
}

fn softmax<T: Scalar>(logits: &mut [T]) {
    let largest = logits.iter().copied().fold(T::neg_infinity(), T::max);
    let mut sum = T::zero();
    for z in logits.iter_mut() {
        *z = (*z - largest).exp();
        sum += *z;
    }
    logits.iter_mut().for_each(|p| *p /= sum);
}
