use std::path::PathBuf;

/// What can go wrong while training, evaluating, saving and loading.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data.
    #[error(transparent)]
    Data(#[from] tidemill_data::Error),
    /// The model.
    #[error(transparent)]
    Graph(#[from] tidemill_autograd::Error),
    /// The optimizer's settings.
    #[error(transparent)]
    Optimizer(#[from] tidemill_optim::Error),
    /// A metric, or its saved state.
    #[error(transparent)]
    Metric(#[from] tidemill_metrics::Error),
    /// A setting of a strategy, an engine or a callback.
    #[error("{what}: {problem}")]
    Setting {
        /// The setting.
        what: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The loss is no longer a number. Nothing was updated with it.
    #[error("step {step}: the loss of row {row} of the batch is {loss}; {cause}")]
    NonFiniteLoss {
        /// The step, counted from zero.
        step: u64,
        /// The row within the batch.
        row: usize,
        /// The loss.
        loss: f64,
        /// What is known of why, and what to do.
        cause: String,
    },
    /// A value that cannot be computed with: a target outside of what its loss is defined for, a category that the model
    /// does not have, a weight that is negative or not finite.
    #[error("{what}: column {column} is {value} in row {row}; expected {expected}")]
    Value {
        /// The loss, the model's input, or the weights.
        what: String,
        /// The column of the source.
        column: String,
        /// The row, counted from zero: of the rows in memory in batch training, else of the epoch.
        row: u64,
        /// What it holds.
        value: String,
        /// What it should.
        expected: String,
    },
    /// Training has left numbers that are not finite. The state is not to be used; go on from an earlier checkpoint.
    #[error(
        "after step {step}: {what} is {value}; training has diverged: lower the learning rate, clip the gradient or \
         standardise the features"
    )]
    Diverged {
        /// Steps taken.
        step: u64,
        /// Which number: of which parameter, or of the optimizer's memory.
        what: String,
        /// What it is.
        value: f64,
    },
    /// Another rank is gone, late, or not as this one. The state is that of the last completed step.
    #[error("step {step}: {source}")]
    Ranks {
        /// The step, counted from zero.
        step: u64,
        /// Which rank, and why.
        source: tidemill_collective::Error,
    },
    /// Another rank was lost while parameters were exchanged. The state here is of no use: it is neither saved nor trained.
    #[error("step {step}: {source}; the state was being exchanged and is lost here: resume from the last checkpoint")]
    StateLost {
        /// The step, counted from zero.
        step: u64,
        /// Which rank, and why.
        source: Box<tidemill_collective::Error>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a checkpoint, or another model's.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    /// An [`Error::Setting`].
    pub(crate) fn setting(what: impl ToString, problem: impl ToString) -> Self {
        Self::Setting { what: what.to_string(), problem: problem.to_string() }
    }
}
