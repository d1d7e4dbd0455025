use serde::{Deserialize, Serialize};

use super::Scores;

/// What is learnt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What is predicted.
    pub kind: TaskKind,
    /// Name of the target column.
    pub target: String,
    /// What the model is to tell, as the end of a sentence: `whether a flight arrives more than 15 minutes late`.
    pub description: String,
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// One of two classes.
    Binary,
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

impl TaskKind {
    /// The metrics of such a task: log loss and ROC AUC; log loss and accuracy; RMSE and R2.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_experiments::results::TaskKind;
    ///
    /// let metrics = TaskKind::Binary.metrics(Some(0.45));
    /// assert_eq!((metrics.loss.name.as_str(), metrics.score.name.as_str()), ("log loss", "ROC AUC"));
    /// ```
    pub fn metrics(self, target_loss: Option<f64>) -> Metrics {
        let (loss, unit, score) = match self {
            Self::Binary => ("log loss", "nats per row", "ROC AUC"),
            Self::Multiclass => ("log loss", "nats per row", "accuracy"),
            Self::Regression => ("RMSE", "", "R2"),
        };
        Metrics {
            loss: Metric { name: loss.into(), unit: unit.into(), direction: Direction::Lower },
            score: Metric { name: score.into(), unit: String::new(), direction: Direction::Higher },
            target_loss: target_loss.filter(|loss| loss.is_finite()),
        }
    }
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// What training makes small.
    pub loss: Metric,
    /// What people look at.
    pub score: Metric,
    /// The loss on the held-out rows whose first reaching is timed.
    pub target_loss: Option<f64>,
}

/// The name of a metric and which way it is better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Name, such as `log loss`.
    pub name: String,
    /// Unit, such as `minutes`; empty when there is none.
    #[serde(default)]
    pub unit: String,
    /// Which way is better.
    pub direction: Direction,
}

/// Which way a number is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Lower is better.
    Lower,
    /// Higher is better.
    Higher,
}

impl Direction {
    /// Whether `a` is better than `b`.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Lower => a < b,
            Self::Higher => a > b,
        }
    }
}

/// The rows: an ordered stream whose last part is held out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// What the data is called.
    pub name: String,
    /// Rows in all.
    pub rows: u64,
    /// Rows to train on, the first of the stream.
    pub training_rows: u64,
    /// Rows held out, the last of the stream.
    pub held_out_rows: u64,
    /// Columns that the model sees.
    pub features: u64,
    /// What a segment is: `month`, `tenth of the rows`.
    pub segment: String,
    /// Where the data comes from.
    pub source: String,
}

/// The machine that ran the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Logical cores.
    pub cores: u64,
    /// Memory; none where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// Operating system.
    pub os: String,
}

/// The model and its hyper-parameters, the same for every strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The model in a line, such as `64-32-1, ReLU`.
    pub model: String,
    /// Parameters of the model.
    pub parameters: Option<u64>,
    /// The optimizer in a line, such as `Adam, lr 0.001`.
    pub optimizer: String,
    /// Rows in a step.
    pub batch_size: u64,
    /// Passes over the training rows, where a strategy makes several.
    pub epochs: u64,
    /// The seeds of each strategy's runs.
    pub seeds: Vec<u64>,
    /// Whether this was a short trial on part of the data or with less training.
    pub quick: bool,
    /// Further settings, shown as they are.
    #[serde(default)]
    pub more: Vec<Setting>,
}

/// A setting shown in the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What is set.
    pub name: String,
    /// To what.
    pub value: String,
}

/// A way to train.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategy {
    /// Name in files and on the command line, such as `batch`.
    pub name: String,
    /// Name in tables, plots and sentences, such as `Batch`: best under 25 characters and without commas.
    pub label: String,
    /// One sentence on what it does.
    pub description: String,
}

/// A prediction that learns nothing from the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// What is predicted, in few words: `Always the training mean`.
    pub label: String,
    /// How well it predicts the held-out rows.
    pub held_out: Scores,
}

impl Metrics {
    /// The target loss as text in tables and plots.
    pub(crate) fn target_text(&self) -> Option<String> {
        self.target_loss.filter(|loss| loss.is_finite()).map(crate::format::decimal)
    }
}
