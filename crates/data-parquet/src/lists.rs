//! How many rows and values pages of lists have: any row may have any number of values, and memory goes by those.

use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::column::page::{Page as DecodedPage, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescriptor;

use crate::checked::CheckedPages;
use crate::error::guarded;
use crate::pages::{Page, PageFile};
use crate::varint::varint;

/// What the values of lists take while they are decoded.
pub(crate) struct ListCost {
    /// Bytes of a value: both levels, offsets of the lists around it, and itself as it is in the file and as an array.
    pub(crate) per_value: u64,
    levels: i16,
}

impl ListCost {
    /// Bytes of a page that is looked at to count rows though the budget is less: what is missing can then be told.
    pub(crate) const LARGEST_COUNTED: u64 = 16 << 20;

    pub(crate) fn new(leaf: &ColumnDescriptor) -> Self {
        let width = match leaf.physical_type() {
            // A decimal becomes one of up to 32 bytes.
            PhysicalType::FIXED_LEN_BYTE_ARRAY => u64::from(leaf.type_length().unsigned_abs()).max(32),
            // A view, and a third of two lengths, as some pages have them in front of the texts.
            PhysicalType::BYTE_ARRAY => 16 + 3,
            PhysicalType::INT96 => 16,
            _ => 8,
        };
        let levels = leaf.max_rep_level();
        // A vector that grows doubles: for a moment it has three times its length, and twice afterwards. The decoder
        // collects two levels of 2 bytes and two bits, of which one grows at a time, and the value; then, for each list
        // around it, makes an offset of 8 bytes at most, a copy of that, and a bit.
        Self { per_value: 12 + 17 * levels.unsigned_abs() as u64 + 3 * width, levels }
    }

    /// Counts the rows that begin in each data page, by their levels where the headers do not say. Of pages that are
    /// too large to be looked at it is not known: one row may have all values.
    pub(crate) fn count_rows(
        &self,
        pages: &mut [Page],
        file: &PageFile,
        chunk: &ColumnChunkMetaData,
    ) -> std::result::Result<(), String> {
        if pages.iter().all(|page| page.dictionary || page.rows.is_some()) {
            return Ok(());
        }
        let counted = guarded(|| {
            let rows = usize::try_from(chunk.num_values()).unwrap_or(0);
            let mut reader = CheckedPages::open(file.clone(), chunk, rows)?;
            for page in pages.iter_mut().filter(|page| !page.dictionary) {
                let begun = loop {
                    match reader.get_next_page()? {
                        Some(DecodedPage::DictionaryPage { .. }) => {}
                        Some(decoded) => break self.begun(&decoded),
                        None => return Err(ParquetError::EOF("a page is missing".into())),
                    }
                };
                page.rows = Some(begun?);
            }
            Ok::<_, ParquetError>(())
        });
        match counted {
            Err(_) if file.take_refused().is_some() => {
                pages.iter_mut().for_each(|page| page.rows = page.rows.or(Some(0)));
                Ok(())
            }
            counted => counted,
        }
    }

    fn begun(&self, page: &DecodedPage) -> Result<u64> {
        match page {
            DecodedPage::DataPage { buf, num_values, rep_level_encoding: Encoding::RLE, .. } => {
                let levels = buf
                    .split_first_chunk::<4>()
                    .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?));
                let bits = 16 - self.levels.leading_zeros();
                let zeros = levels.and_then(|levels| zeros(levels, bits, u64::from(*num_values)));
                zeros.ok_or_else(|| ParquetError::General("the levels of a page are malformed".into()))
            }
            // Of packed levels, as no writer has them any more, it is not known: one row may have all values.
            DecodedPage::DataPage { .. } => Ok(0),
            DecodedPage::DataPageV2 { num_rows, .. } => Ok(u64::from(*num_rows)),
            DecodedPage::DictionaryPage { .. } => Ok(0),
        }
    }
}

/// How many of so many levels, run-length encoded or packed, are zero.
fn zeros(mut bytes: &[u8], bits: u32, mut left: u64) -> Option<u64> {
    let (width, mut zeros) = (bits.div_ceil(8) as usize, 0);
    while left > 0 {
        let (head, length) = varint(bytes)?;
        let (count, rest) = (head >> 1, &bytes[length..]);
        if head & 1 == 0 {
            let (value, rest) = rest.split_at_checked(width)?;
            let run = count.min(left);
            zeros += if value.iter().all(|&byte| byte == 0) { run } else { 0 };
            (left, bytes) = (left - run, rest);
            if count == 0 {
                return None;
            }
        } else {
            let packed = usize::try_from(count.checked_mul(u64::from(bits))?).ok()?;
            // The last run may be cut where its levels end.
            let (packed, rest) = rest.split_at(packed.min(rest.len()));
            let run = (packed.len() as u64 * 8 / u64::from(bits)).min(left);
            if run == 0 {
                return None;
            }
            let level = |index: u64| {
                let bit = |bit: u64| packed[(bit / 8) as usize] >> (bit % 8) & 1;
                (index * u64::from(bits)..(index + 1) * u64::from(bits)).all(|at| bit(at) == 0)
            };
            zeros += (0..run).filter(|&index| level(index)).count() as u64;
            (left, bytes) = (left - run, rest);
        }
    }
    Some(zeros)
}

#[cfg(test)]
mod tests {
    use super::zeros;

    #[test]
    fn zeros_in_runs_and_packed_levels() {
        for (bytes, bits, levels, expected) in [
            (&[20, 0][..], 1, 10, Some(10)),
            (&[20, 1][..], 1, 10, Some(0)),
            (&[20, 0, 6, 1], 1, 13, Some(10)),
            (&[3, 0b0110_1110], 1, 8, Some(3)),
            (&[3, 0b0110_1110], 1, 5, Some(2)),
            (&[3, 0b0110_1100, 0b0000_0001], 2, 8, Some(4)),
            (&[20, 0], 1, 11, None),
            (&[0, 0], 1, 1, None),
            (&[], 1, 1, None),
            (&[0xff; 9], 1, 9, None),
        ] {
            assert_eq!(zeros(bytes, bits, levels), expected, "{bytes:?} {bits} {levels}");
        }
    }
}
