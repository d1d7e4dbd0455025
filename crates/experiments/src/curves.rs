//! The curves of all runs as flat columns of equal length, for whoever writes them to a file.

use crate::results::Results;

/// One row a point of a curve, in the order of the runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Name of the strategy.
    pub strategy: Vec<String>,
    /// Seed of the run.
    pub seed: Vec<u64>,
    /// Rows trained on so far.
    pub rows_trained: Vec<u64>,
    /// Rows of the stream seen so far.
    pub position: Vec<u64>,
    /// Seconds of training so far.
    pub seconds: Vec<f64>,
    /// Loss on the held-out rows.
    pub loss: Vec<f64>,
    /// Score on the held-out rows.
    pub score: Vec<f64>,
}

/// The curves of all runs, one behind the other.
pub fn curves(results: &Results) -> Curves {
    let mut columns = Curves::default();
    for run in &results.runs {
        for point in &run.curve {
            columns.strategy.push(run.strategy.clone());
            columns.seed.push(run.seed);
            columns.rows_trained.push(point.rows_trained);
            columns.position.push(point.position);
            columns.seconds.push(point.seconds);
            columns.loss.push(point.loss);
            columns.score.push(point.score);
        }
    }
    columns
}
