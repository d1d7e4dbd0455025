//! Tidemill trains neural networks in two ways from one model definition: **batch training**, with all data in memory
//! and many epochs, and **online training**, on a stream of chunks in bounded memory. Re-exports, and no logic.
//!
//! | crate | what is there |
//! |---|---|
//! | [`tensor`] | numbers and where they lie |
//! | [`autograd`] | graphs, compiled programs, gradients |
//! | [`layers`], [`losses`] | what models are written in |
//! | [`optim`] | optimizers, schedules, regularisation |
//! | [`metrics`] | scores over a stream, drift detection |
//! | [`data`], [`arrow`], [`parquet`] | where rows come from |
//! | [`collective`], [`mpi`] | how workers add up, inside one process and across machines |
//! | [`strategies`] | how training goes |
//!
//! [`prelude`] has the names of everyday use.

pub use tidemill_autograd as autograd;
pub use tidemill_collective as collective;
pub use tidemill_collective_mpi as mpi;
pub use tidemill_data as data;
pub use tidemill_data_arrow as arrow;
pub use tidemill_data_parquet as parquet;
pub use tidemill_layers as layers;
pub use tidemill_losses as losses;
pub use tidemill_metrics as metrics;
pub use tidemill_optim as optim;
pub use tidemill_strategies as strategies;
pub use tidemill_tensor as tensor;

pub mod prelude {
    //! The names of everyday use: `use tidemill::prelude::*;`.

    pub use tidemill_autograd::{Graph, Head, Program, Var};
    pub use tidemill_data::{
        Cursor, Encoder, Encoding, Interrupt, MemorySource, Missing, Order, Predicate, Source, SourceExt, Split,
        channel,
    };
    pub use tidemill_data_arrow::{CsvBuilder, IpcBuilder};
    pub use tidemill_data_parquet::{ParquetSource, ParquetWriter, ValueType, Values};
    pub use tidemill_layers::{
        Activation, AvgPool2d, BatchNorm, Conv1d, Conv2d, Dense, Dropout, Embedding, Features, Flatten,
        GlobalAveragePool2d, Layer, LayerNorm, MaxPool2d, Sequential,
    };
    pub use tidemill_losses::{
        BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Huber, Loss, MeanAbsoluteError, MeanSquaredError,
        SoftmaxCrossEntropy,
    };
    pub use tidemill_metrics::{Accuracy, LogLoss, MeanLoss, Metric, R2, Rmse, RocAuc, Summary};
    pub use tidemill_optim::{Compose, Schedule, adagrad, adam, adamw, rmsprop, sgd};
    pub use tidemill_strategies::{
        Auto, Batch, Callback, Checkpoints, Control, DataParallel, Distributed, EarlyStopping, Event, GradientSync,
        History, Hogwild, Metrics, Model, Online, Serial, State, Timeline, Trainer, load_parameters, on_event,
        saved_encoder,
    };
}

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The guides' examples, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/batch.md")]
pub struct BatchGuide;

/// As above.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/online.md")]
pub struct OnlineGuide;

/// As above.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/distributed.md")]
pub struct DistributedGuide;
