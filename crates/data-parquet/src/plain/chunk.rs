use arrow_schema::DataType;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::file::metadata::ColumnChunkMetaData;

use super::Declined;
use super::codec::{Codec, Scratch};
use super::header::{Form, Header};
use super::levels::all_defined;
use crate::pages::PageFile;

/// Bytes of a header that are read at first; statistics inside can make it longer.
const HEADER_BYTES: usize = 256;
const LONG_HEADER_BYTES: usize = 4096;

/// The column chunk of one row group, read page by page.
#[derive(Clone)]
pub(crate) struct PlainChunk {
    file: PageFile,
    codec: Codec,
    /// Bytes of a value.
    width: usize,
    /// Whether pages begin with levels.
    optional: bool,
    /// The next page's header, where it is known, and what is behind it until the end.
    header: Option<Header>,
    at: u64,
    end: u64,
    /// Bytes of the largest page so far.
    largest: usize,
}

/// A page's values, none of them null.
#[derive(Debug, Default)]
pub(crate) struct PlainPage {
    bytes: Vec<u8>,
    /// Where the values begin.
    start: usize,
    width: usize,
    rows: usize,
}

impl PlainPage {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The values of some rows, in little-endian order.
    pub(crate) fn values(&self, rows: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[self.start + rows.start * self.width..self.start + rows.end * self.width]
    }

    /// An empty page that has room for as many bytes.
    fn clear(&mut self, bytes: usize) {
        (self.rows, self.start) = (0, 0);
        self.bytes.clear();
        if self.bytes.capacity() < bytes {
            // What is there is freed first: both would not be within the budget.
            self.bytes = Vec::new();
            self.bytes.reserve_exact(bytes);
        }
    }
}

impl PlainChunk {
    /// Begins to read a column chunk; `None` where it is said to be something else than plain numbers, or is broken.
    pub(crate) fn open(file: &PageFile, chunk: &ColumnChunkMetaData, data_type: &DataType) -> Option<Self> {
        let descriptor = chunk.column_descr();
        let is_plain = |encoding| matches!(encoding, Encoding::PLAIN | Encoding::RLE);
        if chunk.dictionary_page_offset().is_some()
            || !chunk.encodings().all(is_plain)
            || descriptor.max_rep_level() > 0
            || descriptor.max_def_level() > 1
        {
            return None;
        }
        let (at, bytes) = chunk.byte_range();
        let mut opened = Self {
            file: file.clone(),
            codec: Codec::new(chunk.compression())?,
            width: plain_width(chunk.column_type(), data_type)?,
            optional: descriptor.max_def_level() == 1,
            header: None,
            at,
            end: at.checked_add(bytes)?,
            largest: 0,
        };
        opened.read_header().ok()?;
        Some(opened)
    }

    /// Whether there is no page left.
    pub(crate) fn is_over(&self) -> bool {
        self.header.is_none() && self.at >= self.end
    }

    /// Passes over rows page by page, and says how many of the next page's are to be passed.
    pub(crate) fn skip(&mut self, mut rows: u64) -> Result<usize, Declined> {
        loop {
            let header = self.read_header()?;
            if rows < header.rows as u64 {
                return Ok(rows as usize);
            }
            rows -= header.rows as u64;
            self.pass(header);
        }
    }

    /// The buffer of a page of any chunk, as one for this chunk: what is much larger than its pages is freed.
    pub(crate) fn fit(&self, page: PlainPage) -> PlainPage {
        if page.bytes.capacity() as u64 > with_excess(self.largest as u64) { PlainPage::default() } else { page }
    }

    /// Reads the next page that has rows.
    pub(crate) fn next(&mut self, scratch: &mut Scratch, page: &mut PlainPage) -> Result<(), Declined> {
        let mut header = self.read_header()?;
        while header.rows == 0 {
            self.pass(header);
            header = self.read_header()?;
        }
        page.clear(header.uncompressed);
        page.width = self.width;
        self.read_page(header, scratch, &mut page.bytes)?;
        page.start = self.values(header, &page.bytes).ok_or(Declined)?;
        page.rows = header.rows;
        self.pass(header);
        Ok(())
    }

    fn pass(&mut self, header: Header) {
        self.at += (header.bytes + header.compressed) as u64;
        self.header = None;
    }

    /// The next page's header, whose page is inside the chunk and within the limit.
    fn read_header(&mut self) -> Result<Header, Declined> {
        if let Some(header) = self.header {
            return Ok(header);
        }
        let mut buffer = [0; LONG_HEADER_BYTES];
        let left = self.end.saturating_sub(self.at);
        for size in [HEADER_BYTES, LONG_HEADER_BYTES] {
            let size = left.min(size as u64) as usize;
            let read = self.file.read_at(self.at, &mut buffer[..size]).map_err(|_| Declined)?;
            if let Some(header) = Header::parse(&buffer[..read]) {
                let inside = (header.bytes as u64).saturating_add(header.compressed as u64) <= left;
                let within = header.compressed.max(header.uncompressed) as u64 <= self.file.largest_page();
                if !(inside && within) {
                    return Err(Declined);
                }
                self.header = Some(header);
                self.largest = self.largest.max(header.uncompressed);
                return Ok(header);
            }
        }
        Err(Declined)
    }

    /// The bytes of a page, levels included.
    fn read_page(&self, header: Header, scratch: &mut Scratch, to: &mut Vec<u8>) -> Result<(), Declined> {
        let Header { compressed, uncompressed, form, .. } = header;
        let (codec, levels) = match form {
            Form::V1 => (self.codec, 0),
            Form::V2 { levels, is_compressed } => (if is_compressed { self.codec } else { Codec::None }, levels),
        };
        if levels > compressed.min(uncompressed) {
            return Err(Declined);
        }
        let room = scratch.room(compressed);
        self.file.read_exact_at(self.at + header.bytes as u64, room).map_err(|_| Declined)?;
        to.extend_from_slice(&room[..levels]);
        scratch.decompress(codec, levels..compressed, to, uncompressed - levels)
    }

    /// Where the values of a page begin, if all are there and none is null.
    fn values(&self, header: Header, page: &[u8]) -> Option<usize> {
        let levels = match (header.form, self.optional) {
            (Form::V1, true) => {
                let (length, rest) = page.split_first_chunk::<4>()?;
                rest.get(..u32::from_le_bytes(*length) as usize)?
            }
            (Form::V2 { levels, .. }, true) => &page[..levels],
            (Form::V1, false) => &[],
            (Form::V2 { levels: 0, .. }, false) => &[],
            (Form::V2 { .. }, false) => return None,
        };
        let start = levels.len() + if self.optional && header.form == Form::V1 { 4 } else { 0 };
        let values = header.rows.checked_mul(self.width)?;
        let whole = page.len() - start >= values && (!self.optional || all_defined(levels, header.rows));
        whole.then_some(start)
    }
}

/// Bytes that a buffer may have which is used again for pages of so many bytes.
pub(crate) fn with_excess(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 8)
}

/// Bytes of a value, where what arrow would decode has the same.
fn plain_width(physical: PhysicalType, data_type: &DataType) -> Option<usize> {
    use DataType::{Date32, Date64, Float32, Float64, Int32, Int64, Time32, Time64, Timestamp, UInt32, UInt64};
    match (physical, data_type) {
        (PhysicalType::FLOAT, Float32) | (PhysicalType::INT32, Int32 | UInt32 | Date32 | Time32(_)) => Some(4),
        (PhysicalType::DOUBLE, Float64)
        | (PhysicalType::INT64, Int64 | UInt64 | Date64 | Time64(_) | Timestamp(..)) => Some(8),
        _ => None,
    }
}
