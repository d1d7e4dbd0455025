use std::sync::Arc;

use arrow_csv::reader::{Decoder, ReaderBuilder};
use arrow_schema::{Schema as TableSchema, SchemaRef};
use tidemill_data::{Error, Waiting};

use super::records::line_of;
use super::text::{Format, Position, Text};
use crate::guard::guarded;
use crate::input::Input;
use crate::supply::{Decode, Next};

/// What is wrong with a file of nothing, where each begins with a header.
pub(super) const NO_HEADER: &str = "it is empty, not even a header is there";

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
    row: u64,
    row_in_part: u64,
    marks: Vec<Mark>,
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
        let marks = vec![Mark { row: 0, row_in_part: 0, at: text.at }];
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
            row: 0,
            row_in_part: 0,
            marks,
            apart: 1 << 20,
            header_due: false,
        }
    }

    fn mark(&mut self) {
        let (last, at) = (self.marks[self.marks.len() - 1], self.text.at);
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
        self.marks.push(Mark { row: self.row, row_in_part: self.row_in_part, at });
    }

    /// Goes on with the next file.
    fn next_part(&mut self) -> Result<(), Error> {
        if self.header_due {
            return Err(Error::invalid(self.text.name(), NO_HEADER));
        }
        self.text.next_part();
        self.row_in_part = 0;
        self.header_due = self.format.header;
        Ok(())
    }

    fn check_header(&mut self, waiting: &mut Waiting<'_>) -> Result<(), Error> {
        let Some(found) = self.text.header(&self.format, waiting)? else { return Ok(()) };
        self.header_due = false;
        let expected = self.header.as_deref().unwrap_or_default();
        if found.trim() != expected.trim() {
            let problem = format!(
                "its header is {}, expected {} as in {}",
                shortened(found.trim()),
                shortened(expected.trim()),
                self.text.names[0]
            );
            return Err(Error::invalid(self.text.name(), problem));
        }
        Ok(())
    }

    /// Decodes whole records.
    fn decode(&mut self, bytes: usize) -> Result<Option<Next>, Error> {
        let block = &self.text.bytes[..bytes];
        self.text.check(block)?;
        let decoder = &mut self.decoder;
        let decoded = guarded(|| {
            let mut at = 0;
            while at < block.len() {
                match decoder.decode(&block[at..])? {
                    0 => break,
                    n => at += n,
                }
            }
            decoder.flush().map(|records| (records, at))
        });
        // What the decoder has no room for is left to its next turn.
        let (records, taken) = decoded.map_err(|problem| self.explain(&problem, block))?;
        let (name, first) = (self.text.name().to_owned(), self.row_in_part);
        self.text.drop_front(taken);
        let Some(records) = records else { return Ok(None) };
        self.decoded += records.num_rows();
        self.row += records.num_rows() as u64;
        self.row_in_part += records.num_rows() as u64;
        self.mark();
        Ok(Some(Next::Records { records, name, first }))
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
        let line = |record: usize| line_of(block, self.format.delimiter, record.saturating_sub(self.decoded));
        if let Some(start) = problem.rfind(" for column ")
            && let Some(column) = number(" for column ")
            && let Some(record) = number(" at line ")
        {
            let column = self.table.fields().get(column).map_or_else(String::new, |field| field.name().clone());
            let line = self.text.at.line + 1 + line(record) as u64;
            let what = format!("{}, line {line}, column {column}", self.text.name());
            let (value, kind) = problem[..start].rsplit_once(" as type ").unwrap_or((&problem[..start], "other"));
            let value = shortened(value.trim_start_matches("Error while parsing value "));
            return Error::invalid(what, format!("it is {value} and no {kind}"));
        }
        if problem.contains("number of fields")
            && let Some(record) = number(" for line ")
        {
            let counts = problem.split_once("expected").map_or("", |(_, counts)| counts.trim());
            // How many more depends on the room that the decoder has.
            let counts = counts.split(" than ").next().unwrap_or(counts).replace(" got ", ", found ");
            let problem = format!("expected fields: {counts}");
            return self.text.invalid(line(record.saturating_sub(1)), problem);
        }
        Error::invalid(format!("{}, from line {}", self.text.name(), self.text.at.line + 1), shortened(problem))
    }
}

/// What stands in a message for a text that may be long.
fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}... ({} bytes)", &text[..at], text.len()),
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
    let mut decoder = builder.build_decoder();
    // It passes over a mark of the byte order at the start of what it is given first, which need not be a text's start.
    let _ = decoder.decode(b"\n");
    decoder
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
                        Some(found) => return Ok(found),
                        None => continue,
                    }
                }
            }
            if self.text.part_ended {
                self.next_part()?;
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
        self.text = Text::start(input, mark.at, &self.format)?;
        (self.row, self.row_in_part) = (mark.row, mark.row_in_part);
        (self.header_due, self.decoded) = (false, 0);
        self.decoder = decoder(&self.table, &self.format, &self.projection, self.rows);
        Ok(Some(mark.row))
    }
}
