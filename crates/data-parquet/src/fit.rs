//! How many rows of a row group may be decoded at a time, so that the whole stays within the budget.

use std::ops::Range;
use std::path::Path;

use arrow_schema::DataType;
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::file::metadata::RowGroupMetaData;
use tidemill_data::Error;
use tidemill_data_arrow::Read;

use crate::error::{FileError, Place};
use crate::footer::Footer;
use crate::input::Input;
use crate::lists::ListCost;
use crate::locate::Root;
use crate::pages::{Page, PageFile};
use crate::window::ColumnPages;

/// Rows that are decoded at a time where memory is plentiful: columns of them stay in the caches.
pub(crate) const ROWS: u64 = 8192;

/// Rows at a time below which columns are rather read in turn, and the fewest that are decoded so: the pages that they
/// come from are decoded once more for each turn.
const FEW_ROWS: u64 = 512;
const LEAST_IN_TURN: u64 = 64;
/// The fewest where each turn costs requests.
const LEAST_IN_TURN_AFAR: u64 = 4096;

/// What a column takes beside its pages.
pub(crate) struct Cost {
    name: String,
    leaf: usize,
    per_row: u64,
    /// Decoded rows hold on to the pages that they come from.
    keeps_pages: bool,
    /// What each value takes, where rows have any number of them.
    list: Option<ListCost>,
    /// How often its chunk is read at the same time.
    readers: u64,
    /// Bytes a row of decoded rows alone, where those can be held without the pages that they come from.
    held: Option<u64>,
}

impl Cost {
    /// Those of each leaf that a column takes.
    pub(crate) fn of(read: &Read, root: &Root, footer: &Footer) -> impl Iterator<Item = Self> {
        let times = if root.int96 { 2 } else { 1 };
        let fixed = decoding_bytes(&root.place.data_type).saturating_mul(times);
        let any_length = root.repeated && !matches!(root.place.data_type, DataType::FixedSizeList(..));
        root.leaves().map(move |leaf| {
            let descriptor = footer.head().file_metadata().schema_descr().column(leaf);
            let list = any_length.then(|| ListCost::new(&descriptor));
            let keeps_pages = match &root.place.data_type {
                DataType::List(_) | DataType::FixedSizeList(..) => {
                    descriptor.physical_type() == PhysicalType::BYTE_ARRAY
                }
                one => matches!(one, DataType::Utf8View | DataType::BinaryView),
            };
            let per_row = if any_length { 0 } else { fixed };
            Self { name: read.name.clone(), leaf, per_row, keeps_pages, list, readers: times, held: held_bytes(root) }
        })
    }

    /// That of a leaf that is decoded with all the others of its file.
    pub(crate) fn of_leaf(footer: &Footer, leaf: usize) -> Self {
        let descriptor = footer.head().file_metadata().schema_descr().column(leaf);
        let width = match descriptor.physical_type() {
            PhysicalType::FIXED_LEN_BYTE_ARRAY => u64::from(descriptor.type_length().unsigned_abs()).max(32),
            _ => 16,
        };
        let list = (descriptor.max_rep_level() > 0).then(|| ListCost::new(&descriptor));
        let keeps_pages = descriptor.physical_type() == PhysicalType::BYTE_ARRAY;
        let name = descriptor.path().string();
        Self { name, leaf, per_row: 4 + 2 * width, keeps_pages, list, readers: 1, held: None }
    }
}

/// Bytes that a row of a column takes when it is decoded and nothing else is kept; `None` where it refers to pages or has
/// any length.
pub(crate) fn held_bytes(root: &Root) -> Option<u64> {
    fn held(data_type: &DataType) -> Option<u64> {
        match data_type {
            DataType::Boolean => Some(1),
            DataType::FixedSizeBinary(width) => Some(u64::from(width.unsigned_abs())),
            DataType::FixedSizeList(item, width) => {
                held(item.data_type())?.checked_add(1)?.checked_mul(u64::from(width.unsigned_abs()))
            }
            other => Some(other.primitive_width()?.max(4) as u64),
        }
    }
    if root.leaves().len() != 1 {
        return None;
    }
    // A null takes a byte at most.
    held(&root.place.data_type).map(|bytes| (bytes + 1) * if root.int96 { 2 } else { 1 })
}

/// Bytes that decoding takes a row beside the pages: levels, values as they are in the file, values as arrays.
fn decoding_bytes(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeList(item, width) => {
            let item = decoding_bytes(item.data_type()).saturating_mul(2).saturating_add(4);
            u64::try_from(*width).unwrap_or(0).saturating_mul(item)
        }
        DataType::FixedSizeBinary(width) => 4 + 2 * u64::from(width.unsigned_abs()).max(8),
        // A decimal may be written as bytes of any length up to its own.
        other => 4 + 2 * other.primitive_width().unwrap_or(16).max(8) as u64,
    }
}

/// How a row group is read, and what that takes.
pub(crate) struct Fit {
    /// Rows that are decoded at a time.
    pub(crate) batch: u64,
    pub(crate) bytes: u64,
    /// What pages that are decoded ahead come to.
    pub(crate) ahead: u64,
    /// How far ahead each column is read.
    pub(crate) read_ahead: u64,
    /// Whether columns whose rows can be held alone are decoded one after the other.
    pub(crate) in_turn: bool,
}

/// The chosen columns of one row group.
pub(crate) struct Chunks<'a> {
    pub(crate) path: &'a Path,
    pub(crate) index: usize,
    pub(crate) group: &'a RowGroupMetaData,
    pub(crate) columns: &'a [Cost],
    pub(crate) input: &'a Input,
    pub(crate) budget: u64,
}

impl Chunks<'_> {
    /// The most rows at a time that fit; where none do, what one row takes is above the budget. Of what is left, half
    /// is for reading ahead.
    pub(crate) fn fit(&self, pages: &PageFile, fixed: u64, threads: u64) -> Result<Fit, Error> {
        let Some(Range { start: least, end: most }) = self.input.ahead() else {
            return self.fit_rows(pages, fixed, threads);
        };
        let held = self.held(least);
        let mut fit = self.fit_rows(pages, fixed.saturating_add(held), threads)?;
        fit.ahead = fit.ahead.saturating_add((threads - 1).saturating_mul(self.input.own_bytes()));
        let (taken, windows) = if threads > 1 { (fit.bytes.saturating_add(fit.ahead), 2) } else { (fit.bytes, 1) };
        let left = self.budget.saturating_sub(taken) / 2;
        let more = |size: u64| self.held(size) - held;
        fit.read_ahead = least;
        while fit.read_ahead < most && more(2 * fit.read_ahead).saturating_mul(windows) <= left {
            fit.read_ahead *= 2;
        }
        fit.bytes = fit.bytes.saturating_add(more(fit.read_ahead));
        fit.ahead = fit.ahead.saturating_add(more(fit.read_ahead));
        Ok(fit)
    }

    /// Bytes that are held of all columns that are read so far ahead.
    fn held(&self, ahead: u64) -> u64 {
        let chunk = |column: &Cost| self.group.column(column.leaf).compressed_size().unsigned_abs();
        let held = self.columns.iter().map(|column| ahead.min(chunk(column)).saturating_mul(column.readers));
        held.fold(0, u64::saturating_add)
    }

    fn fit_rows(&self, pages: &PageFile, fixed: u64, threads: u64) -> Result<Fit, Error> {
        let codecs = || self.columns.iter().map(|column| decoder_bytes(self.group.column(column.leaf).compression()));
        let own = codecs().max().unwrap_or(0);
        let unfolding = self.unfolding();
        let ahead = |pages: u64, largest: u64, rows: u64| {
            let helpers = (threads - 1).saturating_mul(largest.saturating_mul(2).saturating_add(own));
            fixed.saturating_add(pages).saturating_add(helpers).saturating_add(rows.saturating_mul(unfolding))
        };
        let fixed_here = fixed + codecs().sum::<u64>();
        let per_row = self.columns.iter().map(|column| column.per_row).fold(0, u64::saturating_add);
        let most = self.group.num_rows().unsigned_abs().min(ROWS);
        for column in self.columns {
            self.check_values(column, pages)?;
        }
        // What the footer says of whole chunks mostly does, and costs no reading.
        let (bound, largest) = self.bound();
        let bytes = bound.saturating_add(fixed_here).saturating_add(most.saturating_mul(per_row));
        let fit = Fit { batch: most, bytes, ahead: ahead(bound, largest, most), read_ahead: 0, in_turn: false };
        if bytes.saturating_add(if threads > 1 { fit.ahead } else { 0 }) <= self.budget {
            return Ok(fit);
        }
        let columns = self.columns.iter().map(|column| self.column_pages(column, pages));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let largest = columns.iter().map(|column| column.largest).max().unwrap_or(0);
        let pages = |rows: u64| columns.iter().map(|column| column.bytes(rows)).fold(0, u64::saturating_add);
        let need = |rows: u64| {
            let turning = largest.saturating_mul(2);
            fixed_here.saturating_add(pages(rows)).saturating_add(turning).saturating_add(rows.saturating_mul(per_row))
        };
        let mut rows = most;
        while rows > 1 && need(rows) > self.budget {
            rows /= 2;
        }
        let all = Fit {
            batch: rows,
            bytes: need(rows),
            ahead: ahead(pages(rows), largest, rows),
            read_ahead: 0,
            in_turn: false,
        };
        if all.bytes <= self.budget && rows >= most.min(FEW_ROWS) {
            return Ok(all);
        }
        let turns = self.fit_in_turn(&columns, fixed);
        let is_better = |turns: &Fit| turns.bytes <= self.budget || turns.bytes < all.bytes;
        Ok(turns.filter(is_better).unwrap_or(all))
    }

    /// The most rows at a time where columns are decoded one after the other, so that the pages of one are in memory with
    /// the rows of all; `None` where no column can be.
    fn fit_in_turn(&self, columns: &[ColumnPages], fixed: u64) -> Option<Fit> {
        let both = || self.columns.iter().zip(columns);
        let decoding = |(cost, pages): (&Cost, &ColumnPages), rows: u64| {
            let own = decoder_bytes(self.group.column(cost.leaf).compression());
            let open = own.saturating_add(pages.bytes(rows)).saturating_mul(cost.readers);
            open.saturating_add(rows.saturating_mul(cost.per_row))
        };
        let held = both().filter_map(|(cost, _)| cost.held).reduce(u64::saturating_add)?;
        let turning = columns.iter().map(|pages| pages.largest).max().unwrap_or(0).saturating_mul(2);
        let need = |rows: u64| {
            let open = both().filter(|(cost, _)| cost.held.is_none()).map(|both| decoding(both, rows));
            let one = both().filter(|(cost, _)| cost.held.is_some()).map(|both| decoding(both, rows)).max();
            let kept = fixed.saturating_add(turning).saturating_add(rows.saturating_mul(held));
            open.chain(one).fold(kept, u64::saturating_add)
        };
        let all = self.group.num_rows().unsigned_abs();
        let least = if self.input.ahead().is_some() { LEAST_IN_TURN_AFAR } else { LEAST_IN_TURN };
        let (mut rows, least) = (all, all.min(least));
        while rows > least && need(rows) > self.budget {
            rows = rows.div_ceil(2).max(least);
        }
        // Nothing is decoded ahead.
        Some(Fit { batch: rows, bytes: need(rows), ahead: u64::MAX, read_ahead: 0, in_turn: true })
    }

    /// Bytes a row of the columns whose pages unfold when they are decoded, for they refer to a dictionary or have nulls.
    fn unfolding(&self) -> u64 {
        let unfolds = |column: &&Cost| {
            let chunk = self.group.column(column.leaf);
            let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
            chunk.dictionary_page_offset().is_some() || chunk.column_descr().max_def_level() > 0 && nulls != Some(0)
        };
        self.columns.iter().filter(unfolds).map(|column| column.per_row).fold(0, u64::saturating_add)
    }

    /// More than all pages of the row group can take, and the largest of them, by what the footer says of them.
    fn bound(&self) -> (u64, u64) {
        let values = |column: &Cost| {
            let values = self.group.column(column.leaf).num_values().unsigned_abs();
            column.list.as_ref().map_or(0, |list| values.saturating_mul(list.per_value))
        };
        let lists = self.columns.iter().map(values).fold(0, u64::saturating_add);
        let bytes = |column: &Cost| {
            let chunk = self.group.column(column.leaf);
            chunk.uncompressed_size().max(chunk.compressed_size()).unsigned_abs()
        };
        let sum = self.columns.iter().map(bytes).fold(0, u64::saturating_add);
        let largest = self.columns.iter().map(bytes).max().unwrap_or(0);
        (sum.saturating_add(largest).saturating_mul(2).saturating_add(lists), largest)
    }

    /// Lists take memory by their values: there are no more of them than the footer says.
    fn check_values(&self, column: &Cost, pages: &PageFile) -> Result<(), Error> {
        if column.list.is_none() {
            return Ok(());
        }
        let found = self.pages_of(column, pages)?;
        let (said, found) = (self.group.column(column.leaf).num_values(), data_values(&found));
        if i64::try_from(found) == Ok(said) {
            return Ok(());
        }
        let problem = format!("its pages are said to have {found} values, the footer says {said}");
        Err(Place::column(self.path, self.index, &column.name).damaged(problem).into())
    }

    fn column_pages(&self, column: &Cost, pages: &PageFile) -> Result<ColumnPages, Error> {
        let mut found = self.pages_of(column, pages)?;
        let Some(list) = &column.list else { return Ok(ColumnPages::new(found, column.keeps_pages)) };
        let chunk = self.group.column(column.leaf);
        let counted = list.count_rows(&mut found, &self.whole(column, pages), chunk);
        let damaged = |problem| Place::column(self.path, self.index, &column.name).damaged(problem);
        counted.map_err(|problem| pages.take_failed().unwrap_or_else(|| damaged(problem)))?;
        Ok(ColumnPages::of_lists(found, column.keeps_pages, list.per_value))
    }

    /// A column's chunk, to be looked at from end to end before any other is read.
    fn whole(&self, column: &Cost, pages: &PageFile) -> PageFile {
        let (start, bytes) = self.group.column(column.leaf).byte_range();
        let ahead = self.input.ahead().map_or(0, |ahead| (self.budget / 8).clamp(ahead.start, ahead.end));
        pages.of_column(start..start.saturating_add(bytes), ahead)
    }

    fn pages_of(&self, column: &Cost, pages: &PageFile) -> Result<Vec<Page>, Error> {
        let (start, bytes) = self.group.column(column.leaf).byte_range();
        let place = || Place::column(self.path, self.index, &column.name);
        let failed = |error| pages.take_failed().unwrap_or_else(|| FileError::io(self.path, error));
        let found = self.whole(column, pages).pages(start, bytes).map_err(failed)?;
        Ok(found.ok_or_else(|| place().damaged("the header of a page is malformed"))?)
    }
}

/// A decompressor's own memory.
fn decoder_bytes(compression: Compression) -> u64 {
    match compression {
        Compression::ZSTD(_) => 160 << 10,
        Compression::BROTLI(_) | Compression::GZIP(_) => 64 << 10,
        _ => 8 << 10,
    }
}

fn data_values(pages: &[Page]) -> u64 {
    pages.iter().filter(|page| !page.dictionary).map(|page| page.values).fold(0, u64::saturating_add)
}
