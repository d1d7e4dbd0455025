use std::ops::Range;
use std::sync::Arc;

use tidemill_tensor::Scalar;

use crate::{Column, Role, Schema};

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
        let columns = schema.fields.iter().map(Column::new).collect();
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

    /// Drops the first rows.
    pub(crate) fn drop_front(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.drop_front(rows));
        self.rows -= rows;
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

    /// Appends consecutive rows of a batch of the same schema.
    pub fn push_rows(&mut self, other: &Self, rows: Range<usize>) {
        for (to, from) in self.columns.iter_mut().zip(&other.columns) {
            to.push_rows(from, rows.clone());
        }
        self.rows += rows.len();
    }

    /// Appends the rows of a batch of the same schema that are at `rows`, in that order.
    pub fn gather(&mut self, other: &Self, rows: &[usize]) {
        for (to, from) in self.columns.iter_mut().zip(&other.columns) {
            to.gather(from, rows);
        }
        self.rows += rows.len();
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
        self.columns.iter().map(Column::bytes).sum()
    }

    /// Bytes in use once the column has room for that many rows, with so many bytes of text, and with digits where
    /// `kept`.
    pub(crate) fn bytes_at(&self, column: usize, rows: usize, text: usize, kept: bool) -> usize {
        let nullable = self.schema.fields[column].nullable;
        self.bytes() - self.columns[column].bytes() + self.columns[column].bytes_at(rows, text, nullable, kept)
    }

    /// Gives every column room for that many rows, and no more; texts not counted.
    pub(crate) fn make_room(&mut self, rows: usize) {
        (0..self.columns.len())
            .for_each(|column| self.reserve_exact(column, rows, 0, self.columns[column].keeps_digits()));
    }

    /// Gives a column room for that many rows, with so many bytes of text, and with digits where `kept`.
    pub(crate) fn reserve_exact(&mut self, column: usize, rows: usize, text: usize, kept: bool) {
        self.columns[column].reserve_exact(rows, text, self.schema.fields[column].nullable, kept);
    }
}
