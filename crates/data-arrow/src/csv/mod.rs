//! Comma-separated values as a source.

mod blocks;
mod builder;
mod cells;
mod decode;
mod fields;
mod guess;
mod likeness;
mod names;
mod numerals;
mod records;
mod sniff;
mod text;
mod values;

use tidemill_data::Stream;

use crate::ArrowSupply;

pub use builder::{CsvBuilder, CsvHeader, CsvType};
pub use names::CsvNote;
pub use sniff::looks_like_csv;

/// Rows of CSV files, or of a stream of CSV; made by [`CsvBuilder`].
///
/// A field without a text between its delimiters has no value; so have those texts that
/// [`nulls`](CsvBuilder::nulls) names. Errors name file, line and column.
pub type CsvSource<T> = Stream<T, ArrowSupply>;
