//! From arrow to batches: which columns of a table are wanted, and their rows as the columns of a
//! [`Batch`](tidemill_data::Batch).
//!
//! A program says with [`Columns`] what it wants. A [`Layout`] finds that in the schema of a file or a stream, refuses
//! what cannot serve, and [appends](Layout::append_batch) rows of record batches, or of single columns as a decoder has
//! them, to the buffers of a batch. [`CsvBuilder`] and [`IpcBuilder`] make sources of CSV and Arrow IPC, from files, standard
//! input, pipes and sockets; as a [`Table`], they give all columns with the types that they have.

mod all;
mod choice;
mod columns;
mod compressed;
mod convert;
mod csv;
mod guard;
mod input;
mod ipc;
mod layout;
mod path;
mod pump;
mod records;
mod supply;
mod table;
mod target;
mod types;
mod unfold;
mod wider;

pub use choice::{As, Choice, ListAs, NullItems, choices};
pub use columns::Columns;
pub use compressed::decompressed;
pub use convert::{Problem, Refused, View};
pub use csv::{CsvBuilder, CsvHeader, CsvNote, CsvSource, CsvType, looks_like_csv};
pub use guard::{guarded, is_guarded};
pub use ipc::{IpcBuilder, IpcSource, check_schema_message};
pub use layout::{Layout, Read, missing_column, wrong_type};
pub use path::Place;
pub use records::Records;
pub use supply::ArrowSupply;
pub use table::Table;
pub use types::{Usable, decoded_type, type_name};
