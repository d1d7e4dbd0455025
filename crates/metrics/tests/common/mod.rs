//! Random rows, and every metric that can score them.
#![allow(dead_code, reason = "every test file uses a part")]

use tidemill_metrics::{
    Accuracy, Average, AveragePrecision, Brier, ClassScore, ConfusionMatrix, Error, ExplainedVariance, Fading,
    FromLogits, LogLoss, Mae, Mape, MeanLoss, Metric, Mse, OneVsRest, R2, Rmse, RocAuc, Rows, Target, Windowed,
};
use tidemill_tensor::{Key, Scalar};

/// What the rows of a [`Table`] are for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Task {
    Binary,
    Multiclass,
    Regression,
}

pub const TASKS: [Task; 3] = [Task::Binary, Task::Multiclass, Task::Regression];

/// Numbers a row among the predictions.
pub const fn width(task: Task) -> usize {
    match task {
        Task::Binary => 1,
        Task::Multiclass => 4,
        Task::Regression => 2,
    }
}

/// Owned rows.
#[derive(Clone, Debug)]
pub struct Table<T> {
    pub task: Task,
    pub predictions: Vec<T>,
    pub labels: Vec<u32>,
    pub target: Vec<T>,
    pub losses: Vec<T>,
    pub weights: Vec<T>,
}

impl<T: Scalar> Table<T> {
    /// Random rows whose weights are whole numbers from 0 to 3. All numbers are exact in `f32`.
    pub fn random(task: Task, rows: usize, seed: u64) -> Self {
        let key = Key::new(seed);
        let bits = |part: u64, i: usize| key.fold(part).block(i as u64)[0];
        let unit = |part: u64, i: usize| T::of(f64::from(bits(part, i) >> 22) / 1024.0);
        let width = width(task);
        let labels: Vec<u32> =
            (0..rows).map(|i| bits(1, i) % if task == Task::Binary { 2 } else { width as u32 }).collect();
        // Coarse enough for ties, and better than chance.
        let prediction = |i: usize| {
            let right = if task == Task::Binary { labels[i] == 1 } else { labels[i / width] as usize == i % width };
            let lift = if right { 32 } else { 0 };
            T::of(f64::from((bits(2, i) % 96 + lift) / 2) / 64.0)
        };
        let offset = T::of(if task == Task::Regression { 1000.0 } else { 0.0 });
        Self {
            task,
            predictions: (0..rows * width).map(|i| prediction(i) + offset).collect(),
            target: (0..rows * width).map(|i| unit(3, i) + offset).collect(),
            losses: (0..rows).map(|i| unit(4, i)).collect(),
            weights: (0..rows).map(|i| T::of(f64::from(bits(5, i) % 4))).collect(),
            labels,
        }
    }

    pub fn unweighted(&self) -> Rows<'_, T> {
        let target = match self.task {
            Task::Regression => Target::Real(&self.target),
            _ => Target::Index(&self.labels),
        };
        Rows::new(&self.predictions, width(self.task), target).unwrap().with_losses(&self.losses).unwrap()
    }

    pub fn weighted(&self) -> Rows<'_, T> {
        self.unweighted().with_weights(&self.weights).unwrap()
    }

    /// The rows, each as often as it weighs.
    pub fn repeated(&self) -> Self {
        let width = width(self.task);
        let times = |row: usize| self.weights[row].widen() as usize;
        let rows = (0..self.labels.len()).flat_map(|row| vec![row; times(row)]);
        let mut all = Self {
            predictions: vec![],
            labels: vec![],
            target: vec![],
            losses: vec![],
            weights: vec![],
            task: self.task,
        };
        for row in rows {
            all.predictions.extend_from_slice(&self.predictions[row * width..(row + 1) * width]);
            all.target.extend_from_slice(&self.target[row * width..(row + 1) * width]);
            all.labels.push(self.labels[row]);
            all.losses.push(self.losses[row]);
            all.weights.push(T::one());
        }
        all
    }
}

pub type Boxed<T> = Box<dyn Metric<T>>;

/// Every metric that can score rows of a task.
pub fn plain<T: Scalar + 'static>(task: Task) -> Result<Vec<Boxed<T>>, Error> {
    let f1 = ClassScore::F1(Average::Macro);
    let (k, classes) = (width(task), width(task).max(2));
    Ok(match task {
        Task::Binary => vec![
            Box::new(MeanLoss::default()),
            Box::new(Accuracy::binary(0.5)?),
            Box::new(LogLoss::default()),
            Box::new(FromLogits::<T, _>::new(Brier::default())),
            Box::new(ConfusionMatrix::binary(0.5, ClassScore::Matthews)?),
            Box::new(RocAuc::exact()),
            Box::new(RocAuc::binned(1 << 10)?),
            Box::new(AveragePrecision::exact()),
            Box::new(AveragePrecision::binned(1 << 10)?),
        ],
        Task::Multiclass => vec![
            Box::new(MeanLoss::default()),
            Box::new(Accuracy::multiclass()),
            Box::new(Accuracy::top(2)?),
            Box::new(FromLogits::<T, _>::new(LogLoss::default())),
            Box::new(ConfusionMatrix::multiclass(classes, f1)?),
            Box::new(OneVsRest::new(RocAuc::exact(), classes)?),
            Box::new(OneVsRest::new(RocAuc::binned(64)?, classes)?),
        ],
        Task::Regression => vec![
            Box::new(MeanLoss::default()),
            Box::new(Mse::default()),
            Box::new(Rmse::default()),
            Box::new(Mae::default()),
            Box::new(Mape::default()),
            Box::new(R2::new(k)?),
            Box::new(ExplainedVariance::new(k)?),
        ],
    })
}

/// Some that forget.
pub fn forgetful<T: Scalar + 'static>(task: Task) -> Result<Vec<Boxed<T>>, Error> {
    Ok(match task {
        Task::Binary => vec![
            Box::new(Windowed::new(RocAuc::exact(), 4, 25)?),
            Box::new(Windowed::new(Accuracy::binary(0.5)?, 1, 40)?),
            Box::new(Fading::new(RocAuc::binned(256)?, 0.99)?),
            Box::new(Fading::new(Windowed::new(LogLoss::default(), 3, 30)?, 0.9)?),
        ],
        Task::Multiclass => vec![
            Box::new(Windowed::new(ConfusionMatrix::multiclass(4, ClassScore::Matthews)?, 5, 13)?),
            Box::new(Fading::new(OneVsRest::new(AveragePrecision::exact(), 4)?, 0.95)?),
        ],
        Task::Regression => vec![
            Box::new(Windowed::new(R2::new(2)?, 10, 7)?),
            Box::new(Fading::new(R2::new(2)?, 0.98)?),
            Box::new(Fading::new(MeanLoss::default(), 1.0)?),
        ],
    })
}

pub fn close(what: &str, got: f64, want: f64, tolerance: f64) {
    assert!(
        (got - want).abs() <= tolerance * (1.0 + want.abs()) || got == want || got.is_nan() && want.is_nan(),
        "{what}: got {got}, want {want}"
    );
}

pub fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
