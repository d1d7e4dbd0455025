//! Access to the bytes of column chunks, with an eye on how large a page says it is before room is made for it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::FileError;
use crate::input::Input;
use crate::shape::PAGE_HEADER;
use crate::thrift::Compact;

/// A file whose pages may be no larger than a limit. Clones share the file; reads say where, so threads may share it too.
#[derive(Clone)]
pub(crate) struct PageFile {
    input: Input,
    shared: Arc<Shared>,
    /// Bytes that the page of the last header has, by that.
    declared: Arc<AtomicU64>,
}

struct Shared {
    length: u64,
    largest_page: u64,
    refused: AtomicU64,
    /// What a store said when it gave no bytes: decoders hand on a part of it at best.
    failed: Mutex<Option<FileError>>,
}

impl PageFile {
    pub(crate) fn new(input: Input, length: u64, largest_page: u64) -> Self {
        let shared = Shared { length, largest_page, refused: AtomicU64::new(0), failed: Mutex::default() };
        Self { input, shared: Arc::new(shared), declared: Arc::default() }
    }

    /// The same file for one column, whose chunk is here and whose pages are read one after the other: where they come
    /// from afar, `ahead` bytes at a time.
    pub(crate) fn of_column(&self, chunk: Range<u64>, ahead: u64) -> Self {
        Self { input: self.input.part(chunk, ahead), shared: Arc::clone(&self.shared), declared: Arc::default() }
    }

    /// What a store said when it gave no bytes, since this was last asked.
    pub(crate) fn take_failed(&self) -> Option<FileError> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps what a store says.
    fn noted(&self, error: io::Error) -> io::Error {
        FileError::of_store(error).map_or_else(
            |other| other,
            |failed| {
                let text = io::Error::other(failed.to_string());
                *self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
                text
            },
        )
    }

    /// Bytes of the page whose header was read last, decompressed.
    pub(crate) fn declared(&self) -> u64 {
        self.declared.load(Ordering::Relaxed)
    }

    /// Notes the size of what there is no room for.
    pub(crate) fn refuse(&self, bytes: u64) {
        self.shared.refused.store(bytes, Ordering::Relaxed);
    }

    /// The size of a page that was refused since this was last asked.
    pub(crate) fn take_refused(&self) -> Option<u64> {
        Some(self.shared.refused.swap(0, Ordering::Relaxed)).filter(|&bytes| bytes > 0)
    }

    /// Bytes that a page may have.
    pub(crate) fn largest_page(&self) -> u64 {
        self.shared.largest_page
    }

    /// Reads up to as many bytes as there is room for.
    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read_at(at, buffer).map_err(|error| self.noted(error))
    }

    /// Reads as many bytes as there is room for.
    pub(crate) fn read_exact_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.input.read_exact_at(at, buffer).map_err(|error| self.noted(error))
    }

    /// Pages of the chunk that begins at `start` and has `length` bytes; `None` where a header makes no sense.
    pub(crate) fn pages(&self, start: u64, length: u64) -> io::Result<Option<Vec<Page>>> {
        let end = start.saturating_add(length).min(self.shared.length);
        let (mut at, mut pages, mut buffer) = (start, Vec::new(), [0; HEADER_BYTES]);
        while at < end {
            let n = self.read_at(at, &mut buffer)?;
            let found = match Page::parse(&buffer[..n]) {
                None if n == buffer.len() => self.long_header(at)?,
                found => found,
            };
            let Some((page, header)) = found else { return Ok(None) };
            at = at.saturating_add(header as u64).saturating_add(page.compressed);
            pages.push(page);
        }
        Ok(Some(pages))
    }

    /// The page whose header begins here, and the bytes of that, where statistics inside make it long.
    fn long_header(&self, at: u64) -> io::Result<Option<(Page, usize)>> {
        let mut buffer = Vec::new();
        for length in [LONG_HEADER, LONGEST_HEADER] {
            buffer.resize(length, 0);
            let n = self.read_at(at, &mut buffer)?;
            let found = Page::parse(&buffer[..n]);
            if found.is_some() || n < length {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

impl Length for PageFile {
    fn len(&self) -> u64 {
        self.shared.length
    }
}

impl ChunkReader for PageFile {
    type T = HeaderReader;

    fn get_read(&self, start: u64) -> Result<HeaderReader> {
        Ok(HeaderReader {
            file: self.clone(),
            at: start,
            buffer: [0; HEADER_BYTES],
            filled: 0,
            taken: 0,
            checked: false,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.shared.length) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} of a file of {} bytes",
                self.shared.length
            )));
        }
        if length as u64 > self.shared.largest_page {
            self.refuse(length as u64);
            return Err(ParquetError::General(format!("a page of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.read_exact_at(start, &mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ParquetError::EOF(format!("fewer than {length} bytes at {start}")),
            _ => error.into(),
        })?;
        Ok(bytes.into())
    }
}

const HEADER_BYTES: usize = 256;
const LONG_HEADER: usize = 8 << 10;
const LONGEST_HEADER: usize = 1 << 20;

/// Reads a page's header, and refuses a page that is too large before anybody makes room for it.
pub(crate) struct HeaderReader {
    file: PageFile,
    at: u64,
    buffer: [u8; HEADER_BYTES],
    filled: usize,
    taken: usize,
    checked: bool,
}

impl HeaderReader {
    fn refill(&mut self) -> io::Result<()> {
        self.filled = self.file.read_at(self.at, &mut self.buffer)?;
        if self.filled == 0 {
            // Whoever passes over what is said to be there would do so without end.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let at = self.at;
        self.at += self.filled as u64;
        self.taken = 0;
        if std::mem::replace(&mut self.checked, true) {
            return Ok(());
        }
        let page = match Page::parse(&self.buffer[..self.filled]) {
            None if self.filled == self.buffer.len() => self.file.long_header(at)?,
            page => page,
        };
        let Some((Page { uncompressed: size, .. }, _)) = page else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a page's header is malformed"));
        };
        self.file.declared.store(size, Ordering::Relaxed);
        if size > self.file.shared.largest_page {
            self.file.refuse(size);
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, format!("a page of {size} bytes")));
        }
        Ok(())
    }
}

impl Read for HeaderReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.filled {
            self.refill()?;
        }
        let n = buffer.len().min(self.filled - self.taken);
        buffer[..n].copy_from_slice(&self.buffer[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}

/// What the header of a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) dictionary: bool,
    /// Values, nulls included.
    pub(crate) values: u64,
    /// Rows that begin in it, where that is said.
    pub(crate) rows: Option<u64>,
    pub(crate) compressed: u64,
    pub(crate) uncompressed: u64,
}

impl Page {
    const DICTIONARY: i64 = 2;

    /// The page, and the bytes of its header.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        Compact::new(bytes).check(PAGE_HEADER)?;
        let (mut page_type, mut uncompressed, mut compressed, mut values, mut rows) = (None, None, None, 0, None);
        let mut reader = Compact::new(bytes);
        reader.fields(|header, id, wire| {
            match id {
                1 => page_type = Some(header.integer()?),
                2 => uncompressed = Some(header.integer()?),
                3 => compressed = Some(header.integer()?),
                // The particular headers all begin with the number of values.
                5 | 7 | 8 => header.fields(|particular, field, wire| {
                    match (id, field) {
                        (_, 1) => values = particular.integer()?,
                        (8, 3) => rows = Some(particular.integer()?),
                        _ => particular.skip(wire)?,
                    }
                    Some(())
                })?,
                _ => header.skip(wire)?,
            }
            Some(())
        })?;
        let page = Self {
            dictionary: page_type? == Self::DICTIONARY,
            values: u64::try_from(values).ok()?,
            rows: rows.map(u64::try_from).transpose().ok()?,
            compressed: u64::try_from(compressed?).ok()?,
            uncompressed: u64::try_from(uncompressed?).ok()?,
        };
        Some((page, reader.position()))
    }
}
