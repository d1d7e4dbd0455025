//! Batch or online? The same network trained in several ways on the same rows, and what came of it.
//!
//! [`results`] is the record of a comparison, kept as `results.json`. Everything else only reads it: [`summary`] takes
//! medians over seeds, [`verdict`] says in plain words which way was worth it, [`table`] prints, [`report`] writes one
//! self-contained HTML page, [`curves`] flattens the curves into columns.
//!
//! [`distributed`] compares processes, threads and ranks over MPI in the same manner; [`launch`] starts ranks, again where
//! they fall.
//!
//! [`import`] makes Parquet of CSV and Arrow IPC. [`derived`] keeps files made from others true to what they were made from.
//!
//! [`folder`] keeps two comparisons out of one folder, [`inputs`] notices when data is replaced while one goes on.
//!
//! [`inspect`] looks at a file and says how to train on it. [`tasks`] prepares a comparison, [`compare`] runs it, each [`run`] in a process of its own.

mod any_path;
mod child;
pub mod columns;
pub mod compare;
pub mod curves;
pub mod derived;
pub mod distributed;
mod error;
pub mod fault;
pub mod folder;
mod format;
pub mod import;
pub mod inputs;
pub mod inspect;
pub mod launch;
mod machine;
mod markup;
mod outputs;
mod plot;
pub mod printable;
mod progress;
pub mod report;
pub mod results;
pub mod rows;
pub mod run;
pub mod say;
pub mod signals;
pub mod spec;
pub mod summary;
pub mod table;
pub mod tasks;
pub mod verdict;

pub use error::Error;
