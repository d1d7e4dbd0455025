use tidemill_tensor::Scalar;

use crate::classes::for_each_class;
use crate::state::Reader;
use crate::{Error, Metric, Rows, Summary, Target};

/// Rows that are recoded at a time; bounds the memory on the stack.
const CHUNK: usize = 512;

/// A binary metric of every class against all others; the value is the plain mean over classes.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Metric, OneVsRest, RocAuc, Rows, Summary, Target};
///
/// let mut auc = OneVsRest::new(RocAuc::exact(), 3)?;
/// let scores = [0.8, 0.1, 0.1, 0.2, 0.5, 0.3, 0.1, 0.2, 0.7];
/// auc.update(&Rows::new(&scores, 3, Target::Index(&[0, 1, 2]))?)?;
/// assert_eq!(auc.value(), 1.0);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OneVsRest<M> {
    name: String,
    classes: Vec<M>,
}

impl<M: Summary + Clone> OneVsRest<M> {
    /// A metric such as `metric` for each of so many classes.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when there are fewer than two classes.
    pub fn new(mut metric: M, classes: usize) -> Result<Self, Error> {
        if classes < 2 {
            let found = classes.to_string();
            return Err(Error::Setting { of: "one versus rest", setting: "classes", expected: "at least 2", found });
        }
        metric.reset();
        Ok(Self { name: format!("{}_one_vs_rest", metric.name()), classes: vec![metric; classes] })
    }

    /// The metrics of the single classes.
    pub fn classes(&self) -> &[M] {
        &self.classes
    }

    fn read<'a>(&self, state: &'a [f64]) -> Result<Vec<&'a [f64]>, Error> {
        let mut reader = Reader::new(&self.name, state);
        let mut trial = self.classes[0].clone();
        let mut saved = Vec::with_capacity(self.classes.len());
        for _ in &self.classes {
            let len = reader.count(reader.left() as u64)?;
            let numbers = reader.take(len as usize)?;
            // Tried on a copy, so that a state that does not fit changes nothing.
            trial.restore(numbers)?;
            saved.push(numbers);
        }
        reader.end()?;
        Ok(saved)
    }
}

impl<M: Summary + Clone> Summary for OneVsRest<M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self) -> f64 {
        self.classes.iter().map(M::value).sum::<f64>() / self.classes.len() as f64
    }

    fn error_bound(&self) -> f64 {
        self.classes.iter().map(M::error_bound).sum::<f64>() / self.classes.len() as f64
    }

    fn reset(&mut self) {
        self.classes.iter_mut().for_each(M::reset);
    }

    fn state(&self) -> Vec<f64> {
        let mut state = Vec::new();
        for class in &self.classes {
            let numbers = class.state();
            state.push(numbers.len() as f64);
            state.extend(numbers);
        }
        state
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        for (class, numbers) in self.read(state)?.into_iter().enumerate() {
            self.classes[class].restore(numbers)?;
        }
        Ok(())
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        for (class, numbers) in self.read(state)?.into_iter().enumerate() {
            self.classes[class].merge(numbers)?;
        }
        Ok(())
    }

    fn fade(&mut self, factor: f64) {
        self.classes.iter_mut().for_each(|class| class.fade(factor));
    }
}

impl<T: Scalar, M: Metric<T> + Clone> Metric<T> for OneVsRest<M> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        if rows.width() != self.classes.len() {
            return Err(Error::Unsuitable {
                metric: self.name.clone(),
                expected: format!("one prediction for each of {} classes", self.classes.len()),
                found: rows.width().to_string(),
            });
        }
        // Checks the labels of all rows before any is taken in.
        for_each_class(&self.name, rows, |_, _, _| {})?;
        let (mut scores, mut labels) = ([T::zero(); CHUNK], [0; CHUNK]);
        for from in (0..rows.len()).step_by(CHUNK) {
            let chunk = rows.slice(from..rows.len().min(from + CHUNK));
            let Target::Index(targets) = chunk.target() else { unreachable!("labels were checked") };
            let n = chunk.len();
            for (class, metric) in self.classes.iter_mut().enumerate() {
                for row in 0..n {
                    scores[row] = chunk.predictions()[row * rows.width() + class];
                    labels[row] = u32::from(targets[row] as usize == class);
                }
                let binary = Rows::new(&scores[..n], 1, Target::Index(&labels[..n]))?;
                match chunk.weights() {
                    Some(weights) => metric.update(&binary.with_weights(weights)?)?,
                    None => metric.update(&binary)?,
                }
            }
        }
        Ok(())
    }
}
