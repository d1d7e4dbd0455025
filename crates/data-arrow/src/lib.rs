//! From arrow to batches: which columns of a table are wanted, and their rows as the columns of a
//! [`Batch`](tidemill_data::Batch).
//!
//! A program says with [`Columns`] what it wants. A [`Layout`] finds that in the schema of a file or a stream, refuses
//! what cannot serve, and [appends](Layout::append_batch) rows of record batches, or of single columns as a decoder has
//! them, to the buffers of a batch. This crate knows no file format, and does no reading.

mod all;
mod choice;
mod columns;
mod convert;
mod layout;
mod path;
mod records;
mod types;
mod wider;

pub use choice::{As, Choice, ListAs, NullItems, choices};
pub use columns::Columns;
pub use convert::{Problem, Refused, View};
pub use layout::{Layout, Read, missing_column, wrong_type};
pub use path::Place;
pub use records::Records;
pub use types::{Usable, decoded_type, type_name};
