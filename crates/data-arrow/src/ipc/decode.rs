use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{Endianness, MessageHeader};
use arrow_schema::SchemaRef;
use tidemill_data::{Error, Waiting};

use super::dictionaries::Dictionaries;
use super::message::{Frame, Message, check_buffers, frame, message, root};
use super::unread::Unread;
use super::views::{as_bytes, check_views, dictionary_as_bytes};
use crate::guard::guarded;
use crate::input::Input;
use crate::pump::{Piece, Pump};
use crate::supply::{Decode, Next};
use crate::unfold::check_unfolded;

/// How a file begins and ends.
const MAGIC: &[u8] = b"ARROW1";

/// Reads messages one by one; a file is a stream behind a magic word, and has its own end.
pub(super) struct IpcDecode {
    names: Arc<[String]>,
    again: Option<Input>,
    pump: Pump,
    /// Bytes of a pump's buffer, and most bytes of a message.
    piece: usize,
    most: usize,
    end: StreamEnd,
    bytes: Unread,
    part: Part,
    ended: bool,
    /// Of the part, and as it is decoded first where there are views.
    schema: Option<SchemaRef>,
    bytes_schema: Option<SchemaRef>,
    dictionaries: Dictionaries,
    row: u64,
    /// Rows that are passed over without being decoded, as far as they are whole record batches.
    pass: u64,
}

/// Where a stream may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// At its mark.
    Marked,
    /// Behind any message.
    Anywhere,
}

/// Where in the input the decoder is.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: usize,
    begun: bool,
    is_file: bool,
    /// Whether no more messages are looked for, and whether no more bytes come.
    done: bool,
    ended: bool,
    batches: u64,
    rows: u64,
}

/// What a message turned out to be.
enum Found {
    Records(RecordBatch),
    Other,
    EndOfPart,
}

impl IpcDecode {
    pub fn start(input: Input, piece: usize, most: usize, end: StreamEnd) -> Result<Self, Error> {
        let (names, again) = (input.names(), input.again());
        let pump = Pump::start(input, 0, 0, piece)?;
        Ok(Self {
            names,
            again,
            pump,
            piece,
            most,
            end,
            bytes: Unread::default(),
            part: Part::default(),
            ended: false,
            schema: None,
            bytes_schema: None,
            dictionaries: Dictionaries::default(),
            row: 0,
            pass: 0,
        })
    }

    pub fn name(&self) -> &str {
        &self.names[self.part.number.min(self.names.len() - 1)]
    }

    pub fn can_go(&self) -> bool {
        self.again.is_some()
    }

    /// The schema, which is read first.
    pub fn schema(&mut self, waiting: &mut Waiting<'_>) -> Result<SchemaRef, Error> {
        let looked = self.look(waiting);
        if self.part.is_file && matches!(looked, Err(Error::Invalid { .. })) {
            let problem = "the file does not begin with a schema, as those of pyarrow do: it is broken, or its \
                           messages are found only from its end; write it as a stream";
            return Err(self.broken(problem));
        }
        let Some((head, metadata, found)) = looked? else {
            return Err(self.broken("it has no schema; is it whole, and Arrow IPC?"));
        };
        if !found.is_schema {
            return Err(self.broken("it does not begin with a schema"));
        }
        let bytes = &self.bytes[head..head + metadata];
        let schema = guarded(|| read_schema(&root(bytes, self.most)?));
        schema.map_err(|problem| self.broken(&problem))
    }

    fn broken(&self, problem: &str) -> Error {
        Error::invalid(format!("{}, record batch {}", self.name(), self.part.batches), problem)
    }

    /// Reads until so many bytes are there; `false` where the part ends before.
    fn need(&mut self, bytes: usize, waiting: &mut Waiting<'_>) -> Result<bool, Error> {
        while self.bytes.len() < bytes {
            if self.part.ended || self.ended {
                return Ok(false);
            }
            match self.pump.next(waiting)? {
                None => return Err(Late.into()),
                Some(Piece::Bytes(piece)) => {
                    self.bytes.push(&piece, bytes);
                    self.pump.give_back(piece);
                }
                Some(Piece::EndOfPart) => self.part.ended = true,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Failed(problem)) if self.part.begun => return Err(self.broken(&problem)),
                Some(Piece::Failed(problem)) => return Err(Error::invalid(self.name(), problem)),
            }
        }
        Ok(true)
    }

    /// The next message's head, metadata and what they say, all of it being in `bytes`; `None` at the end of the part.
    fn look(&mut self, waiting: &mut Waiting<'_>) -> Result<Option<(usize, usize, Message)>, Error> {
        if !self.part.begun {
            let whole = self.need(8, waiting)?;
            if !whole && self.bytes.is_empty() {
                return Ok(None);
            }
            self.part.is_file = self.bytes.starts_with(MAGIC);
            if self.part.is_file {
                self.bytes.skip(8.min(self.bytes.len()));
            }
            self.part.begun = true;
        }
        let whole = self.need(4, waiting)?;
        if !whole && self.bytes.is_empty() && !self.part.is_file {
            if self.end == StreamEnd::Anywhere {
                return Ok(None);
            }
            let problem = format!(
                "it ended without the end-of-stream mark: {} rows read; is it whole? allow that by unmarked_end()",
                self.part.rows
            );
            return Err(self.broken(&problem));
        }
        let mut found = frame(&self.bytes);
        if found == Frame::Unknown {
            self.need(8, waiting)?;
            found = frame(&self.bytes);
        }
        match found {
            Frame::Unknown => Err(self.broken("it is cut off at the head of a message")),
            Frame::End { bytes } => {
                self.bytes.skip(bytes);
                Ok(None)
            }
            Frame::Message { head, metadata } => {
                if metadata > self.most {
                    let problem = format!("metadata of {metadata} bytes, at most {} are allowed", self.most);
                    return Err(self.broken(&problem));
                }
                if !self.need(head + metadata, waiting)? {
                    return Err(self.broken("it is cut off in the metadata of a message"));
                }
                let read = message(&self.bytes[head..head + metadata], self.most);
                let read = read.map_err(|problem| self.broken(&problem))?;
                if !self.need(head + metadata + read.body, waiting)? {
                    return Err(self.broken("it is cut off in the body of a message"));
                }
                Ok(Some((head, metadata, read)))
            }
        }
    }

    /// Decodes the next message.
    fn message(&mut self, waiting: &mut Waiting<'_>) -> Result<Found, Error> {
        let Some((head, metadata, read)) = self.look(waiting)? else { return Ok(Found::EndOfPart) };
        let end = head + metadata + read.body;
        if let Some(rows) = read.rows
            && rows > 0
            && self.pass >= rows
        {
            self.pass -= rows;
            self.row += rows;
            self.part.rows += rows;
            self.part.batches += 1;
            self.bytes.skip(end);
            return Ok(Found::Other);
        }
        // The body lies at a multiple of eight bytes, where it need not be copied again.
        let bytes = Buffer::from_vec(self.bytes.take(end));
        let body = bytes.slice_with_length(head + metadata, read.body);
        let decoded = guarded(|| self.decode(&bytes[head..head + metadata], &body));
        decoded.map_err(|problem| self.broken(&problem))
    }

    fn decode(&mut self, metadata: &[u8], body: &Buffer) -> Result<Found, String> {
        let message = root(metadata, self.most)?;
        let version = message.version();
        if message.header_type() == MessageHeader::NONE {
            return Ok(Found::Other);
        }
        if message.header_type() == MessageHeader::Schema {
            if self.schema.is_some() {
                return Err("a second schema".into());
            }
            let schema = read_schema(&message)?;
            self.bytes_schema = as_bytes(&schema);
            self.schema = Some(schema);
            return Ok(Found::Other);
        }
        let schema = self.schema.as_ref().ok_or("there is no schema before it")?;
        if let Some(batch) = message.header_as_record_batch() {
            check_buffers(batch, body, self.most)?;
            let values = &self.dictionaries.values;
            if let Some(bytes) = &self.bytes_schema {
                check_views(bytes, batch, body, values, version, self.most)?;
            }
            let decoder = RecordBatchDecoder::try_new(body, batch, Arc::clone(schema), values, &version);
            let records = decoder.and_then(RecordBatchDecoder::read_record_batch).map_err(|error| error.to_string())?;
            check_unfolded(&records, self.most)?;
            self.part.batches += 1;
            return Ok(Found::Records(records));
        }
        if let Some(dictionary) = message.header_as_dictionary_batch() {
            let values = dictionary.data().ok_or("a dictionary without values")?;
            let bytes = (metadata.len() + body.len()).max(check_buffers(values, body, self.most)?);
            if let Some(as_bytes) = dictionary_as_bytes(schema, dictionary) {
                check_views(&as_bytes, values, body, &self.dictionaries.values, version, self.most)?;
            }
            self.dictionaries.read(dictionary, body, schema, version, bytes, self.most)?;
            return Ok(Found::Other);
        }
        Err(format!("a message of type {:?}; expected a schema, a dictionary or a record batch", message.header_type()))
    }

    /// Waits for the end of a part of which nothing more is wanted, and goes on with the next.
    fn next_part(&mut self, waiting: &mut Waiting<'_>) -> Result<(), Error> {
        self.part.done = true;
        if self.part.ended && !self.part.begun {
            return Err(self.broken("it is empty"));
        }
        if self.again.is_none() && !self.part.is_file {
            // A socket may stay open behind its stream.
            self.ended = true;
        }
        while !self.part.ended && !self.ended {
            if !self.part.is_file && !self.bytes.is_empty() {
                return Err(self.broken("there is more behind the end-of-stream mark; is it two streams?"));
            }
            self.bytes.skip(self.bytes.len().saturating_sub(MAGIC.len()));
            self.need(self.bytes.len() + 1, waiting)?;
        }
        if self.part.is_file && !self.bytes.ends_with(MAGIC) {
            return Err(self.broken("the file has no end; is it whole?"));
        }
        self.bytes.clear();
        (self.schema, self.bytes_schema, self.dictionaries) = (None, None, Dictionaries::default());
        self.part = Part { number: self.part.number + 1, ..Part::default() };
        Ok(())
    }

    fn find(&mut self, waiting: &mut Waiting<'_>) -> Result<Next, Error> {
        loop {
            if self.ended && self.bytes.is_empty() && !self.part.begun {
                return Ok(Next::End);
            }
            if self.part.done {
                self.next_part(waiting)?;
                continue;
            }
            match self.message(waiting)? {
                Found::Records(records) if records.num_rows() > 0 => {
                    let (name, part, first) = (self.name().to_owned(), self.part.number, self.part.rows);
                    self.pass = 0;
                    self.row += records.num_rows() as u64;
                    self.part.rows += records.num_rows() as u64;
                    return Ok(Next::Records { records, name, part, first });
                }
                Found::Records(_) | Found::Other => {}
                Found::EndOfPart => self.next_part(waiting)?,
            }
        }
    }
}

fn read_schema(message: &arrow_ipc::Message<'_>) -> Result<SchemaRef, String> {
    let schema = message.header_as_schema().ok_or("no schema")?;
    if schema.endianness() != Endianness::Little {
        return Err("its numbers are big-endian; write them as little-endian ones".into());
    }
    let schema = arrow_ipc::convert::try_fb_to_schema(schema).map_err(|error| error.to_string())?;
    Ok(Arc::new(schema))
}

/// The time is up; made an error to come through all that was being read, which stays where it is.
#[derive(Debug)]
struct Late;

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nothing came in time")
    }
}

impl std::error::Error for Late {}

impl From<Late> for Error {
    fn from(late: Late) -> Self {
        Self::Other(Box::new(late))
    }
}

impl Decode for IpcDecode {
    fn next(&mut self, waiting: &mut Waiting<'_>) -> Result<Next, Error> {
        match self.find(waiting) {
            Err(Error::Other(error)) if error.is::<Late>() => Ok(Next::Late),
            other => other,
        }
    }

    fn go(&mut self, row: u64) -> Result<Option<u64>, Error> {
        let Some(input) = self.again.as_ref().and_then(Input::again) else { return Ok(None) };
        let mut fresh = Self::start(input, self.piece, self.most, self.end)?;
        // Whole record batches before the row are not decoded.
        fresh.pass = row;
        let nobody = tidemill_data::Watch::default();
        let mut waiting = Waiting::new(&nobody);
        while fresh.pass > 0 {
            match fresh.peek(&mut waiting)? {
                Some(rows) if rows <= fresh.pass => {
                    fresh.message(&mut waiting)?;
                }
                Some(_) => break,
                None => {
                    if fresh.ended {
                        break;
                    }
                }
            }
        }
        fresh.pass = 0;
        let at = fresh.row;
        *self = fresh;
        Ok(Some(at))
    }
}

impl IpcDecode {
    /// Rows of the next record batch, after passing what is none; `None` at the end of a part, which is then left.
    fn peek(&mut self, waiting: &mut Waiting<'_>) -> Result<Option<u64>, Error> {
        loop {
            match self.look(waiting)? {
                None => {
                    self.next_part(waiting)?;
                    if self.ended && !self.part.begun && self.bytes.is_empty() {
                        return Ok(None);
                    }
                    // Whether there is another part, the next look tells.
                    if self.part.number >= self.names.len() {
                        self.ended = true;
                        return Ok(None);
                    }
                }
                Some((_, _, Message { rows: Some(rows), .. })) if rows > 0 => return Ok(Some(rows)),
                Some(_) => {
                    self.message(waiting)?;
                }
            }
        }
    }
}
