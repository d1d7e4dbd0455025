use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field as TableField, Schema as TableSchema, SchemaRef};
use tidemill_data::{Error, Waiting};

use super::blocks::{Block, Blocks};
use super::cells::{Cells, UNROUNDED, kind};
use super::fields::Fields;
use super::numerals::Read;
use super::records::lines;
use super::text::{Position, Text};
use super::values::real;
use crate::input::Input;
use crate::supply::{Decode, Next};

/// Positions in files that are remembered, for going back to.
const MARKS: usize = 1 << 10;

/// Where a record begins, among all rows and in the input.
#[derive(Clone, Copy, Debug)]
struct Mark {
    row: u64,
    row_in_part: u64,
    at: Position,
}

pub(super) struct CsvDecode {
    blocks: Blocks,
    again: Option<Input>,
    /// Of the columns that are parsed.
    schema: SchemaRef,
    /// Their places in the text, and what they hold.
    cells: Vec<(usize, Cells)>,
    /// Columns of the text.
    width: usize,
    fields: Fields,
    /// A number, as it is read.
    buffer: Vec<u8>,
    /// Rows of a record batch.
    rows: usize,
    row: u64,
    marks: Vec<Mark>,
    /// Bytes between marks.
    apart: u64,
}

impl CsvDecode {
    /// Reads the columns of `table` that `projection` gives the places of, ascending.
    pub fn new(blocks: Blocks, again: Option<Input>, table: &TableSchema, projection: &[usize], rows: usize) -> Self {
        let schema = Arc::new(TableSchema::new(projection.iter().map(|&i| table.field(i).clone()).collect::<Vec<_>>()));
        let cells = projection.iter().map(|&i| (i, Cells::new(table.field(i)))).collect();
        let marks = vec![Mark { row: 0, row_in_part: 0, at: blocks.text.at }];
        let width = table.fields().len();
        let fields = Fields::new(blocks.format.delimiter, width);
        Self { blocks, again, schema, cells, width, fields, buffer: Vec::new(), rows, row: 0, marks, apart: 1 << 20 }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn mark(&mut self) {
        let (last, at) = (self.marks[self.marks.len() - 1], self.blocks.text.at);
        let far = at.part > last.at.part || at.offset >= last.at.offset + self.apart;
        if self.again.is_none() || self.row <= last.row || !far {
            return;
        }
        if self.marks.len() == MARKS {
            let mut number = 0;
            self.marks.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.apart *= 2;
        }
        self.marks.push(Mark { row: self.row, row_in_part: self.blocks.row_in_part, at });
    }

    /// Decodes whole records.
    fn decode(&mut self, bytes: usize) -> Result<Next, Error> {
        let (text, missing) = (&self.blocks.text, &self.blocks.format.missing);
        let block = &text.bytes[..bytes];
        let (mut rows, mut at) = (0, 0);
        while let Some(record) = self.fields.read(block, at) {
            if self.fields.len() != self.width {
                return Err(ragged(text, &block[..record.start], self.width, self.fields.len()));
            }
            for (index, (column, cells)) in self.cells.iter_mut().enumerate() {
                let value = self.fields.get(block, *column).text;
                let is_taken = match cells.is_text() {
                    _ if missing.is(value.trim_ascii()) => {
                        cells.append_null();
                        true
                    }
                    true => cells.append(value),
                    false => match self.blocks.format.numerals.read(value.trim_ascii(), &mut self.buffer) {
                        Read::Value(value) => cells.append(value),
                        Read::Text => false,
                    },
                };
                if !is_taken {
                    return Err(misfit(text, &block[..record.start], self.schema.field(index), value));
                }
            }
            (rows, at) = (rows + 1, record.end);
        }
        let columns = self.cells.iter_mut().map(|(_, cells)| cells.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::invalid(text.name(), error))?;
        let (name, part, first) = (text.name().to_owned(), text.at.part, self.blocks.row_in_part);
        self.blocks.took(bytes, rows as u64);
        self.row += rows as u64;
        self.mark();
        Ok(Next::Records { records, name, part, first })
    }
}

/// A record behind `before` that has not as many fields as it should.
pub(super) fn ragged(text: &Text, before: &[u8], expected: usize, found: usize) -> Error {
    let problem = format!(
        "expected fields: {expected}, found {found}; quote fields that hold the delimiter, and remove lines of comments"
    );
    text.invalid(lines(before), problem)
}

/// A value of the record behind `before` that is not of its column's type.
fn misfit(text: &Text, before: &[u8], column: &TableField, value: &[u8]) -> Error {
    let line = text.at.line + 1 + lines(before) as u64;
    let is_rounded = column.metadata().contains_key(UNROUNDED) && real(value.trim_ascii()).is_some();
    let (name, value) = (column.name(), shortened(&String::from_utf8_lossy(value)));
    let (expected, advice) = match column.data_type() {
        DataType::Float64 if is_rounded => {
            ("a number that f64 does not round", "CsvType::Integer to keep all digits, Real to round, or Text")
        }
        DataType::Float64 => (kind(column.data_type()), "CsvType::Text"),
        DataType::Int64 => (kind(column.data_type()), "CsvType::Unsigned, Real or Text"),
        other => (kind(other), "CsvType::Real or Text"),
    };
    let problem = format!(
        "it is {value:?}, expected {expected}; say otherwise by column_type({name:?}, ..), {advice}, or count it as \
         missing by nulls(..)"
    );
    Error::invalid(format!("{}, line {line}, column {name}", text.name()), problem)
}

/// What stands in a message for a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}... ({} bytes)", &text[..at], text.len()),
    }
}

impl Decode for CsvDecode {
    fn next(&mut self, waiting: &mut Waiting<'_>) -> Result<Next, Error> {
        match self.blocks.next(self.rows, waiting)? {
            Block::Records(bytes) => self.decode(bytes),
            Block::Late => Ok(Next::Late),
            Block::End => Ok(Next::End),
        }
    }

    fn go(&mut self, row: u64) -> Result<Option<u64>, Error> {
        let Some(input) = &self.again else { return Ok(None) };
        let at = self.marks.partition_point(|mark| mark.row <= row).saturating_sub(1);
        let mark = self.marks[at];
        let input = input.again().ok_or_else(|| Error::invalid(self.blocks.text.name(), "it is read once"))?;
        self.blocks.text = Text::start(input, mark.at, &self.blocks.format)?;
        // A row that was refused may have left some of its values.
        self.cells.iter_mut().for_each(|(_, cells)| drop(cells.finish()));
        (self.row, self.blocks.row_in_part, self.blocks.header_due) = (mark.row, mark.row_in_part, false);
        Ok(Some(mark.row))
    }
}
