//! The text of CSV as it comes, cut at the ends of records.

use std::sync::Arc;

use regex::Regex;
use tidemill_data::{Error, Waiting};

use super::records::Records;
use crate::input::Input;
use crate::pump::{Piece, Pump};

/// What is known of the text beside its types.
#[derive(Clone, Debug)]
pub(super) struct Format {
    pub delimiter: u8,
    pub header: bool,
    pub nulls: Option<Regex>,
    /// Bytes of a pump's buffer, and most bytes of a record.
    pub piece: usize,
    pub most: usize,
}

/// The bytes of CSV, cut at the ends of records.
pub(super) struct Text {
    pub names: Arc<[String]>,
    pump: Pump,
    pub part: usize,
    pub bytes: Vec<u8>,
    /// How many of `bytes` are known to hold no end of a record.
    looked_at: usize,
    splitter: Records,
    pub part_ended: bool,
    pub ended: bool,
}

impl Text {
    pub fn start(input: Input, part: usize, from: u64, format: &Format) -> Result<Self, Error> {
        let names = input.names();
        let pump = Pump::start(input, part, from, format.piece)?;
        Ok(Self {
            names,
            pump,
            part,
            bytes: Vec::new(),
            looked_at: 0,
            splitter: Records::new(),
            part_ended: false,
            ended: false,
        })
    }

    pub fn name(&self) -> &str {
        &self.names[self.part.min(self.names.len() - 1)]
    }

    /// Reads a piece; `false` when the time is up.
    pub fn read(&mut self, format: &Format, waiting: &mut Waiting<'_>) -> Result<bool, Error> {
        if self.bytes.len() > format.most {
            let problem = format!(
                "a record of more than {} bytes; is a quote left open? allow a larger budget, or mend the text",
                format.most
            );
            return Err(Error::invalid(self.name(), problem));
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
            Some(Piece::Failed(problem)) => return Err(Error::invalid(self.name(), problem)),
        }
        Ok(true)
    }

    /// Whether more bytes are there already, so that nobody waits for them.
    pub fn is_ready(&self) -> bool {
        self.pump.is_ready()
    }

    pub fn is_at_end_of_part(&self) -> bool {
        self.part_ended
    }

    /// Line ends so far.
    pub fn lines(&self) -> usize {
        self.bytes.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Up to `most` whole records, by their bytes; zero where none is whole yet.
    pub fn whole(&mut self, most: usize) -> Result<usize, Error> {
        let found = self.splitter.find(&self.bytes[self.looked_at..], most);
        if found.records == 0 {
            self.looked_at = self.bytes.len();
            if self.part_ended && self.splitter.is_quoted() {
                return Err(Error::invalid(self.name(), "it ends inside quotes; is it whole?"));
            }
            return Ok(0);
        }
        let bytes = self.looked_at + found.bytes;
        self.looked_at = 0;
        Ok(bytes)
    }

    pub fn drop_front(&mut self, bytes: usize) {
        self.bytes.drain(..bytes);
        (self.looked_at, self.splitter) = (0, Records::new());
    }

    /// Takes the first record, as text; `None` at the end of the part.
    pub fn header(&mut self, format: &Format, waiting: &mut Waiting<'_>) -> Result<Option<String>, Error> {
        loop {
            let bytes = self.whole(1)?;
            if bytes > 0 {
                let header = String::from_utf8_lossy(&self.bytes[..bytes]).into_owned();
                self.drop_front(bytes);
                return Ok(Some(header));
            }
            if self.part_ended || self.ended || !self.read(format, waiting)? {
                return Ok(None);
            }
        }
    }
}
