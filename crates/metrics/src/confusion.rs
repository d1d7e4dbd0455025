use tidemill_tensor::Scalar;

use crate::classes::{Threshold, for_each_binary, for_each_class, refuse_nan, unsuitable};
use crate::state::Reader;
use crate::{Error, Metric, Rows, Summary};

/// How scores of single classes make one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// The score of this class.
    Class(u32),
    /// The plain mean over all classes.
    Macro,
    /// The mean over classes, weighted by their rows.
    Weighted,
    /// The score of the counts summed over classes; equals accuracy.
    Micro,
}

/// What is read off a [`ConfusionMatrix`] with cells `c_ij` and all their sum `n`.
///
/// A score whose divisor is zero is 0, as in scikit-learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassScore {
    /// `Σ c_ii / n`
    Accuracy,
    /// The mean recall of the classes that occur.
    BalancedAccuracy,
    /// `c_ii / Σ_k c_ki`: of those predicted, how many are.
    Precision(Average),
    /// `c_ii / Σ_k c_ik`: of those that are, how many are predicted.
    Recall(Average),
    /// `2 c_ii / (Σ_k c_ki + Σ_k c_ik)`, the harmonic mean of the two.
    F1(Average),
    /// The correlation of prediction and target, from -1 to 1 (B. Matthews, 1975; for more than two classes
    /// J. Gorodkin, 2004).
    Matthews,
}

/// The weights of rows by true and predicted class, and a score that is read off them.
///
/// Predictions must not be NaN. The value is NaN before the first row.
///
/// # Shapes
///
/// Cells `[K, K]`: row `i`, column `j` counts those of true class `i` that are predicted as `j`.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Average, ClassScore, ConfusionMatrix, Metric, Rows, Summary, Target};
///
/// let mut recall = ConfusionMatrix::binary(0.5, ClassScore::Recall(Average::Class(1)))?;
/// recall.update(&Rows::new(&[0.9, 0.1, 0.3], 1, Target::Index(&[1, 1, 0]))?)?;
/// assert_eq!(recall.value(), 0.5);
/// assert_eq!(recall.cells(), [1.0, 0.0, 1.0, 1.0]);
/// assert_eq!(recall.score(ClassScore::Precision(Average::Macro)), 0.75);
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConfusionMatrix {
    /// `None`: the class of the largest score.
    threshold: Option<Threshold>,
    classes: usize,
    cells: Vec<f64>,
    score: ClassScore,
}

impl ConfusionMatrix {
    /// Two classes, one score a row: class 1 if it reaches `threshold`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when the threshold is NaN or the score is of a class that does not exist.
    pub fn binary(threshold: f64, score: ClassScore) -> Result<Self, Error> {
        Self::new(Some(Threshold::new("confusion matrix", threshold)?), 2, score)
    }

    /// One score a class: the class of the largest, the first of those that tie.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when there are fewer than two classes or the score is of a class that does not exist.
    pub fn multiclass(classes: usize, score: ClassScore) -> Result<Self, Error> {
        Self::new(None, classes, score)
    }

    fn new(threshold: Option<Threshold>, classes: usize, score: ClassScore) -> Result<Self, Error> {
        let wrong = |setting, expected, found| Error::Setting { of: "confusion matrix", setting, expected, found };
        let cells = classes
            .checked_mul(classes)
            .filter(|_| classes >= 2)
            .ok_or_else(|| wrong("classes", "at least 2, and a square that can be counted", classes.to_string()))?;
        use ClassScore::{F1, Precision, Recall};
        if let Precision(Average::Class(class)) | Recall(Average::Class(class)) | F1(Average::Class(class)) = score
            && class as usize >= classes
        {
            return Err(wrong("class of the score", "a class that exists", class.to_string()));
        }
        Ok(Self { threshold, classes, cells: vec![0.0; cells], score })
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The summed weights, `[K, K]` row-major: true class by predicted class.
    pub fn cells(&self) -> &[f64] {
        &self.cells
    }

    /// Any score of the rows seen; NaN before the first, or when it is of a class that does not exist.
    pub fn score(&self, score: ClassScore) -> f64 {
        let seen = self.cells.iter().sum::<f64>();
        if seen == 0.0 {
            return f64::NAN;
        }
        match score {
            ClassScore::Accuracy => self.hits().sum::<f64>() / seen,
            ClassScore::BalancedAccuracy => self.balanced_accuracy(),
            ClassScore::Precision(average) => self.average(average, |hits, predicted, _| ratio(hits, predicted)),
            ClassScore::Recall(average) => self.average(average, |hits, _, actual| ratio(hits, actual)),
            ClassScore::F1(average) => {
                self.average(average, |hits, predicted, actual| ratio(2.0 * hits, predicted + actual))
            }
            ClassScore::Matthews => self.matthews(seen),
        }
    }

    fn average(&self, average: Average, score: impl Fn(f64, f64, f64) -> f64) -> f64 {
        let of = |class: usize| score(self.hit(class), self.predicted(class), self.actual(class));
        let classes = 0..self.classes;
        match average {
            Average::Class(class) if (class as usize) < self.classes => of(class as usize),
            Average::Class(_) => f64::NAN,
            Average::Macro => classes.map(of).sum::<f64>() / self.classes as f64,
            Average::Weighted => {
                let seen = self.cells.iter().sum::<f64>();
                classes.map(|class| of(class) * self.actual(class)).sum::<f64>() / seen
            }
            Average::Micro => {
                let seen = self.cells.iter().sum::<f64>();
                score(self.hits().sum(), seen, seen)
            }
        }
    }

    fn balanced_accuracy(&self) -> f64 {
        let occurring = (0..self.classes).filter(|&class| self.actual(class) > 0.0);
        let (sum, n) = occurring.fold((0.0, 0), |(sum, n), class| (sum + self.hit(class) / self.actual(class), n + 1));
        sum / f64::from(n)
    }

    fn matthews(&self, seen: f64) -> f64 {
        // Shares rather than counts: the fourth powers below stay in range for any number of rows.
        let share = |weight: f64| weight / seen;
        let (mut both, mut predicted, mut actual) = (0.0, 0.0, 0.0);
        for class in 0..self.classes {
            let (p, a) = (share(self.predicted(class)), share(self.actual(class)));
            both += p * a;
            predicted += p * p;
            actual += a * a;
        }
        let covariance = share(self.hits().sum()) - both;
        let spread = ((1.0 - predicted) * (1.0 - actual)).max(0.0).sqrt();
        ratio(covariance, spread)
    }

    fn hit(&self, class: usize) -> f64 {
        self.cells[class * self.classes + class]
    }

    fn hits(&self) -> impl Iterator<Item = f64> {
        self.cells.iter().step_by(self.classes + 1).copied()
    }

    fn actual(&self, class: usize) -> f64 {
        self.cells[class * self.classes..(class + 1) * self.classes].iter().sum()
    }

    fn predicted(&self, class: usize) -> f64 {
        self.cells[class..].iter().step_by(self.classes).sum()
    }

    fn static_name(&self) -> &'static str {
        match self.score {
            ClassScore::Accuracy => "accuracy",
            ClassScore::BalancedAccuracy => "balanced_accuracy",
            ClassScore::Precision(_) => "precision",
            ClassScore::Recall(_) => "recall",
            ClassScore::F1(_) => "f1",
            ClassScore::Matthews => "matthews",
        }
    }

    fn read<'a>(&self, state: &'a [f64]) -> Result<&'a [f64], Error> {
        let mut reader = Reader::new(self.name(), state);
        let cells = reader.take(self.cells.len())?;
        reader.end()?;
        Ok(cells)
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

impl Summary for ConfusionMatrix {
    fn name(&self) -> &str {
        self.static_name()
    }

    fn value(&self) -> f64 {
        self.score(self.score)
    }

    fn reset(&mut self) {
        self.cells.fill(0.0);
    }

    fn state(&self) -> Vec<f64> {
        self.cells.clone()
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let cells = self.read(state)?;
        self.cells.copy_from_slice(cells);
        Ok(())
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        let cells = self.read(state)?;
        for (cell, other) in self.cells.iter_mut().zip(cells) {
            *cell += other;
        }
        Ok(())
    }

    fn fade(&mut self, factor: f64) {
        self.cells.iter_mut().for_each(|cell| *cell *= factor);
    }
}

impl<T: Scalar> Metric<T> for ConfusionMatrix {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        let name = self.static_name();
        refuse_nan(name, rows)?;
        let (classes, cells) = (self.classes, &mut self.cells);
        match self.threshold {
            Some(threshold) => for_each_binary(name, rows, |p, y, weight| {
                cells[2 * usize::from(y > 0.5) + usize::from(threshold.says(p))] += weight;
            }),
            None if rows.width() != classes => Err(unsuitable(
                name,
                &format!("one prediction for each of {classes} classes"),
                rows.width().to_string(),
            )),
            None => for_each_class(name, rows, |p, y, weight| {
                cells[y * classes + first_largest(p)] += weight;
            }),
        }
    }
}

fn first_largest<T: Scalar>(scores: &[T]) -> usize {
    let mut largest = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[largest] {
            largest = class;
        }
    }
    largest
}
