//! From decoded arrays to the columns of a batch.

mod index;
mod plain;
mod real;
mod text;

use std::ops::Range;

use arrow_array::Array;
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use tidemill_data::Column;
use tidemill_data::tensor::Scalar;

use crate::layout::{Layout, Target};

/// Rows of a column, decoded.
#[derive(Clone)]
pub(crate) enum View<'a> {
    /// Some rows of an array.
    Array {
        array: &'a dyn Array,
        /// For timestamps of 96 bits, which `array` has to the microsecond: the nanoseconds, as far as 64 bits hold
        /// them.
        nanoseconds: Option<&'a dyn Array>,
        rows: Range<usize>,
    },
    /// Values as they are in the file, in little-endian order; none is null.
    Plain(&'a [u8]),
}

impl View<'_> {
    /// The first of the rows that has no value, counted from the first one.
    fn first_null(&self) -> Option<usize> {
        match self {
            Self::Array { array, rows, .. } => first_null(*array, rows.clone()).map(|row| row - rows.start),
            Self::Plain(_) => None,
        }
    }

    /// Which of the rows have no value.
    fn nulls(&self) -> Option<NullBuffer> {
        match self {
            Self::Array { array, rows, .. } => Some(array.logical_nulls()?.slice(rows.start, rows.len())),
            Self::Plain(_) => None,
        }
    }
}

impl<'a> View<'a> {
    /// Some of the rows, of which there are `all`.
    fn slice(self, rows: Range<usize>, all: usize) -> Self {
        match self {
            Self::Array { array, nanoseconds, rows: whole } => {
                Self::Array { array, nanoseconds, rows: whole.start + rows.start..whole.start + rows.end }
            }
            Self::Plain(bytes) => {
                let width = bytes.len() / all;
                Self::Plain(&bytes[rows.start * width..rows.end * width])
            }
        }
    }
}

/// Why a row cannot be taken.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Among [`Layout::reads`].
    pub(crate) read: usize,
    /// Among the rows that were to be appended.
    pub(crate) row: usize,
    pub(crate) problem: Problem,
}

/// What is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// There is no value, and no way to say so.
    Null,
    /// There is no value inside a list.
    NullInside,
    /// There is no value where the file's statistics or schema said that there is.
    NotDeclaredNull,
    /// An index is not below the cardinality.
    OutOfRange(String),
}

/// Appends `rows` decoded rows to the columns of a batch; `view` gives those of each column that is read.
pub(crate) fn append<'a, T: Scalar>(
    layout: &Layout,
    rows: usize,
    view: impl Fn(usize) -> View<'a>,
    columns: &mut [Column<T>],
) -> Result<(), Refused> {
    for (read, declared) in layout.reads.iter().enumerate() {
        if !declared.nullable {
            let refuse = |row| Refused { read, row, problem: Problem::NotDeclaredNull };
            view(read).first_null().map_or(Ok(()), |row| Err(refuse(row)))?;
        }
    }
    for (target, column) in layout.targets.iter().zip(columns) {
        match (target, column) {
            (Target::Reals(reads), Column::Real { values, nulls, .. }) => {
                real::append_block(layout, reads, rows, &view, values, nulls);
            }
            (Target::List(read), Column::Real { values, nulls, width }) => {
                let refuse = |row| Refused { read: *read, row, problem: Problem::NullInside };
                real::append_list(view(*read), *width, values, nulls).map_err(refuse)?;
            }
            (Target::Index { read, cardinality }, Column::Index { values }) => {
                let refuse = |(row, problem)| Refused { read: *read, row, problem };
                let data_type = &layout.reads[*read].data_type;
                index::append(view(*read), data_type, *cardinality, values).map_err(refuse)?;
            }
            (Target::Text(read), Column::Text { bytes, ends, nulls }) => {
                text::append(view(*read), bytes, ends, nulls);
            }
            _ => unreachable!("the batch's columns are of the layout's kinds"),
        }
    }
    Ok(())
}

/// The first of some rows that has no value.
fn first_null(array: &dyn Array, mut rows: Range<usize>) -> Option<usize> {
    // An array of nothing but nulls keeps no record of them.
    if array.null_count() == 0 && *array.data_type() != DataType::Null {
        return None;
    }
    array.logical_nulls().and_then(|nulls| rows.find(|&row| nulls.is_null(row)))
}
