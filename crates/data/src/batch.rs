use std::ops::Range;
use std::sync::Arc;

use tidemill_tensor::Scalar;

use crate::{Kind, Role, Schema};

/// Which rows of a column have no value: one flag a row, or none at all while every row has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nulls {
    flags: Vec<bool>,
}

impl Nulls {
    /// Whether the row has no value.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        !self.flags.is_empty() && self.flags[row]
    }

    /// Whether any row has no value.
    pub fn any(&self) -> bool {
        self.flags.iter().any(|&null| null)
    }

    /// Says of the next rows, which follow `before` earlier ones, that they are null as `flags` tells.
    pub fn extend(&mut self, before: usize, flags: impl IntoIterator<Item = bool>) {
        self.flags.resize(before, false);
        self.flags.extend(flags);
    }

    /// Says of `rows` next rows, which follow `before` earlier ones, that they have values.
    pub fn extend_valid(&mut self, before: usize, rows: usize) {
        if !self.flags.is_empty() {
            self.flags.resize(before + rows, false);
        }
    }

    fn clear(&mut self) {
        self.flags.clear();
    }
}

/// One column of a [`Batch`].
#[derive(Clone, Debug, PartialEq)]
pub enum Column<T> {
    /// Real numbers.
    Real {
        /// Numbers a row.
        width: usize,
        /// `[B, width]`, row-major; zero where null.
        values: Vec<T>,
        /// Rows without a value.
        nulls: Nulls,
    },
    /// Categories.
    Index {
        /// `[B]`.
        values: Vec<u32>,
    },
    /// Texts.
    Text {
        /// All texts, UTF-8, one behind the other.
        bytes: Vec<u8>,
        /// Where each text ends.
        ends: Vec<usize>,
        /// Rows without a value; their text is empty.
        nulls: Nulls,
    },
}

impl<T: Scalar> Column<T> {
    fn new(kind: &Kind) -> Self {
        match *kind {
            Kind::Real { width } => Self::Real { width, values: Vec::new(), nulls: Nulls::default() },
            Kind::Index { .. } => Self::Index { values: Vec::new() },
            Kind::Text => Self::Text { bytes: Vec::new(), ends: Vec::new(), nulls: Nulls::default() },
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Real { values, nulls, .. } => {
                values.clear();
                nulls.clear();
            }
            Self::Index { values } => values.clear(),
            Self::Text { bytes, ends, nulls } => {
                bytes.clear();
                ends.clear();
                nulls.clear();
            }
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Real { width, values, .. } => values.len() / width,
            Self::Index { values } => values.len(),
            Self::Text { ends, .. } => ends.len(),
        }
    }

    /// Appends row `row` of `other`, a column of the same kind.
    ///
    /// # Panics
    ///
    /// When the kinds differ.
    pub fn push_row(&mut self, other: &Self, row: usize) {
        let before = self.rows();
        match (self, other) {
            (Self::Real { width, values, nulls }, Self::Real { values: from, nulls: absent, .. }) => {
                values.extend_from_slice(&from[row * *width..(row + 1) * *width]);
                copy_null(nulls, before, absent, row);
            }
            (Self::Index { values }, Self::Index { values: from }) => values.push(from[row]),
            (Self::Text { bytes, ends, nulls }, Self::Text { bytes: from, ends: stops, nulls: absent }) => {
                bytes.extend_from_slice(&from[text_range(stops, row)]);
                ends.push(bytes.len());
                copy_null(nulls, before, absent, row);
            }
            _ => panic!("columns of different kinds"),
        }
    }

    /// The text of a row; `None` when it is null.
    ///
    /// # Panics
    ///
    /// When this is no text column or has no such row.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text { bytes, ends, nulls } => (!nulls.is_null(row))
                .then(|| std::str::from_utf8(&bytes[text_range(ends, row)]).expect("text columns hold UTF-8")),
            _ => panic!("not a column of text"),
        }
    }
}

fn copy_null(nulls: &mut Nulls, before: usize, from: &Nulls, row: usize) {
    if from.is_null(row) {
        nulls.extend(before, [true]);
    } else {
        nulls.extend_valid(before, 1);
    }
}

fn text_range(ends: &[usize], row: usize) -> Range<usize> {
    let start = if row == 0 { 0 } else { ends[row - 1] };
    start..ends[row]
}

/// Rows that are trained on together: one buffer a column, filled in place and used again.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T> {
    schema: Arc<Schema>,
    columns: Vec<Column<T>>,
    rows: usize,
}

impl<T: Scalar> Batch<T> {
    /// An empty batch of a source's schema.
    pub fn new(schema: Arc<Schema>) -> Self {
        let columns = schema.fields.iter().map(|f| Column::new(&f.kind)).collect();
        Self { schema, columns, rows: 0 }
    }

    /// The columns' names, kinds and roles.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// How many rows it holds.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in the schema's order.
    pub fn columns(&self) -> &[Column<T>] {
        &self.columns
    }

    /// Drops the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        self.rows = 0;
    }

    /// Appends rows: `write` appends `rows` to each column.
    ///
    /// # Errors
    ///
    /// Those of `write`; the batch is then empty.
    ///
    /// # Panics
    ///
    /// When `write` appended another number of rows to a column.
    pub fn append<E>(&mut self, rows: usize, write: impl FnOnce(&mut [Column<T>]) -> Result<(), E>) -> Result<(), E> {
        if let Err(error) = write(&mut self.columns) {
            self.clear();
            return Err(error);
        }
        self.rows += rows;
        for (column, field) in self.columns.iter().zip(&self.schema.fields) {
            assert_eq!(column.rows(), self.rows, "rows of column {}", field.name);
        }
        Ok(())
    }

    /// Appends row `row` of a batch of the same schema.
    pub fn push_row(&mut self, other: &Self, row: usize) {
        for (to, from) in self.columns.iter_mut().zip(&other.columns) {
            to.push_row(from, row);
        }
        self.rows += 1;
    }

    /// The numbers of the real column at `column`, rows `[B, width]`.
    ///
    /// # Panics
    ///
    /// When the column is of another kind.
    pub fn reals(&self, column: usize) -> &[T] {
        match &self.columns[column] {
            Column::Real { values, .. } => values,
            _ => panic!("column {} is no real column", self.schema.fields[column].name),
        }
    }

    /// The categories of the index column at `column`, `[B]`.
    ///
    /// # Panics
    ///
    /// When the column is of another kind.
    pub fn indices(&self, column: usize) -> &[u32] {
        match &self.columns[column] {
            Column::Index { values } => values,
            _ => panic!("column {} is no index column", self.schema.fields[column].name),
        }
    }

    /// The rows' weights; `None` when every row weighs one.
    pub fn weights(&self) -> Option<&[T]> {
        self.schema.role(Role::Weight).map(|column| self.reals(column))
    }

    /// Bytes in use by the buffers.
    pub fn bytes(&self) -> usize {
        let bytes = |c: &Column<T>| match c {
            Column::Real { values, nulls, .. } => values.capacity() * size_of::<T>() + nulls.flags.capacity(),
            Column::Index { values } => values.capacity() * 4,
            Column::Text { bytes, ends, nulls } => bytes.capacity() + ends.capacity() * 8 + nulls.flags.capacity(),
        };
        self.columns.iter().map(bytes).sum()
    }
}
