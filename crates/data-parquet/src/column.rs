//! The columns of a row group while it is read: each decodes as far as it can, and no two need stop at the same row.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryViewArray};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use tidemill_data_arrow::{Place, View};

use crate::locate::Root;
use crate::plain::{Declined, PlainChunk, PlainPage, Scratch, Team, Ticket};

/// A column that arrow decodes.
pub(crate) struct ArrowColumn {
    place: Place,
    pub(crate) reader: ParquetRecordBatchReader,
    /// For timestamps of 96 bits, which `reader` has to the millisecond: the nanoseconds, as far as 64 bits hold them.
    pub(crate) nanoseconds: Option<ParquetRecordBatchReader>,
    decoded: Option<(ArrayRef, Option<ArrayRef>)>,
}

impl ArrowColumn {
    pub(crate) fn new(
        root: &Root,
        reader: ParquetRecordBatchReader,
        nanoseconds: Option<ParquetRecordBatchReader>,
    ) -> Self {
        Self { place: root.place.clone(), reader, nanoseconds, decoded: None }
    }

    /// Decodes the next rows in place of those decoded before.
    pub(crate) fn advance(&mut self, rows: usize) -> Result<(), ArrowError> {
        self.decoded = None;
        let place = &self.place;
        let value = |reader: &mut _| {
            let value = next_array(reader, rows).and_then(|column| place.value(&column))?;
            // Decoded as binary, they are checked here.
            let bytes = value.as_binary_view_opt().filter(|_| place.data_type == DataType::Utf8View).cloned();
            let texts = bytes.map(BinaryViewArray::to_string_view).transpose()?;
            Ok::<ArrayRef, ArrowError>(texts.map_or(value, |texts| Arc::new(texts)))
        };
        let array = value(&mut self.reader)?;
        let nanoseconds = self.nanoseconds.as_mut().map(value).transpose()?;
        self.decoded = Some((array, nanoseconds));
        Ok(())
    }

    /// The rows that were decoded last, in no more memory than they need.
    pub(crate) fn into_held(self) -> Held {
        let (mut array, mut nanoseconds) = self.decoded.expect("rows are decoded before they are held");
        drop((self.reader, self.nanoseconds));
        <ArrayRef as Array>::shrink_to_fit(&mut array);
        nanoseconds.iter_mut().for_each(<ArrayRef as Array>::shrink_to_fit);
        Held::Arrays(array, nanoseconds)
    }

    pub(crate) fn view(&self, rows: Range<usize>) -> View<'_> {
        let (array, nanoseconds) = self.decoded.as_ref().expect("rows are decoded before they are looked at");
        View::Array { array, nanoseconds: nanoseconds.as_deref(), rows }
    }
}

fn next_array(reader: &mut ParquetRecordBatchReader, rows: usize) -> Result<ArrayRef, ArrowError> {
    let batch = reader.next().transpose()?;
    let found = batch.as_ref().map_or(0, |batch| batch.num_rows());
    match batch {
        Some(batch) if found == rows => Ok(ArrayRef::clone(batch.column(0))),
        _ => Err(ArrowError::ParquetError(format!("it holds {found} rows where {rows} follow by the footer"))),
    }
}

/// A column of plain numbers, a page at a time.
pub(crate) struct PlainColumn {
    data_type: DataType,
    page: PlainPage,
    next: Next,
    /// A buffer for the page after the next.
    spare: PlainPage,
}

/// Rows of a column of which nothing else is in memory: no page, no dictionary, no reader.
pub(crate) enum Held {
    Plain(PlainPage, DataType),
    Arrays(ArrayRef, Option<ArrayRef>),
}

impl Held {
    pub(crate) fn view(&self, rows: Range<usize>) -> View<'_> {
        match self {
            Self::Plain(page, data_type) => {
                View::Plain { bytes: page.values(rows.clone()), data_type, nulls: page.nulls(rows) }
            }
            Self::Arrays(array, nanoseconds) => View::Array { array, nanoseconds: nanoseconds.as_deref(), rows },
        }
    }
}

/// Memory of a column of the row group before.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) page: PlainPage,
    pub(crate) spare: PlainPage,
}

/// The pages behind the one in use.
enum Next {
    Here(Box<PlainChunk>),
    Asked(Ticket),
    Lost,
}

impl PlainColumn {
    /// Passes over `skip` rows; the buffers are used again.
    pub(crate) fn new(
        mut chunk: PlainChunk,
        data_type: DataType,
        skip: u64,
        buffers: Buffers,
    ) -> Result<Self, Declined> {
        chunk.skip(skip)?;
        let (page, spare) = (chunk.fit(buffers.page), chunk.fit(buffers.spare));
        Ok(Self { data_type, page, next: Next::Here(Box::new(chunk)), spare })
    }

    /// Has the next page decoded ahead, unless there is none or it is being decoded already.
    pub(crate) fn ask(&mut self, team: &Team) {
        self.next = match std::mem::replace(&mut self.next, Next::Lost) {
            Next::Here(chunk) if !chunk.is_over() => Next::Asked(team.ask(chunk, std::mem::take(&mut self.spare))),
            next => next,
        };
    }

    /// Whether no page is left to be asked for.
    pub(crate) fn is_over(&self) -> bool {
        matches!(&self.next, Next::Here(chunk) if chunk.is_over())
    }

    /// Takes the next page, or piece of one, in place of the last, and says how many rows it has.
    pub(crate) fn advance(&mut self, scratch: &mut Scratch) -> Result<usize, Declined> {
        self.next = match std::mem::replace(&mut self.next, Next::Lost) {
            Next::Here(mut chunk) => {
                chunk.next(scratch, &mut self.page)?;
                Next::Here(chunk)
            }
            Next::Asked(ticket) => {
                let (chunk, page) = ticket.take(scratch)?;
                self.spare = chunk.fit(std::mem::replace(&mut self.page, page));
                Next::Here(chunk)
            }
            Next::Lost => return Err(Declined),
        };
        Ok(self.page.rows())
    }

    /// Decodes so many rows, which are there, and keeps nothing else.
    pub(crate) fn hold(mut self, rows: usize, scratch: &mut Scratch) -> Result<Held, Declined> {
        let mut held = PlainPage::default();
        while held.rows() < rows {
            let more = self.advance(scratch)?.min(rows - held.rows());
            if held.rows() == 0 {
                held.begin(&self.page, rows);
            }
            held.append(&self.page, more);
        }
        Ok(Held::Plain(held, self.data_type))
    }

    pub(crate) fn view(&self, rows: Range<usize>) -> View<'_> {
        let (bytes, nulls) = (self.page.values(rows.clone()), self.page.nulls(rows));
        View::Plain { bytes, data_type: &self.data_type, nulls }
    }

    /// The buffer that is not in use.
    pub(crate) fn take_spare(&mut self) -> PlainPage {
        std::mem::take(&mut self.spare)
    }

    /// The buffer that was in use, for the same column of the next row group.
    pub(crate) fn into_page(self) -> PlainPage {
        self.page
    }

    /// Takes over the buffer of the row group before, while the first page is decoded to another one.
    pub(crate) fn inherit(&mut self, page: PlainPage) {
        self.page = page;
    }
}
