use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use arrow_select::nullif::nullif;
use arrow_select::take::take;
use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Error};

use crate::{Layout, Place, Refused, View};

/// The columns of a record batch that a layout reads; from [`Layout::decode`].
#[derive(Clone, Debug)]
pub struct Records {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Records {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl Layout {
    /// Takes the columns that are read from a record batch, and unfolds dictionaries; errors call its source by
    /// `source_name`.
    ///
    /// # Errors
    ///
    /// As those of [`locate`](Self::locate), or when a dictionary's keys point outside of it.
    pub fn decode(&self, source_name: &str, records: &RecordBatch) -> Result<Records, Error> {
        let places = self.locate(source_name, records.schema_ref())?;
        let column = |place: Place| {
            let value = place.value(records.column(place.column)).and_then(|value| unfolded(&value));
            let name = records.schema_ref().field(place.column).name();
            value.map_err(|error| Error::invalid(format!("{source_name}: column {name}"), error))
        };
        let columns = places.into_iter().map(column).collect::<Result<_, _>>()?;
        Ok(Records { columns, rows: records.num_rows() })
    }

    /// Appends some rows to a batch of the layout's [schema](Self::schema).
    ///
    /// # Errors
    ///
    /// When a row cannot be taken, which [`Refused::into_error`] explains; the batch is then empty.
    ///
    /// # Panics
    ///
    /// When there are no such rows, or the batch or the records are another layout's.
    pub fn append_batch<T: Scalar>(
        &self,
        records: &Records,
        rows: Range<usize>,
        batch: &mut Batch<T>,
    ) -> Result<(), Refused> {
        let view = |read: usize| View::Array { array: &*records.columns[read], nanoseconds: None, rows: rows.clone() };
        batch.append(rows.len(), |columns| self.append(rows.len(), view, columns))
    }
}

impl Place {
    /// What is at this place in a column, of which all leaves or those that are [needed](Self::leaves) are there. Where a
    /// struct on the way is null, so is what is inside.
    ///
    /// # Errors
    ///
    /// When a struct on the way is missing, as the column is of another type.
    pub fn value(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let mut value = ArrayRef::clone(column);
        for name in &self.outside[1..] {
            let other = || ArrowError::SchemaError(format!("there is no struct with a field {name}"));
            let outer = value.as_struct_opt().ok_or_else(other)?;
            let inner = outer.column_by_name(name).ok_or_else(other)?;
            value = match outer.nulls().filter(|nulls| nulls.null_count() > 0) {
                Some(nulls) => nullif(inner, &BooleanArray::new(!nulls.inner(), None))?,
                None => ArrayRef::clone(inner),
            };
        }
        Ok(value)
    }
}

/// The values that a dictionary's keys stand for; other arrays as they are.
pub(crate) fn unfolded(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) => take(dictionary.values().as_ref(), dictionary.keys(), None),
        None => Ok(ArrayRef::clone(array)),
    }
}
