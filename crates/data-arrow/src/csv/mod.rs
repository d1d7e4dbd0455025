//! Comma-separated values as a source.

mod builder;
mod decode;
mod records;
mod text;

use tidemill_data::Stream;

use crate::ArrowSupply;

pub use builder::{CsvBuilder, CsvType};

/// Rows of CSV files, or of a stream of CSV; made by [`CsvBuilder`].
///
/// A field without a text between its commas has no value; so have those texts that
/// [`nulls`](CsvBuilder::nulls) names. Errors name file, line and column.
pub type CsvSource<T> = Stream<T, ArrowSupply>;
