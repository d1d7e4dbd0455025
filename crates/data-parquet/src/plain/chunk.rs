use arrow_schema::DataType;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::file::metadata::ColumnChunkMetaData;

use super::Declined;
use super::codec::{Codec, Scratch};
use super::header::{Data, Form, Header, Page, Values};
use super::pieces::{Parts, Pieces, PlainPage, make_room, pad};
use super::runs::SLACK;
use crate::pages::PageFile;

/// Bytes of a header that are read at first; statistics inside can make it longer.
const HEADER_BYTES: usize = 256;
const LONG_HEADER_BYTES: usize = 4096;

/// The column chunk of one row group, read page by page, or a page piece by piece.
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
    dictionary: Dictionary,
    /// Rows that are decoded at a time of pages whose values are not taken as they are.
    piece: usize,
    /// Whether there are such pages.
    unfolds: bool,
    /// The page that is decoded piece by piece, as it is in the file.
    encoded: Vec<u8>,
    pieces: Option<Pieces>,
    /// Rows in front of the first that is wanted.
    pass: usize,
}

/// The values that pages refer to.
enum Dictionary {
    None,
    /// It begins here, and is read when a page refers to it.
    At(u64, Header),
    Read(Vec<u8>),
}

impl PlainChunk {
    /// Begins to read a column chunk, `piece` rows at a time of pages that unfold and `ahead` bytes where those come from
    /// afar; `None` where it is said to be something else than numbers, or is broken.
    pub(crate) fn open(
        file: &PageFile,
        chunk: &ColumnChunkMetaData,
        data_type: &DataType,
        piece: usize,
        ahead: u64,
    ) -> Option<Self> {
        let descriptor = chunk.column_descr();
        let is_known = |encoding| {
            use Encoding::{PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY};
            matches!(encoding, PLAIN | RLE | RLE_DICTIONARY | PLAIN_DICTIONARY)
        };
        if !chunk.encodings().all(is_known) || descriptor.max_rep_level() > 0 || descriptor.max_def_level() > 1 {
            return None;
        }
        let (at, bytes) = chunk.byte_range();
        let end = at.checked_add(bytes)?;
        let mut opened = Self {
            file: file.of_column(at..end, ahead),
            codec: Codec::new(chunk.compression())?,
            width: plain_width(chunk.column_type(), data_type)?,
            optional: descriptor.max_def_level() == 1,
            header: None,
            at,
            end,
            largest: 0,
            dictionary: Dictionary::None,
            piece,
            unfolds: false,
            encoded: Vec::new(),
            pieces: None,
            pass: 0,
        };
        opened.data_page().ok()?;
        Some(opened)
    }

    /// Whether no row is left.
    pub(crate) fn is_over(&self) -> bool {
        self.pieces.is_none() && self.header.is_none() && self.at >= self.end
    }

    /// Passes over rows, by the headers of their pages.
    pub(crate) fn skip(&mut self, mut rows: u64) -> Result<(), Declined> {
        loop {
            let (header, data) = self.data_page()?;
            if rows < data.rows as u64 {
                self.pass = rows as usize;
                return Ok(());
            }
            rows -= data.rows as u64;
            self.leave(header);
        }
    }

    /// The buffer of a page of any chunk, as one for this chunk: what is much larger than its pages is freed.
    pub(crate) fn fit(&self, page: PlainPage) -> PlainPage {
        let largest = if self.unfolds { self.piece * self.width } else { self.largest };
        if page.bytes.capacity() as u64 > with_excess(largest as u64) { PlainPage::default() } else { page }
    }

    /// Reads the next page that has rows, or the next piece of one.
    pub(crate) fn next(&mut self, scratch: &mut Scratch, page: &mut PlainPage) -> Result<(), Declined> {
        page.width = self.width;
        while self.pieces.is_none() {
            let (header, data) = self.data_page()?;
            if self.open_page(header, data, scratch, page)? {
                page.pass(std::mem::take(&mut self.pass));
                return Ok(());
            }
        }
        loop {
            self.next_piece(scratch, page)?;
            let pass = self.pass.min(page.rows);
            self.pass -= pass;
            page.pass(pass);
            if page.rows > 0 {
                return Ok(());
            }
        }
    }

    /// Reads a page, as a whole where its values can be taken as they are; otherwise its pieces follow.
    fn open_page(
        &mut self,
        header: Header,
        data: Data,
        scratch: &mut Scratch,
        page: &mut PlainPage,
    ) -> Result<bool, Declined> {
        self.unfolds |= data.values == Values::Places || matches!(data.form, Form::V2 { nulls: 1.., .. });
        if self.unfolds {
            *page = self.fit(std::mem::take(page));
            page.width = self.width;
            self.load_dictionary(scratch)?;
        } else {
            page.clear(header.uncompressed + SLACK);
            // What was there in pieces is not needed while pages are whole.
            self.encoded = std::mem::take(&mut page.bytes);
        }
        make_room(&mut self.encoded, header.uncompressed + SLACK);
        read_page(&self.file, self.at, self.codec, header, scratch, &mut self.encoded)?;
        self.leave(header);
        let end = self.encoded.len();
        pad(&mut self.encoded);
        let parts = Parts::find(data, self.optional, &self.encoded, end).ok_or(Declined)?;
        if !self.unfolds
            && let Some(start) = parts.whole(self.width)
        {
            page.bytes = std::mem::take(&mut self.encoded);
            (page.start, page.rows) = (start, data.rows);
            return Ok(true);
        }
        self.unfolds = true;
        self.pieces = Some(Pieces::new(parts, data.values, &self.encoded, self.width).ok_or(Declined)?);
        Ok(false)
    }

    fn next_piece(&mut self, scratch: &mut Scratch, page: &mut PlainPage) -> Result<(), Declined> {
        let pieces = self.pieces.as_mut().ok_or(Declined)?;
        let dictionary = match &self.dictionary {
            Dictionary::Read(values) => values.as_slice(),
            _ => &[],
        };
        pieces.next(&self.encoded, dictionary, self.piece, scratch, page)?;
        if pieces.left() == 0 {
            self.pieces = None;
        }
        Ok(())
    }

    fn load_dictionary(&mut self, scratch: &mut Scratch) -> Result<(), Declined> {
        let Dictionary::At(at, header) = self.dictionary else { return Ok(()) };
        let Page::Dictionary { values } = header.page else { return Err(Declined) };
        let mut bytes = Vec::with_capacity(header.uncompressed);
        read_page(&self.file, at, self.codec, header, scratch, &mut bytes)?;
        if bytes.len() != values * self.width {
            return Err(Declined);
        }
        self.dictionary = Dictionary::Read(bytes);
        Ok(())
    }

    fn leave(&mut self, header: Header) {
        self.at += (header.bytes + header.compressed) as u64;
        self.header = None;
    }

    /// The header of the next data page that has rows; a dictionary in front of it is noted.
    fn data_page(&mut self) -> Result<(Header, Data), Declined> {
        loop {
            let header = self.read_header()?;
            match (header.page, &self.dictionary) {
                (Page::Data(data), _) if data.rows > 0 => return Ok((header, data)),
                (Page::Data(_), _) => self.leave(header),
                (Page::Dictionary { .. }, Dictionary::None) => {
                    self.dictionary = Dictionary::At(self.at, header);
                    self.leave(header);
                }
                (Page::Dictionary { .. }, _) => return Err(Declined),
            }
        }
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
}

/// Appends the bytes of the page whose header is at `at`, levels included.
fn read_page(
    file: &PageFile,
    at: u64,
    codec: Codec,
    header: Header,
    scratch: &mut Scratch,
    to: &mut Vec<u8>,
) -> Result<(), Declined> {
    let Header { compressed, uncompressed, page, .. } = header;
    let (codec, levels) = match page {
        Page::Data(Data { form: Form::V2 { levels, is_compressed, .. }, .. }) => {
            (if is_compressed { codec } else { Codec::None }, levels)
        }
        _ => (codec, 0),
    };
    if levels > compressed.min(uncompressed) {
        return Err(Declined);
    }
    let room = scratch.room(compressed);
    file.read_exact_at(at + header.bytes as u64, room).map_err(|_| Declined)?;
    to.extend_from_slice(&room[..levels]);
    scratch.decompress(codec, levels..compressed, to, uncompressed - levels)
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
