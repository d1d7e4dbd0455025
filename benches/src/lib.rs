//! Training throughput: what a user gets of models, sources, strategies and engines through the facade, on workloads
//! that other frameworks can be given too. This crate measures; it judges nothing and knows no thresholds.
//!
//! | workload | model | loss | batch | rows |
//! |---|---|---|---|---|
//! | `seed` | 10-10-1 | binary cross-entropy | 32 | 100,000 |
//! | `mlp` | 784-512-512-10 | softmax cross-entropy | 128 | 12,800 |
//! | `wide` | 28-256-256-1 | binary cross-entropy | 1024 | 102,400 |
//! | `cnn` | 1×28×28, conv 3×3 (16), pool 2, conv 3×3 (32), pool 2, 10 | softmax cross-entropy | 64 | 3,200 |
//! | `ctr` | 13 numbers, 26 categories of 100,000 each with vectors of width 8; 64-32-1 | binary cross-entropy | 1024 | 200,000 |
//! | `online1` | 28-1 | binary cross-entropy | 1 | 400,000 |
//! | `stream` | that of `wide` | | 1024 | 2,200,000 |
//!
//! All are in `f32`, with ReLU between layers, trained by Adam on minibatches in order. `online1` is logistic regression
//! by plain gradient descent, one row at a time, each predicted before it is learned; from memory and from Parquet.
//! `ctr` has rows in the shape of click logs: categories follow Zipf's law with the exponent 1.2, in columns of as many
//! categories as `--categories` says.
//! `stream` is one pass over a Parquet file in the shape of the HIGGS data set, within a byte budget, to be held against
//! the same pass over rows in memory, and against decoding alone.
//!
//! A [`Figure`] is one thing to measure. [`Apart`] measures it in a process of its own, and a [`Comparison`] in turn with
//! the peers: scripts of benches/peers, which measure the same with other frameworks.
//!
//! The binary is run by `cargo xtask bench`; the benchmarks of single parts by `cargo bench -p tidemill-benches`.

mod answer;
mod apart;
mod clicks;
mod command;
mod comparison;
mod engine;
mod figure;
mod found;
mod higgs;
mod machine;
mod measure;
mod model;
mod online;
mod options;
mod peak;
mod peers;
mod progress;
mod record;
mod stream;
mod table;
mod workload;

pub use answer::Answer;
pub use apart::Apart;
pub use command::run;
pub use comparison::{Comparison, Rival, Side, Trouble};
pub use engine::{Chosen, engine};
pub use figure::{Figure, Mode};
pub use found::{Found, Pass, Repeated};
pub use machine::Machine;
pub use measure::Setup;
pub use model::Model;
pub use online::OneByOne;
pub use options::Options;
pub use stream::Streaming;
pub use table::Table;
pub use workload::{Goal, Workload};
