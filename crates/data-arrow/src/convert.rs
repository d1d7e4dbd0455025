//! From decoded arrays to the columns of a batch.

mod binary;
mod exact;
mod index;
mod list;
mod plain;
mod real;
mod text;

use std::fmt;
use std::ops::Range;

use arrow_array::Array;
use arrow_schema::DataType;
use tidemill_data::tensor::Scalar;
use tidemill_data::{Column, Error};

use crate::Layout;
use crate::target::Target;

/// Rows of a column as a table has them: of a type that the one which a [`Layout`] [reads](Layout::reads) holds, and of
/// parts of columns, [what is there](crate::Place::value).
#[derive(Clone)]
pub enum View<'a> {
    /// Some rows of an array; texts may be in any of arrow's forms.
    Array {
        /// The array.
        array: &'a dyn Array,
        /// For timestamps of 96 bits, which `array` has to the millisecond: the nanoseconds, as far as 64 bits hold
        /// them.
        nanoseconds: Option<&'a dyn Array>,
        /// Which rows.
        rows: Range<usize>,
    },
    /// Values of a number type of 32 or 64 bits, as files have them; zero where there is none.
    Plain {
        /// The values in little-endian order.
        bytes: &'a [u8],
        /// Their type.
        data_type: &'a DataType,
        /// Whether each row has no value, unless all have one.
        nulls: Option<&'a [bool]>,
    },
}

impl View<'_> {
    /// How many rows there are, of numbers.
    fn rows(&self) -> usize {
        match self {
            Self::Array { rows, .. } => rows.len(),
            Self::Plain { bytes, data_type, .. } => bytes.len() / data_type.primitive_width().unwrap_or(1),
        }
    }

    /// The first of the rows that has no value, counted from the first one.
    fn first_null(&self) -> Option<usize> {
        match self {
            Self::Array { array, rows, .. } => first_null(*array, rows.clone()).map(|row| row - rows.start),
            Self::Plain { nulls, .. } => nulls.and_then(|nulls| nulls.iter().position(|&null| null)),
        }
    }

    /// Calls `is_null` with each of the rows that has no value, counted from the first one.
    fn each_null(&self, is_null: impl FnMut(usize)) {
        match self {
            Self::Array { array, rows, .. } => {
                let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
                let null = |row: &usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(rows.start + row));
                (0..rows.len()).filter(null).for_each(is_null);
            }
            Self::Plain { nulls, .. } => {
                let nulls = nulls.iter().flat_map(|nulls| nulls.iter().enumerate());
                nulls.filter(|(_, null)| **null).map(|(row, _)| row).for_each(is_null);
            }
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
            Self::Plain { bytes, data_type, nulls } => {
                let width = bytes.len() / all;
                let nulls = nulls.map(|nulls| &nulls[rows.clone()]);
                Self::Plain { bytes: &bytes[rows.start * width..rows.end * width], data_type, nulls }
            }
        }
    }
}

/// Why a row cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The column, among [`Layout::reads`].
    pub read: usize,
    /// Among the rows that were to be appended.
    pub row: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no value, and no way to say so.
    Null,
    /// There is no value inside a list.
    NullInside,
    /// A list has more items than there is room for: how many, and for how many.
    TooLong {
        /// Items of the list.
        items: usize,
        /// Items that there is room for.
        width: usize,
    },
    /// Bytes are no UTF-8.
    NotUtf8,
    /// There is no value where the layout says that there is.
    NotDeclaredNull,
    /// An index is not below the cardinality: which, and what is expected.
    OutOfRange(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => write!(f, "null, expected a value"),
            Self::NullInside => {
                write!(f, "a list with a null inside, expected values alone, or a choice of what stands in for nulls")
            }
            Self::TooLong { items, width } => {
                write!(f, "a list of {items}, expected {width} or fewer, or to cut lists")
            }
            Self::NotUtf8 => write!(f, "bytes that are no UTF-8"),
            Self::NotDeclaredNull => write!(f, "null where there are no nulls"),
            Self::OutOfRange(problem) => write!(f, "{problem}"),
        }
    }
}

impl Refused {
    /// The error to return, when the rows began with row `first` of the source.
    pub fn into_error(self, layout: &Layout, source_name: &str, first: u64) -> Error {
        let (column, row) = (&layout.reads()[self.read].name, first + self.row as u64);
        let invalid = |problem| Error::invalid(format!("{source_name}, column {column}, row {row}"), problem);
        match self.problem {
            Problem::Null => Error::Null { column: column.clone(), row },
            Problem::NotDeclaredNull => invalid("null, the schema says that the column has no nulls".into()),
            problem => invalid(problem.to_string()),
        }
    }
}

impl Layout {
    /// Appends `rows` decoded rows to the columns of a batch; `view` gives those of each column that is
    /// [read](Self::reads), and must do so quickly, as it is asked again and again.
    ///
    /// # Errors
    ///
    /// When a row cannot be taken; the columns are then of unequal lengths.
    ///
    /// # Panics
    ///
    /// When the columns are not of the layout's [schema](Self::schema), or a view is of another type than what it is
    /// read as.
    pub fn append<'a, T: Scalar>(
        &self,
        rows: usize,
        view: impl Fn(usize) -> View<'a>,
        columns: &mut [Column<T>],
    ) -> Result<(), Refused> {
        for (read, declared) in self.reads.iter().enumerate() {
            if !declared.nullable {
                let refuse = |row| Refused { read, row, problem: Problem::NotDeclaredNull };
                view(read).first_null().map_or(Ok(()), |row| Err(refuse(row)))?;
            }
        }
        for (target, column) in self.targets.iter().zip(columns) {
            match (target, column) {
                (Target::Reals(reads), Column::Real { values, nulls, digits, .. }) => {
                    real::append_block(reads, rows, &view, values, nulls);
                    if let [read] = reads[..]
                        && digits.may_be_kept::<T>()
                    {
                        exact::append(&view(read), values, digits);
                    }
                }
                (Target::List(read), Column::Real { values, nulls, width, .. }) => {
                    let refuse = |row| Refused { read: *read, row, problem: Problem::NullInside };
                    real::append_list(view(*read), *width, values, nulls).map_err(refuse)?;
                }
                (Target::Index { read, cardinality }, Column::Index { values }) => {
                    let refuse = |(row, problem)| Refused { read: *read, row, problem };
                    index::append(view(*read), *cardinality, values).map_err(refuse)?;
                }
                (Target::Text(read), Column::Text { bytes, ends, nulls }) => {
                    text::append(view(*read), bytes, ends, nulls);
                }
                (Target::Chosen { read, list, nulls }, column) => {
                    let refuse = |(row, problem)| Refused { read: *read, row, problem };
                    let lists = list::Lists { inside: &self.reads[*read].inside, list, nulls: *nulls };
                    lists.append(view(*read), column).map_err(refuse)?;
                }
                (Target::Binary { read, how, .. }, column) => {
                    let refuse = |row| Refused { read: *read, row, problem: Problem::NotUtf8 };
                    binary::append(view(*read), how, column).map_err(refuse)?;
                }
                _ => unreachable!("the batch's columns are of the layout's kinds"),
            }
        }
        Ok(())
    }
}

/// The first of some rows that has no value.
fn first_null(array: &dyn Array, mut rows: Range<usize>) -> Option<usize> {
    // An array of nothing but nulls keeps no record of them.
    if array.null_count() == 0 && *array.data_type() != DataType::Null {
        return None;
    }
    array.logical_nulls().and_then(|nulls| rows.find(|&row| nulls.is_null(row)))
}
