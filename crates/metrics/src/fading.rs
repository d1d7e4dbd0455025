use tidemill_tensor::Scalar;

use crate::{Error, Metric, Rows, Summary};

/// Rows that are weighted at a time; bounds the memory on the stack.
const CHUNK: usize = 1024;

/// A metric in which every row weighs `factor` times as much as the row after it.
///
/// For a mean this is `S_i / N_i` with `S_i = q_i + α S_{i-1}` and `N_i = 1 + α N_{i-1}`, row by row, however rows are
/// cut into batches. It follows a changing stream like a window of about `1 / (1 - α)` rows, with the memory of one
/// metric. The weights are of the rows' type: in `f32` they are rounded to seven digits.
///
/// Merging shards adds up their rows, each faded at the pace of its own shard. With an exact
/// [`RocAuc`](crate::RocAuc), which keeps all scores, an update costs time in proportion to all rows so far.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Fading, MeanLoss, Metric, Rows, Summary, Target};
///
/// let mut loss = Fading::new(MeanLoss::default(), 0.5)?;
/// loss.update(&Rows::new(&[0.0f64; 3], 1, Target::Real(&[0.0; 3]))?.with_losses(&[4.0, 2.0, 1.0])?)?;
/// assert_eq!(loss.value(), (1.0 + 2.0 / 2.0 + 4.0 / 4.0) / 1.75);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
///
/// # References
///
/// J. Gama, R. Sebastião, P. Rodrigues, *On evaluating stream learning algorithms*, 2013.
#[derive(Clone, Debug)]
pub struct Fading<M> {
    name: String,
    metric: M,
    factor: f64,
}

impl<M: Summary> Fading<M> {
    /// A metric that fades by `factor` a row.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when the factor is not above 0 and at most 1.
    pub fn new(metric: M, factor: f64) -> Result<Self, Error> {
        if !(factor > 0.0 && factor <= 1.0) {
            let (expected, found) = ("above 0 and at most 1", factor.to_string());
            return Err(Error::Setting { of: "fading metric", setting: "factor", expected, found });
        }
        Ok(Self { name: format!("{}_fading_{factor}", metric.name()), metric, factor })
    }

    /// The metric, its rows weighing as of the last.
    pub fn inner(&self) -> &M {
        &self.metric
    }
}

impl<M: Summary> Summary for Fading<M> {
    fn name(&self) -> &str {
        &self.name
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

impl<T: Scalar, M: Metric<T>> Metric<T> for Fading<M> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        let mut faded = [T::zero(); CHUNK];
        for from in (0..rows.len()).step_by(CHUNK) {
            let chunk = rows.slice(from..rows.len().min(from + CHUNK));
            let weights = &mut faded[..chunk.len()];
            let mut power = 1.0;
            for row in (0..chunk.len()).rev() {
                let weight = chunk.weights().map_or(1.0, |weights| weights[row].widen());
                weights[row] = T::of(power * weight);
                power *= self.factor;
            }
            self.metric.fade(power);
            self.metric.update(&chunk.with_weights(weights)?)?;
        }
        Ok(())
    }
}
