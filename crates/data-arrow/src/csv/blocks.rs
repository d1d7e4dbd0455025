use tidemill_data::{Error, Waiting};

use super::decode::shortened;
use super::text::{Format, Position, Text};

/// What is wrong with a file of nothing, where each begins with a header.
pub(super) const NO_HEADER: &str = "it is empty, not even a header is there";

/// The records of all files, some at a time, without the headers.
pub(super) struct Blocks {
    pub text: Text,
    pub format: Format,
    /// That of the first file, which all have.
    header: Option<String>,
    pub header_due: bool,
    /// Rows of the part that were read.
    pub row_in_part: u64,
}

pub(super) enum Block {
    /// So many bytes of the text are whole records.
    Records(usize),
    Late,
    End,
}

impl Blocks {
    /// `text` is behind the header, if there is one.
    pub fn new(text: Text, format: Format, header: Option<String>) -> Self {
        Self { text, format, header, header_due: false, row_in_part: 0 }
    }

    /// The next records, up to so many; they are taken by [`took`](Self::took).
    pub fn next(&mut self, rows: usize, waiting: &mut Waiting<'_>) -> Result<Block, Error> {
        loop {
            if self.header_due {
                self.check_header(waiting)?;
            }
            if !self.header_due {
                let bytes = self.text.whole(rows)?;
                if bytes > 0 {
                    self.text.check(&self.text.bytes[..bytes])?;
                    return Ok(Block::Records(bytes));
                }
            }
            if self.text.part_ended {
                self.next_part()?;
            }
            if self.text.ended {
                return Ok(Block::End);
            }
            if !self.text.read(&self.format, waiting)? {
                return Ok(Block::Late);
            }
            // What is there already is read along, so that record batches are not small.
            while self.text.is_ready() && !self.text.part_ended && self.text.bytes.len() < self.format.piece {
                self.text.read(&self.format, waiting)?;
            }
        }
    }

    /// Goes on behind records, which are so many bytes and rows.
    pub fn took(&mut self, bytes: usize, rows: u64) {
        self.text.drop_front(bytes);
        self.row_in_part += rows;
    }

    /// What it takes to read on from here another time.
    pub fn place(&self) -> (Position, Format, Option<String>) {
        (self.text.at, self.format.clone(), self.header.clone())
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
}
