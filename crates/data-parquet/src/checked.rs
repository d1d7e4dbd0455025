//! Pages on their way to arrow, held against what they say of themselves: that decoder makes room for as many values as
//! a page claims, and for whatever comes out of some decompressors.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use crate::delta;
use crate::pages::PageFile;

/// The only row group of the metadata, for arrow.
pub(crate) struct CheckedGroup {
    pub(crate) pages: PageFile,
    /// How far ahead each column is read.
    pub(crate) ahead: u64,
    pub(crate) metadata: Arc<ParquetMetaData>,
}

impl RowGroups for CheckedGroup {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata.row_group(0).num_rows()).unwrap_or(0)
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let chunk = self.metadata.row_group(0).column(column);
        let (start, bytes) = chunk.byte_range();
        let pages = self.pages.of_column(start..start.saturating_add(bytes), self.ahead);
        let pages = CheckedPages::open(pages, chunk, self.num_rows())?;
        Ok(Box::new(Once(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// The pages of one chunk.
struct Once(Option<Box<dyn PageReader>>);

impl Iterator for Once {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for Once {}

/// The pages of a chunk, each held against its header.
pub(crate) struct CheckedPages {
    inner: SerializedPageReader<PageFile>,
    pages: PageFile,
    unpack: Option<Unpack>,
    descriptor: ColumnDescPtr,
}

impl CheckedPages {
    /// Opens the pages of a chunk of a row group of so many rows.
    pub(crate) fn open(pages: PageFile, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Self> {
        let (unpack, chunk) = match Unpack::of(chunk.compression()) {
            // The library hands on the bytes as they are.
            Some(unpack) => {
                (Some(unpack), chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?)
            }
            None => (None, chunk.clone()),
        };
        let descriptor = chunk.column_descr_ptr();
        let inner = SerializedPageReader::new(Arc::new(pages.clone()), &chunk, rows, None)?;
        Ok(Self { inner, pages, unpack, descriptor })
    }

    fn unpacked(&self, mut page: Page) -> Result<Page> {
        let Some(unpack) = self.unpack else { return Ok(page) };
        let declared = self.pages.declared();
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = unpack.unpack(buf, 0, declared)?,
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, is_compressed: true, .. } => {
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                *buf = unpack.unpack(buf, levels, declared)?;
            }
            Page::DataPageV2 { .. } => {}
        }
        Ok(page)
    }

    fn checked(&self, page: Page) -> Result<Page> {
        match &page {
            Page::DictionaryPage { buf, num_values, .. } => {
                let width = least_width(self.descriptor.physical_type(), self.descriptor.type_length());
                if u64::from(*num_values).saturating_mul(width) > buf.len() as u64 {
                    return refuse(format!("a dictionary of {} bytes is said to hold {num_values} values", buf.len()));
                }
            }
            Page::DataPage { num_values, encoding, .. } | Page::DataPageV2 { num_values, encoding, .. } => {
                let delta = matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY);
                if delta {
                    self.check_lengths(&page, *num_values, *encoding)?;
                }
            }
        }
        Ok(page)
    }

    /// The lengths of all values of a page are decoded at once.
    fn check_lengths(&self, page: &Page, values: u32, encoding: Encoding) -> Result<()> {
        let bytes = u64::from(values) * 8;
        if bytes > self.pages.largest_page() {
            self.pages.refuse(bytes);
            return refuse(format!("a page of {values} values"));
        }
        let lists = if encoding == Encoding::DELTA_BYTE_ARRAY { 2 } else { 1 };
        check_counts(self.values(page).unwrap_or_default(), lists, values)
    }

    /// What is behind the levels of a data page.
    fn values<'a>(&self, page: &'a Page) -> Option<&'a [u8]> {
        match page {
            Page::DataPage { buf, num_values, rep_level_encoding, def_level_encoding, .. } => {
                let rest = after_levels(buf, self.descriptor.max_rep_level(), *rep_level_encoding, *num_values)?;
                after_levels(rest, self.descriptor.max_def_level(), *def_level_encoding, *num_values)
            }
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                buf.get((*def_levels_byte_len as usize).checked_add(*rep_levels_byte_len as usize)?..)
            }
            Page::DictionaryPage { buf, .. } => Some(buf),
        }
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        page.map(|page| self.unpacked(page).and_then(|page| self.checked(page))).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

fn refuse<R>(problem: String) -> Result<R> {
    Err(ParquetError::General(problem))
}

/// Checks that lists of lengths, one behind the other, are of no more values than the page.
fn check_counts(mut bytes: &[u8], lists: usize, values: u32) -> Result<()> {
    for _ in 0..lists {
        let Some((count, end)) = delta::walk(bytes) else { return refuse("the lengths of a page are cut off".into()) };
        if count > u64::from(values) {
            return refuse(format!("a page of {values} values is said to hold {count} lengths"));
        }
        bytes = &bytes[end..];
    }
    Ok(())
}

/// Bytes that a value takes in a dictionary, at least.
fn least_width(physical: PhysicalType, length: i32) -> u64 {
    match physical {
        PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
        PhysicalType::INT96 => 12,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => length.max(1).unsigned_abs().into(),
        PhysicalType::BOOLEAN => 1,
        PhysicalType::INT32 | PhysicalType::FLOAT | PhysicalType::BYTE_ARRAY => 4,
    }
}

/// What follows the levels of a page of the first form.
fn after_levels(bytes: &[u8], highest: i16, encoding: Encoding, values: u32) -> Option<&[u8]> {
    if highest == 0 {
        return Some(bytes);
    }
    if encoding == Encoding::RLE {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        return rest.get(u32::from_le_bytes(*length) as usize..);
    }
    let bits = u64::from(i16::BITS - highest.leading_zeros());
    bytes.get(usize::try_from((u64::from(values) * bits).div_ceil(8)).ok()?..)
}

/// Formats of compression whose decoders give as much as there is, whatever the page's header says.
#[derive(Clone, Copy)]
enum Unpack {
    Gzip,
    Brotli,
}

impl Unpack {
    fn of(compression: Compression) -> Option<Self> {
        match compression {
            Compression::GZIP(_) => Some(Self::Gzip),
            Compression::BROTLI(_) => Some(Self::Brotli),
            _ => None,
        }
    }

    /// A page of `declared` bytes, of which the first `levels` are not compressed.
    fn unpack(self, bytes: &Bytes, levels: u64, declared: u64) -> Result<Bytes> {
        let levels = usize::try_from(levels).ok().filter(|&levels| levels <= bytes.len() && levels as u64 <= declared);
        let Some(levels) = levels else { return refuse("its levels are said to be longer than the page".into()) };
        let (head, packed) = bytes.split_at(levels);
        let left = declared - levels as u64;
        let mut page = Vec::new();
        page.reserve_exact(usize::try_from(declared)? + 1);
        page.extend_from_slice(head);
        // Nothing compressed stands for nothing.
        if left > 0 {
            match self {
                Self::Gzip => flate2::read::MultiGzDecoder::new(packed).take(left + 1).read_to_end(&mut page)?,
                Self::Brotli => {
                    let buffer = usize::try_from(left.min(64 << 10))?;
                    brotli::Decompressor::new(packed, buffer).take(left + 1).read_to_end(&mut page)?
                }
            };
        }
        if page.len() as u64 != declared {
            let more = if page.len() as u64 > declared { "more" } else { "fewer" };
            return refuse(format!("a page of {declared} bytes holds {more}"));
        }
        Ok(page.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn counts_of_lengths() {
        // Blocks of 2³¹ numbers in one part of no bits: a few bytes that stand for as many lengths as they like.
        let many = [0x80, 0x80, 0x80, 0x80, 0x08, 1, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0];
        let three = [0x80, 1, 4, 3, 0, 0, 0, 0, 0, 0];
        let outcome = |bytes: &[u8], lists, values| check_counts(bytes, lists, values).map_err(|e| e.to_string());
        assert_eq!(outcome(&three, 1, 3), Ok(()));
        assert_eq!(outcome(&[three, three].concat(), 2, 3), Ok(()));
        for (bytes, lists, values) in [(&three[..], 1, 2), (&three, 2, 3), (&many, 1, 1000), (&[], 1, 3)] {
            assert!(outcome(bytes, lists, values).is_err(), "{bytes:?}");
        }
        let mixed = [&three[..], &many].concat();
        assert!(outcome(&mixed, 2, 3).unwrap_err().contains("268435455 lengths"));
    }

    /// What expands to more than is said is not expanded.
    #[test]
    fn pages_that_expand_without_end() {
        let zeros = vec![0; 4 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&zeros).unwrap();
        let mut brotli = Vec::new();
        brotli::CompressorWriter::new(&mut brotli, 4096, 9, 22).write_all(&zeros).unwrap();
        for (unpack, packed) in [(Unpack::Gzip, gzip.finish().unwrap()), (Unpack::Brotli, brotli)] {
            assert!(packed.len() < 8000);
            let page = Bytes::from([&[7, 7, 7], &packed[..]].concat());
            let outcome = |declared| unpack.unpack(&page, 3, declared).map_err(|e| e.to_string());
            let whole = zeros.len() as u64 + 3;
            assert_eq!(outcome(whole).unwrap().len() as u64, whole);
            assert!(outcome(1000).unwrap_err().contains("holds more"));
            assert!(outcome(whole + 1).unwrap_err().contains("holds fewer"));
            assert!(outcome(2).unwrap_err().contains("longer than the page"));
            assert!(unpack.unpack(&Bytes::from_static(b"nonsense"), 0, 100).is_err());
        }
    }
}
