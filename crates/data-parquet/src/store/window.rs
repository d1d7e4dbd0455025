use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::object::Object;
use crate::FileError;

/// Bytes of an object, of which those behind the last that were asked for are held as well. Clones share them.
#[derive(Clone)]
pub(crate) struct Window {
    object: Arc<Object>,
    /// Where whoever reads in order will be at the end, and how many bytes are held.
    end: u64,
    size: u64,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    start: u64,
    bytes: Vec<u8>,
}

impl Held {
    /// Those from a position on.
    fn from(&self, at: u64) -> &[u8] {
        at.checked_sub(self.start).and_then(|skip| self.bytes.get(usize::try_from(skip).ok()?..)).unwrap_or_default()
    }
}

/// What a connection takes at most to receive bytes, with what is received and not yet asked for.
const CONNECTION: u64 = 512 << 10;

impl Window {
    /// Bytes of the end of a file that are asked for when it is opened: mostly its whole footer.
    pub(super) const TAIL: u64 = 64 << 10;

    /// An object of which the end is there already.
    pub(super) fn new(object: Object, tail: Vec<u8>) -> Self {
        let length = object.length();
        let held = Held { start: length - tail.len() as u64, bytes: tail };
        Self { object: Arc::new(object), end: length, size: Self::TAIL, held: Arc::new(Mutex::new(held)) }
    }

    pub(crate) fn length(&self) -> u64 {
        self.object.length()
    }

    /// Bytes that an object takes, and a thread that reads it, beside its [parts](Self::part).
    pub(crate) const OWN_BYTES: u64 = Self::TAIL + CONNECTION;

    /// A window of its own on some bytes.
    pub(crate) fn part(&self, bytes: Range<u64>, ahead: u64) -> Self {
        let size = ahead.min(bytes.end.saturating_sub(bytes.start)).max(1);
        Self { object: Arc::clone(&self.object), end: bytes.end, size, held: Arc::default() }
    }

    /// Reads as many bytes as there is room for, fewer at the end of the object alone.
    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = 0;
        while read < buffer.len() && at.saturating_add(read as u64) < self.length() {
            let (at, left) = (at + read as u64, &mut buffer[read..]);
            let bytes = held.from(at);
            let n = bytes.len().min(left.len());
            left[..n].copy_from_slice(&bytes[..n]);
            read += n;
            if n == 0 {
                let wanted = left.len() as u64;
                self.move_to(&mut held, at, wanted).map_err(io::Error::other)?;
            }
        }
        Ok(read)
    }

    /// Reads bytes that need not be held: what is more than a window is one request.
    pub(crate) fn read(&self, bytes: Range<u64>) -> io::Result<Vec<u8>> {
        let length = bytes.end.saturating_sub(bytes.start);
        let is_held = || {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.from(bytes.start).len() as u64 >= length
        };
        if bytes.end > self.length() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length > self.size && !is_held() {
            let buffer = Vec::with_capacity(length as usize);
            return self.object.fetch(bytes, buffer).map_err(io::Error::other);
        }
        let mut buffer = vec![0; length as usize];
        self.read_at(bytes.start, &mut buffer)?;
        Ok(buffer)
    }

    /// Asks for the bytes from `at` on, in place of those that are held.
    fn move_to(&self, held: &mut Held, at: u64, wanted: u64) -> Result<(), FileError> {
        let least = at.saturating_add(wanted.min(self.size));
        let end = at.saturating_add(self.size).min(self.end).max(least).min(self.length());
        let mut buffer = std::mem::take(&mut held.bytes);
        buffer.clear();
        if (buffer.capacity() as u64) < end - at {
            // What was held is freed first.
            buffer = Vec::new();
            buffer.reserve_exact((end - at) as usize);
        }
        (held.start, held.bytes) = (at, self.object.fetch(at..end, buffer)?);
        Ok(())
    }
}
