//! Arrow IPC files and streams as a source.

mod builder;
mod decode;
mod dictionaries;
mod footer;
mod message;
mod unread;
mod views;

use tidemill_data::Stream;

use crate::ArrowSupply;

pub use builder::IpcBuilder;
pub(crate) use footer::open;
pub use message::check_schema_message;

/// Rows of Arrow IPC files, or of a stream of Arrow IPC; made by [`IpcBuilder`]. Errors name file, record batch and
/// column.
pub type IpcSource<T> = Stream<T, ArrowSupply>;
