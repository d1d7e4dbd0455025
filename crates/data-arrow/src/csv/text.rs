//! The text of CSV as it comes, cut at the ends of records.

use std::sync::Arc;

use tidemill_data::{Error, Waiting};

use super::numerals::Numerals;
use super::records::{Records, lines};
use super::sniff;
use super::values::Missing;
use crate::input::Input;
use crate::pump::{Piece, Pump};

/// What some programs begin a text with.
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// What is known of the text beside its types.
#[derive(Clone, Debug)]
pub(super) struct Format {
    pub delimiter: u8,
    pub header: bool,
    pub missing: Missing,
    pub numerals: Numerals,
    /// Bytes of a pump's buffer, and most bytes of a record.
    pub piece: usize,
    pub most: usize,
    /// Most columns.
    pub columns: usize,
}

/// Where the first byte lies that is not read yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub part: usize,
    pub offset: u64,
    /// Line ends before it in the part.
    pub line: u64,
}

/// The bytes of CSV, cut at the ends of records.
pub(super) struct Text {
    pub names: Arc<[String]>,
    pump: Pump,
    pub at: Position,
    pub bytes: Vec<u8>,
    /// How many of `bytes` are known to hold no end of a record.
    looked_at: usize,
    records: Records,
    /// Whether a mark of the byte order was looked for.
    begun: bool,
    pub part_ended: bool,
    pub ended: bool,
}

impl Text {
    pub fn start(input: Input, at: Position, format: &Format) -> Result<Self, Error> {
        let names = input.names();
        let pump = Pump::start(input, at.part, at.offset, format.piece)?;
        Ok(Self {
            names,
            pump,
            at,
            bytes: Vec::new(),
            looked_at: 0,
            records: Records::new(format.delimiter),
            begun: at.offset > 0,
            part_ended: false,
            ended: false,
        })
    }

    pub fn name(&self) -> &str {
        &self.names[self.at.part.min(self.names.len() - 1)]
    }

    /// What is wrong with the record that begins so many lines from here.
    pub fn invalid(&self, lines: usize, problem: impl Into<String>) -> Error {
        let line = self.at.line + 1 + lines as u64;
        Error::invalid(format!("{}, line {line}", self.name()), problem.into())
    }

    /// Reads a piece; `false` when the time is up.
    pub fn read(&mut self, format: &Format, waiting: &mut Waiting<'_>) -> Result<bool, Error> {
        if self.bytes.len() > format.most {
            let problem = format!(
                "a record of more than {} bytes; is a quote left open? allow a larger budget, or mend the text",
                format.most
            );
            return Err(self.invalid(0, problem));
        }
        match self.pump.next(waiting)? {
            None => return Ok(false),
            Some(Piece::Bytes(bytes)) => {
                self.bytes.extend_from_slice(&bytes);
                self.pump.give_back(bytes);
            }
            Some(Piece::EndOfPart) => {
                self.part_ended = true;
                if self.bytes.last().is_some_and(|&last| last != b'\n') {
                    self.bytes.push(b'\n');
                }
            }
            Some(Piece::End) => self.ended = true,
            // How far it came before depends on how much is read at a time: no line is named.
            Some(Piece::Failed(problem)) => return Err(Error::invalid(self.name(), problem)),
        }
        Ok(true)
    }

    /// Whether more bytes are there already, so that nobody waits for them.
    pub fn is_ready(&self) -> bool {
        self.pump.is_ready()
    }

    pub fn is_over(&self) -> bool {
        self.part_ended || self.ended
    }

    /// Up to `most` whole records, by their bytes; zero where none is whole yet.
    pub fn whole(&mut self, most: usize) -> Result<usize, Error> {
        if !self.begin() {
            return Ok(0);
        }
        let mut found = self.records.find(&self.bytes[self.looked_at..], most);
        if found.records == 0 && found.bytes > 0 {
            // Empty lines, before which no record has begun.
            self.drop_front(found.bytes);
            found = self.records.find(&self.bytes, most);
        }
        if found.records == 0 {
            self.looked_at = self.bytes.len();
            if self.part_ended && self.records.is_quoted() {
                return Err(self.invalid(0, "it ends inside quotes; is it whole?"));
            }
            return Ok(0);
        }
        let bytes = self.looked_at + found.bytes;
        self.look_again();
        Ok(bytes)
    }

    /// The first records, by their bytes: up to `rows`, as far as they end in the first `bytes`, without taking them.
    pub fn sample(
        &mut self,
        rows: usize,
        bytes: usize,
        format: &Format,
        waiting: &mut Waiting<'_>,
    ) -> Result<usize, Error> {
        while !self.begin() && !self.is_over() {
            self.read(format, waiting)?;
        }
        let mut records = Records::new(format.delimiter);
        let (mut seen, mut whole, mut found) = (0, 0, 0);
        loop {
            let end = self.bytes.len().min(bytes);
            let more = records.find(&self.bytes[seen..end], rows - found);
            if more.bytes > 0 {
                whole = seen + more.bytes;
            }
            (seen, found) = (end, found + more.records);
            if found == rows || end == bytes || self.is_over() {
                return Ok(whole);
            }
            self.read(format, waiting)?;
        }
    }

    /// Passes over a mark of the byte order; `false` where it takes more bytes to tell whether there is one.
    fn begin(&mut self) -> bool {
        if !self.begun {
            if self.bytes.len() < BOM.len() && BOM.starts_with(&self.bytes) && !self.is_over() {
                return false;
            }
            self.begun = true;
            if self.bytes.starts_with(BOM) {
                self.drop_front(BOM.len());
            }
        }
        true
    }

    pub fn drop_front(&mut self, bytes: usize) {
        self.at.offset += bytes as u64;
        self.at.line += lines(&self.bytes[..bytes]) as u64;
        self.bytes.drain(..bytes);
        self.look_again();
    }

    fn look_again(&mut self) {
        self.looked_at = 0;
        self.records.restart();
    }

    /// Goes on with the next part.
    pub fn next_part(&mut self) {
        self.at = Position { part: self.at.part + 1, ..Position::default() };
        self.bytes.clear();
        self.look_again();
        (self.begun, self.part_ended) = (false, false);
    }

    /// The first lines, up to so many and to `bytes`, without taking them.
    fn first_lines(
        &mut self,
        most: usize,
        bytes: usize,
        format: &Format,
        waiting: &mut Waiting<'_>,
    ) -> Result<usize, Error> {
        loop {
            let begun = self.begin();
            let seen = &self.bytes[..self.bytes.len().min(bytes)];
            let ends = |i: usize| matches!(seen[i], b'\n' | b'\r') && i > 0 && !matches!(seen[i - 1], b'\n' | b'\r');
            if let Some(end) = (0..seen.len()).filter(|&i| ends(i)).nth(most - 1)
                && begun
            {
                return Ok(end + 1);
            }
            if seen.len() == bytes || self.is_over() {
                return Ok(seen.len());
            }
            self.read(format, waiting)?;
        }
    }

    /// Tells the delimiter from the first lines, up to so many.
    pub fn sniff_delimiter(
        &mut self,
        lines: usize,
        format: &mut Format,
        waiting: &mut Waiting<'_>,
    ) -> Result<(), Error> {
        let bytes = self.first_lines(lines.min(sniff::LINES), format.most, format, waiting)?;
        format.delimiter = sniff::delimiter(&self.bytes[..bytes]);
        self.records = Records::new(format.delimiter);
        Ok(())
    }

    /// Whether the first record is one of data.
    pub fn begins_with_data(&mut self, format: &Format, waiting: &mut Waiting<'_>) -> Result<bool, Error> {
        let bytes = self.first(format, waiting)?.unwrap_or(0);
        Ok(sniff::is_data(&self.bytes[..bytes], format))
    }

    /// Takes the first record, as text; `None` at the end of the part, or when the time is up.
    pub fn header(&mut self, format: &Format, waiting: &mut Waiting<'_>) -> Result<Option<String>, Error> {
        let Some(bytes) = self.first(format, waiting)? else { return Ok(None) };
        self.check(&self.bytes[..bytes])?;
        let header = String::from_utf8_lossy(&self.bytes[..bytes]).into_owned();
        self.drop_front(bytes);
        Ok(Some(header))
    }

    /// The bytes of the first record; `None` at the end of the part, or when the time is up.
    pub fn first(&mut self, format: &Format, waiting: &mut Waiting<'_>) -> Result<Option<usize>, Error> {
        loop {
            let bytes = self.whole(1)?;
            if bytes > 0 {
                return Ok(Some(bytes));
            }
            if self.is_over() || !self.read(format, waiting)? {
                return Ok(None);
            }
        }
    }

    /// Checks that bytes which begin here are text. The decoder looks at all fields as one text, in which two broken ones
    /// may make a whole letter.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        std::str::from_utf8(bytes).map(drop).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let column = before.len() - before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1) + 1;
            let problem = format!(
                "byte {column} of the line is 0x{:02X}, which is not UTF-8; convert the text, as from Latin-1 by `iconv \
                 -f LATIN1 -t UTF-8`",
                bytes[before.len()]
            );
            self.invalid(lines(before), problem)
        })
    }
}
