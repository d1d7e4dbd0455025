use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{Schema as TableSchema, SchemaRef};
use tidemill_data::{Error, Waiting};

use super::message::{Frame, Message, check_body, frame, message};
use crate::guard::guarded;
use crate::input::Input;
use crate::pump::{Piece, Pump};
use crate::supply::{Decode, Next};

/// What each message but the first of a decoder is given before its turn: the decoder takes note of a message without
/// a body only once it has seen some of what follows.
const CONTINUATION: [u8; 4] = [0xff; 4];

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
    bytes: Vec<u8>,
    part: Part,
    ended: bool,
    decoder: StreamDecoder,
    row: u64,
    /// Rows that are passed over without being decoded, as far as they are whole record batches.
    pass: u64,
}

/// Where in the input the decoder is.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: usize,
    begun: bool,
    /// Whether the decoder has had a message.
    fed: bool,
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
    pub fn start(input: Input, piece: usize, most: usize) -> Result<Self, Error> {
        let (names, again) = (input.names(), input.again());
        let pump = Pump::start(input, 0, 0, piece)?;
        Ok(Self {
            names,
            again,
            pump,
            piece,
            most,
            bytes: Vec::new(),
            part: Part::default(),
            ended: false,
            decoder: StreamDecoder::new(),
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
        let schema = guarded(|| {
            let message = arrow_ipc::root_as_message(bytes).map_err(|error| error.to_string())?;
            let schema = message.header_as_schema().ok_or("no schema")?;
            arrow_ipc::convert::try_fb_to_schema(schema).map_err(|error| error.to_string())
        });
        schema.map(|schema: TableSchema| Arc::new(schema)).map_err(|problem| self.broken(&problem))
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
                    self.bytes.extend_from_slice(&piece);
                    self.pump.give_back(piece);
                }
                Some(Piece::EndOfPart) => self.part.ended = true,
                Some(Piece::End) => self.ended = true,
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
                self.bytes.drain(..8.min(self.bytes.len()));
            }
            self.part.begun = true;
        }
        let whole = self.need(4, waiting)?;
        if !whole && self.bytes.is_empty() && !self.part.is_file {
            return Ok(None);
        }
        let mut found = frame(&self.bytes);
        if found == Frame::Unknown {
            self.need(8, waiting)?;
            found = frame(&self.bytes);
        }
        match found {
            Frame::Unknown => Err(self.broken("it is cut off at the head of a message")),
            Frame::End { bytes } => {
                self.bytes.drain(..bytes);
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
        let (meta, body) = (&self.bytes[head..head + metadata], &self.bytes[head + metadata..end]);
        if let Some(rows) = read.rows
            && rows > 0
            && self.pass >= rows
        {
            self.pass -= rows;
            self.row += rows;
            self.part.rows += rows;
            self.part.batches += 1;
            self.bytes.drain(..end);
            return Ok(Found::Other);
        }
        check_body(meta, body, self.most).map_err(|problem| self.broken(&problem))?;
        // The body stays at a multiple of eight bytes, where it need not be copied again.
        let mut bytes = Vec::with_capacity(end + 8);
        bytes.extend_from_slice(&CONTINUATION);
        bytes.extend_from_slice(&self.bytes[head - 4..end]);
        bytes.extend_from_slice(&CONTINUATION);
        self.bytes.drain(..end);
        let (decoder, first) = (&mut self.decoder, usize::from(self.part.fed) * CONTINUATION.len());
        self.part.fed = true;
        let decoded = guarded(|| {
            let mut buffer = Buffer::from_vec(bytes);
            buffer.advance(first);
            let mut found = None;
            while !buffer.is_empty() {
                found = decoder.decode(&mut buffer)?.or(found);
            }
            Ok::<_, arrow_schema::ArrowError>(found)
        });
        match decoded.map_err(|problem| self.broken(&problem))? {
            Some(records) => {
                self.part.batches += 1;
                Ok(Found::Records(records))
            }
            None => Ok(Found::Other),
        }
    }

    /// Waits for the end of a part of which nothing more is wanted, and goes on with the next.
    fn next_part(&mut self, waiting: &mut Waiting<'_>) -> Result<(), Error> {
        self.part.done = true;
        if self.part.ended && !self.part.begun {
            return Err(self.broken("it is empty"));
        }
        if self.names.len() == 1 && !self.part.is_file {
            // A socket may stay open behind its stream.
            self.ended = true;
        }
        while !self.part.ended && !self.ended {
            let kept = self.bytes.len().saturating_sub(MAGIC.len());
            self.bytes.drain(..kept);
            let more = self.bytes.len() + 1;
            self.need(more, waiting)?;
        }
        if self.part.is_file && !self.bytes.ends_with(MAGIC) {
            return Err(self.broken("the file has no end; is it whole?"));
        }
        self.bytes.clear();
        self.decoder = StreamDecoder::new();
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
                    let (name, first) = (self.name().to_owned(), self.part.rows);
                    self.pass = 0;
                    self.row += records.num_rows() as u64;
                    self.part.rows += records.num_rows() as u64;
                    return Ok(Next::Records { records, name, first });
                }
                Found::Records(_) | Found::Other => {}
                Found::EndOfPart => self.next_part(waiting)?,
            }
        }
    }
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
        let mut fresh = Self::start(input, self.piece, self.most)?;
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
