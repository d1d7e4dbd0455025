//! Training throughput: what a user gets of models, sources, strategies and engines through the facade, on workloads
//! that other frameworks can be given too. This crate measures; it judges nothing and knows no thresholds.
//!
//! | workload | model | loss | batch | rows |
//! |---|---|---|---|---|
//! | `seed` | 10-10-1 | binary cross-entropy | 32 | 100,000 |
//! | `mlp` | 784-512-512-10 | softmax cross-entropy | 128 | 12,800 |
//! | `wide` | 28-256-256-1 | binary cross-entropy | 1024 | 102,400 |
//!
//! All are in `f32`, with ReLU between layers, trained by Adam on minibatches in order.
//!
//! The binary is run by `cargo xtask bench`; the benchmarks of single parts by `cargo bench -p tidemill-benches`.

mod measure;
mod options;
mod workload;

pub use measure::{Measurement, Setup};
pub use options::Options;
pub use workload::{Goal, Workload};
