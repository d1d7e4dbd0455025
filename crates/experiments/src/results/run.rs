use serde::{Deserialize, Serialize};

use super::number;

/// One strategy with one seed, in a process of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Name of the strategy.
    pub strategy: String,
    /// Seed of initialization, shuffling and dropout.
    pub seed: u64,
    /// Of the data and settings that it was made from; runs of one comparison have the same.
    #[serde(default)]
    pub fingerprint: String,
    /// Worker threads.
    pub threads: u64,
    /// How the held-out rows were predicted while training went on.
    pub curve: Vec<Point>,
    /// How well every stretch of the stream was predicted.
    pub segments: Vec<Segment>,
    /// How well the final model predicts the held-out rows.
    pub held_out: Scores,
    /// How well rows were predicted before they were trained on; none when no rows were.
    pub prequential: Option<Scores>,
    /// What it took to reach the target loss on the held-out rows; none when it was not reached.
    pub to_target: Option<ToTarget>,
    /// Rows trained on in all, a row counted every time.
    pub rows_trained: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Seconds spent on training, evaluation left out.
    #[serde(with = "number")]
    pub training_seconds: f64,
    /// Seconds of these that were spent on getting rows from files.
    #[serde(with = "number", default)]
    pub waiting_seconds: f64,
    /// Seconds of the whole run, with reading and evaluation.
    #[serde(with = "number")]
    pub total_seconds: f64,
    /// Rows trained on in a second of training.
    #[serde(with = "number")]
    pub rows_per_second: f64,
    /// Most memory the process has held; none where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// How memory was planned for reading, stage by stage, in the phase that took most.
    #[serde(default)]
    pub memory_plan: Vec<Planned>,
    /// What a reader should know about this run.
    #[serde(default)]
    pub note: Option<String>,
}

/// What one stage of reading may hold in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The stage, such as `parquet`.
    pub stage: String,
    /// How it was planned, such as `1 row group in flight`.
    pub detail: String,
    /// Bytes at most.
    pub bytes: u64,
}

/// The state of a run at one moment of training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Rows trained on so far, a row counted every time.
    pub rows_trained: u64,
    /// Rows of the stream seen so far, a row counted once.
    pub position: u64,
    /// Seconds of training so far, evaluation left out.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Loss on the held-out rows.
    #[serde(with = "number")]
    pub loss: f64,
    /// Score on the held-out rows.
    #[serde(with = "number")]
    pub score: f64,
}

/// A stretch of the stream, such as a month, and how well it was predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Short name, such as `Jan`.
    pub label: String,
    /// Position of its first row in the stream.
    pub first_row: u64,
    /// How many rows it has.
    pub rows: u64,
    /// Loss on its rows.
    #[serde(with = "number")]
    pub loss: f64,
    /// Score on its rows.
    #[serde(with = "number")]
    pub score: f64,
    /// Which model predicted it.
    pub state: ModelState,
}

/// Which model a prediction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// The model as it was before it was trained on the rows.
    Prequential,
    /// The final model, on rows that it was never trained on.
    HeldOut,
}

/// How well rows were predicted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// How many rows.
    pub rows: u64,
    /// The loss, as the metrics name it.
    #[serde(with = "number")]
    pub loss: f64,
    /// The score, as the metrics name it.
    #[serde(with = "number")]
    pub score: f64,
    /// How far the score may be from that of all rows; 0 where it is exact. A score of which too little is known is absent.
    #[serde(with = "number", default)]
    pub score_error: f64,
}

/// What it took to reach the target loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToTarget {
    /// Rows trained on.
    pub rows: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Seconds of training.
    #[serde(with = "number")]
    pub seconds: f64,
}
