use std::marker::PhantomData;

use tidemill_tensor::Scalar;

use crate::quantities::for_each_output;
use crate::state::Reader;
use crate::{Error, Metric, Rows, RunningMoments, Summary};

/// The coefficient of determination, `1 - Σ w (y - p)² / Σ w (y - ȳ)²`.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Metric, R2, Rows, Summary, Target};
///
/// let mut r2 = R2::new(1)?;
/// r2.update(&Rows::new(&[1.0, 2.0, 4.0], 1, Target::Real(&[1.0, 2.0, 3.0]))?)?;
/// assert_eq!(r2.value(), 0.5);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
pub type R2 = Goodness<Total>;

/// The variance of the target that the predictions explain, `1 - Var(y - p) / Var(y)`: an [`R2`] that forgives a
/// constant offset.
pub type ExplainedVariance = Goodness<Spread>;

/// How far predictions are better than the mean of the targets.
///
/// With several outputs, the plain mean of their values. Where all targets are the same, 1 if every prediction is exact
/// and else 0, as in scikit-learn; NaN before the first row.
#[derive(Clone, Debug)]
pub struct Goodness<K> {
    outputs: Vec<Output>,
    kind: PhantomData<fn() -> K>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Output {
    target: RunningMoments,
    residual: RunningMoments,
}

/// What counts as error of a [`Goodness`].
pub trait Residual {
    /// The metric's name.
    const NAME: &'static str;

    /// The squared error left, of the moments of the residuals `y - p`.
    fn squares(residual: &RunningMoments) -> f64;
}

/// The residuals themselves.
#[derive(Clone, Copy, Debug)]
pub struct Total;

impl Residual for Total {
    const NAME: &'static str = "r2";

    fn squares(residual: &RunningMoments) -> f64 {
        residual.squared_deviations() + residual.weight() * residual.mean() * residual.mean()
    }
}

/// The residuals' deviations from their mean.
#[derive(Clone, Copy, Debug)]
pub struct Spread;

impl Residual for Spread {
    const NAME: &'static str = "explained_variance";

    fn squares(residual: &RunningMoments) -> f64 {
        residual.squared_deviations()
    }
}

impl<K: Residual> Goodness<K> {
    /// For so many outputs a row.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when there is none.
    pub fn new(outputs: usize) -> Result<Self, Error> {
        if outputs == 0 {
            return Err(Error::Setting {
                of: K::NAME,
                setting: "outputs",
                expected: "at least 1",
                found: "0".to_owned(),
            });
        }
        Ok(Self { outputs: vec![Output::default(); outputs], kind: PhantomData })
    }

    fn read<'a>(&self, state: &'a [f64]) -> Result<impl Iterator<Item = Output> + use<'a, K>, Error> {
        let mut reader = Reader::new(K::NAME, state);
        let numbers = reader.take(self.outputs.len() * 8)?;
        reader.end()?;
        let moments = |n: &[f64]| RunningMoments::of_parts([n[0], n[1], n[2], n[3]]);
        Ok(numbers.chunks_exact(8).map(move |n| Output { target: moments(&n[..4]), residual: moments(&n[4..]) }))
    }
}

impl Output {
    fn goodness<K: Residual>(&self) -> f64 {
        let squares = K::squares(&self.residual);
        let all = self.target.squared_deviations();
        if self.target.weight() == 0.0 {
            f64::NAN
        } else if all > 0.0 || all.is_nan() || squares.is_nan() {
            1.0 - squares / all
        } else if squares > 0.0 {
            0.0
        } else {
            1.0
        }
    }
}

impl<K: Residual> Summary for Goodness<K> {
    fn name(&self) -> &str {
        K::NAME
    }

    fn value(&self) -> f64 {
        self.outputs.iter().map(Output::goodness::<K>).sum::<f64>() / self.outputs.len() as f64
    }

    fn reset(&mut self) {
        self.outputs.fill(Output::default());
    }

    fn state(&self) -> Vec<f64> {
        self.outputs.iter().flat_map(|o| [o.target.parts(), o.residual.parts()]).flatten().collect()
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        for (output, saved) in self.read(state)?.enumerate() {
            self.outputs[output] = saved;
        }
        Ok(())
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        for (output, other) in self.read(state)?.enumerate() {
            self.outputs[output].target.merge(&other.target);
            self.outputs[output].residual.merge(&other.residual);
        }
        Ok(())
    }

    fn fade(&mut self, factor: f64) {
        for output in &mut self.outputs {
            output.target.fade(factor);
            output.residual.fade(factor);
        }
    }
}

impl<T: Scalar, K: Residual> Metric<T> for Goodness<K> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        if rows.width() != self.outputs.len() {
            return Err(Error::Unsuitable {
                metric: K::NAME.to_owned(),
                expected: format!("rows of {} outputs", self.outputs.len()),
                found: rows.width().to_string(),
            });
        }
        for_each_output(K::NAME, rows, |output, p, y, weight| {
            let Output { target, residual } = &mut self.outputs[output];
            target.update_weighted(y, weight);
            residual.update_weighted(y - p, weight);
        })
    }
}
