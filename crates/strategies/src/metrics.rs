use std::ops::{Deref, DerefMut};

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_metrics::Metric;

use crate::{Binding, Error};

/// Metrics by name, each of which scores one head of a model.
///
/// Those of a model with one head need no more than a vector of metrics.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{MeanLoss, Metric, RocAuc};
/// use tidemill_strategies::Metrics;
///
/// let one_head: Metrics<f32> = vec![Box::new(MeanLoss::default()) as Box<dyn Metric<f32>>].into();
/// let two_heads: Metrics<f32> = Metrics::new().of("price", MeanLoss::default()).of("sold", RocAuc::exact());
/// assert_eq!(one_head[0].name(), "loss");
/// assert_eq!(two_heads[1].name(), "sold.roc_auc");
/// ```
#[derive(Default)]
pub struct Metrics<T> {
    all: Vec<HeadMetric<T>>,
}

/// A metric, and the head that it scores. It is used as the metric that it is.
pub struct HeadMetric<T> {
    name: String,
    head: Option<String>,
    metric: Box<dyn Metric<T>>,
}

impl<T> HeadMetric<T> {
    /// The head's name and the metric's, with a dot between; without a head the metric's alone.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The head that it scores; `None` for the one of a model that has one.
    pub fn head(&self) -> Option<&str> {
        self.head.as_deref()
    }
}

impl<T> Deref for HeadMetric<T> {
    type Target = dyn Metric<T>;

    fn deref(&self) -> &Self::Target {
        &*self.metric
    }
}

impl<T> DerefMut for HeadMetric<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.metric
    }
}

impl<T: Scalar> Metrics<T> {
    /// None yet.
    pub fn new() -> Self {
        Self { all: Vec::new() }
    }

    /// Appends a metric of the only head.
    #[must_use]
    pub fn with(mut self, metric: impl Metric<T> + 'static) -> Self {
        self.all.push(HeadMetric { name: metric.name().to_owned(), head: None, metric: Box::new(metric) });
        self
    }

    /// Appends a metric of the head of this name.
    #[must_use]
    pub fn of(mut self, head: impl Into<String>, metric: impl Metric<T> + 'static) -> Self {
        let head = head.into();
        let name = format!("{head}.{}", metric.name());
        self.all.push(HeadMetric { name, head: Some(head), metric: Box::new(metric) });
        self
    }

    /// What each scores, of this program and batches that are so bound.
    pub(crate) fn bind(&self, program: &Program<T>, binding: &Binding) -> Result<Vec<ScoredHead>, Error> {
        self.all.iter().map(|metric| metric.bind(program, binding)).collect()
    }
}

/// A head that a metric scores: its number, and the column of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScoredHead {
    pub(crate) head: usize,
    pub(crate) target: usize,
}

impl<T: Scalar> HeadMetric<T> {
    fn bind(&self, program: &Program<T>, binding: &Binding) -> Result<ScoredHead, Error> {
        let invalid = |problem: String| Err(Error::setting(format!("metric {}", self.name), problem));
        let names = || program.heads().iter().map(|head| head.name()).collect::<Vec<_>>().join(", ");
        let head = match &self.head {
            None if program.heads().len() > 1 => {
                return invalid(format!("the model has the heads {}; say which it scores by `of`", names()));
            }
            None => 0,
            Some(name) => match program.head(name) {
                Some(head) => head,
                None => return invalid(format!("the model has no head {name}, only {}", names())),
            },
        };
        match program.heads()[head].target().and_then(|input| binding.column(input)) {
            Some(target) => Ok(ScoredHead { head, target }),
            None => {
                let name = program.heads()[head].name();
                invalid(format!("head {name} is compared with no target, or with several, so it cannot be scored"))
            }
        }
    }
}

impl<T: Scalar> From<Vec<Box<dyn Metric<T>>>> for Metrics<T> {
    fn from(metrics: Vec<Box<dyn Metric<T>>>) -> Self {
        let metric = |metric: Box<dyn Metric<T>>| HeadMetric { name: metric.name().to_owned(), head: None, metric };
        Self { all: metrics.into_iter().map(metric).collect() }
    }
}

impl<'a, T> IntoIterator for &'a Metrics<T> {
    type Item = &'a HeadMetric<T>;
    type IntoIter = std::slice::Iter<'a, HeadMetric<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl<T> Deref for Metrics<T> {
    type Target = [HeadMetric<T>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl<T> DerefMut for Metrics<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.all
    }
}
