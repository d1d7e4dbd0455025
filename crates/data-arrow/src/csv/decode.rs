use std::sync::Arc;

use arrow_csv::reader::{Decoder, ReaderBuilder};
use arrow_schema::{Schema as TableSchema, SchemaRef};
use tidemill_data::{Error, Waiting};

use super::records::line_of;
use super::text::{Format, Text};
use crate::guard::guarded;
use crate::input::Input;
use crate::supply::{Decode, Next};

/// Positions in files that are remembered, for going back to.
const MARKS: usize = 1 << 10;

/// Where a record begins, in the input and among all rows.
#[derive(Clone, Copy, Debug)]
struct Place {
    row: u64,
    part: usize,
    offset: u64,
    row_in_part: u64,
    line: u64,
}

pub(super) struct CsvDecode {
    text: Text,
    format: Format,
    again: Option<Input>,
    table: SchemaRef,
    /// The columns that are parsed, by their places in the text.
    projection: Vec<usize>,
    decoder: Decoder,
    /// Records that the decoder has had before; it counts on.
    decoded: usize,
    header: Option<String>,
    /// Rows of a record batch.
    rows: usize,
    place: Place,
    marks: Vec<Place>,
    /// Bytes between marks.
    apart: u64,
    header_due: bool,
}

impl CsvDecode {
    /// `text` is behind the header, if there is one.
    pub fn new(
        text: Text,
        format: Format,
        again: Option<Input>,
        table: TableSchema,
        projection: Vec<usize>,
        header: Option<String>,
        rows: usize,
    ) -> Self {
        let table = Arc::new(table);
        let decoder = decoder(&table, &format, &projection, rows);
        let offset = header.as_ref().map_or(0, |header| header.len() as u64);
        let line = header.as_ref().map_or(0, |header| header.matches('\n').count() as u64);
        let place = Place { row: 0, part: 0, offset, row_in_part: 0, line };
        let marks = vec![place];
        Self {
            text,
            format,
            again,
            table,
            projection,
            decoder,
            decoded: 0,
            header,
            rows,
            place,
            marks,
            apart: 1 << 20,
            header_due: false,
        }
    }

    fn mark(&mut self) {
        let last = self.marks[self.marks.len() - 1];
        let far = self.place.part > last.part || self.place.offset >= last.offset + self.apart;
        if self.again.is_none() || self.place.row <= last.row || !far {
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
        self.marks.push(self.place);
    }

    /// Goes on with the next file.
    fn next_part(&mut self) {
        self.text.part += 1;
        self.text.part_ended = false;
        self.place = Place { row: self.place.row, part: self.text.part, offset: 0, row_in_part: 0, line: 0 };
        self.header_due = self.format.header;
    }

    fn check_header(&mut self, waiting: &mut Waiting<'_>) -> Result<(), Error> {
        let Some(found) = self.text.header(&self.format, waiting)? else { return Ok(()) };
        self.header_due = false;
        let expected = self.header.as_deref().unwrap_or_default();
        if found.trim_end() != expected.trim_end() {
            let problem = format!(
                "its header is {}, expected {} as in {}",
                found.trim_end(),
                expected.trim_end(),
                self.text.names[0]
            );
            return Err(Error::invalid(self.text.name(), problem));
        }
        self.place.offset = found.len() as u64;
        self.place.line = found.matches('\n').count() as u64;
        Ok(())
    }

    /// Decodes whole records.
    fn decode(&mut self, bytes: usize) -> Result<Next, Error> {
        let block = &self.text.bytes[..bytes];
        let decoder = &mut self.decoder;
        let decoded = guarded(|| {
            let mut at = 0;
            while at < block.len() {
                match decoder.decode(&block[at..])? {
                    0 => break,
                    n => at += n,
                }
            }
            decoder.flush()
        });
        let records = decoded.map_err(|problem| self.explain(&problem, &self.text.bytes[..bytes]))?;
        let (name, first) = (self.text.name().to_owned(), self.place.row_in_part);
        self.place.line += self.text.bytes[..bytes].iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.text.drop_front(bytes);
        self.place.offset += bytes as u64;
        let Some(records) = records else { return Ok(Next::Late) };
        self.decoded += records.num_rows();
        self.place.row += records.num_rows() as u64;
        self.place.row_in_part += records.num_rows() as u64;
        self.mark();
        Ok(Next::Records { records, name, first })
    }

    /// The decoder's error with the line and the column's name, as far as it says which.
    fn explain(&self, problem: &str, block: &[u8]) -> Error {
        let problem = problem.trim_start_matches("Parser error: ").trim_start_matches("Csv error: ");
        let (problem, _) = problem.split_once(". Row data: '").unwrap_or((problem, ""));
        // The decoder counts records from one, or from zero where a value is wrong.
        let number = |before: &str| {
            let digits = problem.rsplit_once(before)?.1;
            digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse::<usize>().ok()
        };
        let line = |record: usize| self.place.line + 1 + line_of(block, record.saturating_sub(self.decoded)) as u64;
        if let Some(start) = problem.find(" for column ")
            && let Some(column) = number(" for column ")
            && let Some(record) = number(" at line ")
        {
            let column = self.table.fields().get(column).map_or_else(String::new, |field| field.name().clone());
            let what = format!("{}, line {}, column {column}", self.text.name(), line(record));
            let problem = problem[..start].replace("Error while parsing value", "it is").replace("as type", "and no");
            return Error::invalid(what, problem);
        }
        if problem.contains("number of fields")
            && let Some(record) = number(" for line ")
        {
            let expected = problem.split_once("expected").map_or("", |(_, expected)| expected.trim());
            let what = format!("{}, line {}", self.text.name(), line(record.saturating_sub(1)));
            return Error::invalid(what, format!("expected fields: {}", expected.replace(" got ", ", found ")));
        }
        if let Some(record) = number(" for line ") {
            let what = format!("{}, line {}", self.text.name(), line(record.saturating_sub(1)));
            return Error::invalid(what, problem.split(" for line ").next().unwrap_or(problem));
        }
        Error::invalid(format!("{}, from line {}", self.text.name(), self.place.line + 1), problem)
    }
}

fn decoder(table: &SchemaRef, format: &Format, projection: &[usize], rows: usize) -> Decoder {
    let mut builder = ReaderBuilder::new(Arc::clone(table))
        .with_header(false)
        .with_delimiter(format.delimiter)
        .with_batch_size(rows)
        .with_projection(projection.to_vec());
    if let Some(nulls) = &format.nulls {
        builder = builder.with_null_regex(nulls.clone());
    }
    builder.build_decoder()
}

impl Decode for CsvDecode {
    fn next(&mut self, waiting: &mut Waiting<'_>) -> Result<Next, Error> {
        loop {
            if self.header_due {
                self.check_header(waiting)?;
            }
            if !self.header_due {
                let bytes = self.text.whole(self.rows)?;
                if bytes > 0 {
                    match self.decode(bytes)? {
                        Next::Late => continue,
                        found => return Ok(found),
                    }
                }
            }
            if self.text.part_ended {
                self.next_part();
            }
            if self.text.ended {
                return Ok(Next::End);
            }
            if !self.text.read(&self.format, waiting)? {
                return Ok(Next::Late);
            }
            // What is there already is read along, so that record batches are not small.
            while self.text.is_ready() && !self.text.part_ended && self.text.bytes.len() < self.format.piece {
                self.text.read(&self.format, waiting)?;
            }
        }
    }

    fn go(&mut self, row: u64) -> Result<Option<u64>, Error> {
        let Some(input) = &self.again else { return Ok(None) };
        let at = self.marks.partition_point(|mark| mark.row <= row).saturating_sub(1);
        let mark = self.marks[at];
        let input = input.again().ok_or_else(|| Error::invalid(self.text.name(), "it is read once"))?;
        self.text = Text::start(input, mark.part, mark.offset, &self.format)?;
        (self.place, self.header_due, self.decoded) = (mark, false, 0);
        self.decoder = decoder(&self.table, &self.format, &self.projection, self.rows);
        Ok(Some(mark.row))
    }
}
