//! From decoded arrays to the columns of a batch.

mod index;
mod real;
mod text;

use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use tidemill_data::Column;
use tidemill_data::tensor::Scalar;

use crate::layout::{Layout, Target};

/// Rows of a column, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub(crate) array: ArrayRef,
    /// For timestamps of 96 bits, which `array` has to the microsecond: the nanoseconds, as far as 64 bits hold them.
    pub(crate) nanoseconds: Option<ArrayRef>,
}

/// Why a row cannot be taken.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Among [`Layout::reads`].
    pub(crate) read: usize,
    /// Among the decoded rows.
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

/// Appends decoded rows to the columns of a batch.
pub(crate) fn append<T: Scalar>(
    layout: &Layout,
    decoded: &[Decoded],
    rows: Range<usize>,
    columns: &mut [Column<T>],
) -> Result<(), Refused> {
    for (read, (declared, found)) in layout.reads.iter().zip(decoded).enumerate() {
        if !declared.nullable {
            let refuse = |row| Refused { read, row, problem: Problem::NotDeclaredNull };
            first_null(found.array.as_ref(), rows.clone()).map_or(Ok(()), |row| Err(refuse(row)))?;
        }
    }
    for (target, column) in layout.targets.iter().zip(columns) {
        match (target, column) {
            (Target::Reals(reads), Column::Real { values, nulls, .. }) => {
                real::append_block(reads, decoded, rows.clone(), values, nulls);
            }
            (Target::List(read), Column::Real { values, nulls, width }) => {
                let refuse = |row| Refused { read: *read, row, problem: Problem::NullInside };
                real::append_list(&decoded[*read], rows.clone(), *width, values, nulls).map_err(refuse)?;
            }
            (Target::Index { read, cardinality }, Column::Index { values }) => {
                let refuse = |(row, problem)| Refused { read: *read, row, problem };
                let array = decoded[*read].array.as_ref();
                index::append(array, rows.clone(), *cardinality, values).map_err(refuse)?;
            }
            (Target::Text(read), Column::Text { bytes, ends, nulls }) => {
                text::append(decoded[*read].array.as_ref(), rows.clone(), bytes, ends, nulls);
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
