//! How many rows of each row group may be decoded at a time, so that the whole stays within the budget.

use std::ops::Range;
use std::path::Path;

use arrow_schema::DataType;
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::file::metadata::RowGroupMetaData;
use tidemill_data::{Error, Predicate};
use tidemill_data_arrow::{Columns, Layout, Read};

use crate::blocks::Cut;
use crate::damage::{Damage, DamageReport, OnDamage};
use crate::error::{FileError, Place};
use crate::footer::{Footer, Statistics};
use crate::input::{Input, Location};
use crate::lists::ListCost;
use crate::locate::Root;
use crate::outline::Fingerprint;
use crate::pages::{Page, PageFile};
use crate::plain::with_excess;
use crate::prune::{self, PassedOver};

/// Rows that are decoded at a time where memory is plentiful: columns of them stay in the caches.
const ROWS: u64 = 8192;

/// Rows that are converted together where few are asked for.
const STAGED: usize = 256;

/// A row group that has rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Among the files.
    pub(crate) file: usize,
    /// Among the file's row groups.
    pub(crate) index: usize,
    /// Where the file's footer has it.
    pub(crate) footer: Range<u64>,
    /// Rows in front of it, in all files.
    pub(crate) first: u64,
    pub(crate) rows: u64,
    /// Rows that arrow decodes at a time.
    pub(crate) batch: usize,
    /// Bytes that reading it takes, and what comes to that while the first page of each column, or the one behind that
    /// in use, is decoded ahead.
    pub(crate) bytes: u64,
    pub(crate) ahead: u64,
    /// How far ahead each column is read where its bytes come from afar.
    pub(crate) read_ahead: u64,
}

/// A file, and how it is known again.
#[derive(Debug)]
pub(crate) struct KnownFile {
    pub(crate) location: Location,
    pub(crate) print: Fingerprint,
    /// Where the footer has its row groups.
    pub(crate) list: Range<u64>,
}

/// All that is to be read, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) files: Vec<KnownFile>,
    pub(crate) layout: Layout,
    pub(crate) groups: Vec<Group>,
    pub(crate) rows: u64,
    /// How row groups are cut, where they are shuffled.
    pub(crate) cut: Option<Cut>,
    pub(crate) budget: u64,
    /// Row groups of which no row can meet it are not in the plan.
    condition: Option<Predicate>,
    pub(crate) passed_over: PassedOver,
    /// Threads that decode, with the one that asks for rows.
    pub(crate) threads: usize,
    /// Rows that are converted together where few are asked for; none where that could take any amount of memory.
    pub(crate) staged: usize,
    pub(crate) on_damage: OnDamage,
    /// What was left out.
    pub(crate) damage: DamageReport,
    /// Whether plain numbers are left to arrow too, for comparison.
    #[cfg(test)]
    pub(crate) arrow_alone: bool,
}

impl Plan {
    /// Opens every file once.
    pub(crate) fn new(
        files: Vec<Location>,
        columns: Columns,
        budget: u64,
        threads: usize,
        on_damage: OnDamage,
        condition: Option<&Predicate>,
    ) -> Result<Self, Error> {
        let layout = Self::layout(&files, columns, budget, on_damage)?;
        Self::of(files, layout, budget, threads, on_damage, condition)
    }

    fn of(
        files: Vec<Location>,
        layout: Layout,
        budget: u64,
        threads: usize,
        on_damage: OnDamage,
        condition: Option<&Predicate>,
    ) -> Result<Self, Error> {
        let mut plan = Self {
            files: Vec::new(),
            layout,
            groups: Vec::new(),
            rows: 0,
            cut: None,
            budget,
            condition: condition.cloned(),
            passed_over: PassedOver::default(),
            threads,
            staged: 0,
            on_damage,
            damage: DamageReport::default(),
            #[cfg(test)]
            arrow_alone: false,
        };
        let row = plan.layout.row_bytes();
        plan.staged = if row.is_some() { STAGED } else { 0 };
        let staged = row.unwrap_or(0).saturating_mul(2 * STAGED as u64);
        let mut short = None;
        for file in files {
            plan.add(&file, staged, &mut short)?;
        }
        plan.layout.end()?;
        if plan.layout.row_bytes().is_none() {
            plan.staged = 0;
        }
        match short {
            None => Ok(plan),
            Some(Need { bytes, place }) => Err(over_budget(&place, bytes, budget)),
        }
    }

    /// Finds the columns in the first file, or the first that can be opened where others are left out. Whether any are
    /// null is for the row groups of all files to say.
    fn layout(files: &[Location], columns: Columns, budget: u64, on_damage: OnDamage) -> Result<Layout, Error> {
        let mut files = files.iter();
        let footer = loop {
            let file = files.next().ok_or_else(|| Error::invalid("files", "none of them can be opened as Parquet"))?;
            match Footer::open(file, budget) {
                Ok((footer, _)) => break footer,
                Err(error) if files.len() == 0 => return Err(error),
                Err(error) => on_damage.excuse(error, None)?,
            };
        };
        let mut layout = Layout::begin(columns, &footer.path().display().to_string(), &footer.schema)?;
        for read in 0..layout.reads().len() {
            layout.set_nullable(read, false);
        }
        Ok(layout)
    }

    /// The place of the row group that a row is in, which must exist.
    pub(crate) fn group_of(&self, row: u64) -> usize {
        self.groups.partition_point(|group| group.first <= row) - 1
    }

    /// Whether plain numbers are read without arrow.
    pub(crate) fn reads_plain(&self) -> bool {
        #[cfg(test)]
        return !self.arrow_alone;
        #[cfg(not(test))]
        true
    }

    /// Whether pages of a row group may be decoded ahead while another, or the same, is read.
    pub(crate) fn reads_ahead(&self, read: usize, ahead: usize) -> bool {
        self.threads > 1 && self.groups[read].bytes.saturating_add(self.groups[ahead].ahead) <= self.budget
    }

    /// Bytes that reading takes at most, of the budget.
    pub(crate) fn reading_bytes(&self) -> u64 {
        let most = |of: fn(&Group) -> u64| self.groups.iter().map(of).max().unwrap_or(0);
        let (here, ahead) = (most(|group| group.bytes), most(|group| group.ahead));
        let ahead = if self.threads > 1 { ahead } else { 0 };
        let footers = self.files.iter().map(|file| file.print.bytes).max().unwrap_or(0);
        // Where there is no room for both, nothing is decoded ahead.
        here.saturating_add(ahead).min(self.budget).max(here).max(footers)
    }

    /// Bytes that are remembered of files, row groups and blocks, beside the budget.
    pub(crate) fn known_bytes(&self) -> u64 {
        let files = self.files.iter().map(|file| file.location.memory_size()).sum::<usize>();
        let files = files + self.files.capacity() * size_of::<KnownFile>();
        let groups = self.groups.capacity() * size_of::<Group>();
        (files + groups + self.cut.as_ref().map_or(0, Cut::memory_size)) as u64
    }

    /// The same within another budget.
    pub(crate) fn within(&self, budget: u64) -> Result<Self, Error> {
        let files = self.files.iter().map(|file| file.location.clone()).collect();
        let condition = self.condition.as_ref();
        let mut plan = Self::of(files, self.layout.clone(), budget, self.threads, self.on_damage, condition)?;
        for (old, new) in self.files.iter().zip(&plan.files) {
            if old.print != new.print {
                let (path, problem) = (old.location.path.clone(), "its footer is another".into());
                return Err(FileError::Changed { path, problem }.into());
            }
        }
        if !self.damage.is_empty() {
            let mut known = self.groups.iter().map(|group| (group.file, group.index)).peekable();
            plan.retain(|group| known.next_if_eq(&(group.file, group.index)).is_some());
            plan.damage = self.damage.clone();
        }
        plan.cut = self.cut.clone();
        Ok(plan)
    }

    /// Leaves out row groups, by their places.
    pub(crate) fn leave_out(&mut self, damaged: Vec<(usize, Damage)>) {
        let (mut place, mut next) = (0, damaged.iter().map(|(place, _)| *place).peekable());
        self.retain(|_| {
            place += 1;
            next.next_if_eq(&(place - 1)).is_none()
        });
        damaged.into_iter().for_each(|(_, damage)| self.damage.add(damage));
    }

    fn retain(&mut self, keep: impl FnMut(&Group) -> bool) {
        self.groups.retain(keep);
        self.rows = 0;
        for group in &mut self.groups {
            group.first = self.rows;
            self.rows += group.rows;
        }
    }

    /// Adds a file, or what was wrong with it where that is left out.
    fn add(&mut self, file: &Location, staged: u64, short: &mut Option<Need>) -> Result<(), Error> {
        let (groups, rows, passed_over) = (self.groups.len(), self.rows, self.passed_over);
        let mut damaged = Vec::new();
        match self.add_file(file, staged, short, &mut damaged) {
            Ok(()) => damaged.into_iter().for_each(|damage| self.damage.add(damage)),
            Err(error) => {
                self.damage.add(self.on_damage.excuse(error, None)?);
                self.groups.truncate(groups);
                (self.rows, self.passed_over) = (rows, passed_over);
            }
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        file: &Location,
        staged: u64,
        short: &mut Option<Need>,
        damaged: &mut Vec<Damage>,
    ) -> Result<(), Error> {
        let path = &*file.path;
        let (footer, outline) = Footer::open(file, self.budget)?;
        let places = self.layout.join(&path.display().to_string(), &footer.schema)?;
        let roots: Vec<Root> = places.into_iter().map(|place| Root::new(place, &footer)).collect();
        let named = || self.layout.reads().iter().zip(&roots);
        let columns: Vec<Cost> = named().flat_map(|(read, root)| Cost::of(read, root, &footer)).collect();
        let pages = PageFile::new(footer.input.clone(), footer.length, self.budget);
        let mut counted = 0u64;
        let mut lacks = |bytes: u64, place: Place| {
            if short.as_ref().is_none_or(|need| need.bytes < bytes) {
                *short = Some(Need { bytes, place });
            }
        };
        if outline.print.bytes > self.budget {
            lacks(outline.print.bytes, Place::file(path));
        }
        for (index, bytes) in outline.groups.into_iter().enumerate() {
            let metadata = match footer.group(index, &bytes, Statistics::Keep) {
                Ok(metadata) => metadata,
                Err(error) => {
                    damaged.push(self.on_damage.excuse(error.into(), None)?);
                    continue;
                }
            };
            let group = metadata.row_group(0);
            let rows = group.num_rows().unsigned_abs();
            counted = counted.saturating_add(rows);
            let nulls = |(read, root): (&Read, &Root)| {
                let nulls = root.check(group, footer.length);
                nulls.map_err(|problem| Place::column(path, index, &read.name).damaged(problem))
            };
            match self.layout.reads().iter().zip(&roots).map(nulls).collect::<Result<Vec<_>, _>>() {
                Ok(nulls) => {
                    let nullable = nulls.into_iter().enumerate().filter(|(_, nullable)| *nullable);
                    nullable.for_each(|(read, _)| self.layout.set_nullable(read, true));
                }
                Err(error) => {
                    damaged.push(self.on_damage.excuse(error.into(), Some(rows))?);
                    continue;
                }
            }
            if rows == 0 {
                continue;
            }
            if self.condition.as_ref().is_some_and(|condition| !prune::may_match(condition, &footer, group)) {
                self.passed_over.row_groups += 1;
                self.passed_over.rows += rows;
                continue;
            }
            // The schema is kept as it is in the file, and as it is decoded.
            let fixed = staged + 2 * (footer.head().memory_size() + metadata.memory_size()) as u64;
            let fixed = fixed + footer.input.own_bytes();
            let chunks = Chunks { path, index, group, columns: &columns, input: &footer.input };
            let fit = match chunks.fit(&pages, fixed, self.budget, self.threads as u64) {
                Ok(fit) => fit,
                Err(error) => {
                    damaged.push(self.on_damage.excuse(error, Some(rows))?);
                    continue;
                }
            };
            let Fit { batch, bytes: needed, ahead, read_ahead } = fit;
            if needed > self.budget {
                lacks(needed, Place::group(path, index));
            }
            let (file, batch) = (self.files.len(), batch as usize);
            let (footer, first) = (bytes, self.rows);
            self.groups.push(Group { file, index, footer, first, rows, batch, bytes: needed, ahead, read_ahead });
            self.rows = self.rows.saturating_add(rows);
        }
        // What is not known of some row group is not held against the others.
        if damaged.iter().all(|damage| damage.rows.is_some()) {
            footer.check_rows(counted)?;
        }
        self.files.push(KnownFile { location: footer.location, print: outline.print, list: outline.list });
        Ok(())
    }
}

pub(crate) fn over_budget(place: &Place, needed: u64, budget: u64) -> Error {
    Error::Budget {
        what: format!("reading {place}"),
        needed,
        budget,
        advice: format!("allow it {needed} bytes, choose fewer columns, or write the file with smaller pages"),
    }
}

struct Need {
    bytes: u64,
    place: Place,
}

/// What a column takes beside its pages.
struct Cost {
    name: String,
    leaf: usize,
    per_row: u64,
    /// Decoded rows hold on to the pages that they come from.
    keeps_pages: bool,
    /// What each value takes, where rows have any number of them.
    list: Option<ListCost>,
    /// How often its chunk is read at the same time.
    readers: u64,
}

impl Cost {
    /// Those of each leaf that a column takes.
    fn of(read: &Read, root: &Root, footer: &Footer) -> impl Iterator<Item = Self> {
        let times = if root.int96 { 2 } else { 1 };
        let fixed = times * decoding_bytes(&root.place.data_type);
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
            Self { name: read.name.clone(), leaf, per_row, keeps_pages, list, readers: times }
        })
    }
}

/// Bytes that decoding takes a row beside the pages: levels, values as they are in the file, values as arrays.
fn decoding_bytes(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeList(item, width) => *width as u64 * (2 * decoding_bytes(item.data_type()) + 4),
        DataType::FixedSizeBinary(width) => 4 + 2 * u64::from(width.unsigned_abs()).max(8),
        // A decimal may be written as bytes of any length up to its own.
        other => 4 + 2 * other.primitive_width().unwrap_or(16).max(8) as u64,
    }
}

/// How a row group is read, and what that takes.
struct Fit {
    batch: u64,
    bytes: u64,
    ahead: u64,
    read_ahead: u64,
}

/// The chosen columns of one row group.
struct Chunks<'a> {
    path: &'a Path,
    index: usize,
    group: &'a RowGroupMetaData,
    columns: &'a [Cost],
    input: &'a Input,
}

impl Chunks<'_> {
    /// The most rows at a time that fit; where none do, what one row takes is above the budget. Of what is left, half
    /// is for reading ahead.
    fn fit(&self, pages: &PageFile, fixed: u64, budget: u64, threads: u64) -> Result<Fit, Error> {
        let Some(Range { start: least, end: most }) = self.input.ahead() else {
            return self.fit_rows(pages, fixed, budget, threads);
        };
        let held = self.held(least);
        let mut fit = self.fit_rows(pages, fixed.saturating_add(held), budget, threads)?;
        fit.ahead = fit.ahead.saturating_add((threads - 1).saturating_mul(self.input.own_bytes()));
        let (taken, windows) = if threads > 1 { (fit.bytes.saturating_add(fit.ahead), 2) } else { (fit.bytes, 1) };
        let left = budget.saturating_sub(taken) / 2;
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

    fn fit_rows(&self, pages: &PageFile, fixed: u64, budget: u64, threads: u64) -> Result<Fit, Error> {
        let codecs = || self.columns.iter().map(|column| decoder_bytes(self.group.column(column.leaf).compression()));
        let own = codecs().max().unwrap_or(0);
        let unfolding = self.unfolding();
        let ahead = |pages: u64, largest: u64, rows: u64| {
            let helpers = (threads - 1).saturating_mul(largest.saturating_mul(2).saturating_add(own));
            fixed.saturating_add(pages).saturating_add(helpers).saturating_add(rows * unfolding)
        };
        let fixed_here = fixed + codecs().sum::<u64>();
        let per_row: u64 = self.columns.iter().map(|column| column.per_row).sum();
        let most = self.group.num_rows().unsigned_abs().min(ROWS);
        for column in self.columns {
            self.check_values(column, pages)?;
        }
        // What the footer says of whole chunks mostly does, and costs no reading.
        let (bound, largest) = self.bound();
        let bytes = bound.saturating_add(fixed_here).saturating_add(most * per_row);
        let fit = Fit { batch: most, bytes, ahead: ahead(bound, largest, most), read_ahead: 0 };
        if bytes.saturating_add(if threads > 1 { fit.ahead } else { 0 }) <= budget {
            return Ok(fit);
        }
        let columns = self.columns.iter().map(|column| self.column_pages(column, pages));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let largest = columns.iter().map(|column| column.largest).max().unwrap_or(0);
        let pages = |rows: u64| columns.iter().map(|column| column.bytes(rows)).fold(0, u64::saturating_add);
        let need = |rows: u64| {
            let turning = largest.saturating_mul(2);
            fixed_here.saturating_add(pages(rows)).saturating_add(turning).saturating_add(rows * per_row)
        };
        let mut rows = most;
        while rows > 1 && need(rows) > budget {
            rows /= 2;
        }
        Ok(Fit { batch: rows, bytes: need(rows), ahead: ahead(pages(rows), largest, rows), read_ahead: 0 })
    }

    /// Bytes a row of the columns whose pages unfold when they are decoded, for they refer to a dictionary or have nulls.
    fn unfolding(&self) -> u64 {
        let unfolds = |column: &&Cost| {
            let chunk = self.group.column(column.leaf);
            let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
            chunk.dictionary_page_offset().is_some() || chunk.column_descr().max_def_level() > 0 && nulls != Some(0)
        };
        self.columns.iter().filter(unfolds).map(|column| column.per_row).sum()
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
        let data = found.iter().filter(|page| !page.dictionary);
        let values = data.map(|page| (page.rows.unwrap_or(0), page.values)).collect();
        Ok(ColumnPages { values, per_value: list.per_value, ..ColumnPages::new(found, column.keeps_pages) })
    }

    /// A column's chunk, to be looked at from end to end before any other is read.
    fn whole(&self, column: &Cost, pages: &PageFile) -> PageFile {
        let (start, bytes) = self.group.column(column.leaf).byte_range();
        let ahead = self.input.ahead().map_or(0, |ahead| (pages.largest_page() / 8).clamp(ahead.start, ahead.end));
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

/// The sizes of a column's pages in one row group.
#[derive(Default)]
struct ColumnPages {
    dictionary: u64,
    largest: u64,
    /// Rows and bytes of each data page, where decoded rows keep them.
    kept: Vec<(u64, u64)>,
    /// Rows and values of each data page of lists, and what a value takes.
    values: Vec<(u64, u64)>,
    per_value: u64,
}

impl ColumnPages {
    fn new(pages: Vec<Page>, keeps_pages: bool) -> Self {
        let bytes = |page: &Page| page.uncompressed.max(page.compressed);
        let data = || pages.iter().filter(|page| !page.dictionary);
        Self {
            dictionary: pages.iter().filter(|page| page.dictionary).map(bytes).sum(),
            largest: pages.iter().map(bytes).max().unwrap_or(0),
            kept: if keeps_pages {
                data().map(|page| (page.rows.unwrap_or(page.values), bytes(page))).collect()
            } else {
                Vec::new()
            },
            ..Self::default()
        }
    }

    /// What the pages take while this many rows are decoded at a time: the dictionary, as it is and decoded, and the
    /// page in use or those in use together.
    fn bytes(&self, rows: u64) -> u64 {
        // The rows of lists may go on in the next page.
        let rows = if self.values.is_empty() { rows } else { rows + 1 };
        let values = most(&self.values, rows).saturating_mul(self.per_value);
        let pages = with_excess(self.largest.max(most(&self.kept, rows)));
        self.dictionary.saturating_mul(2).saturating_add(pages).saturating_add(values)
    }
}

/// The most, of bytes or values, in pages that any consecutive rows come from; rows and that of each page are given.
fn most(pages: &[(u64, u64)], rows: u64) -> u64 {
    let (mut most, mut sum, mut inside, mut first) = (0, 0, 0, 0);
    for (last, &(page_rows, of_page)) in pages.iter().enumerate() {
        // Rows of the first and of the last page have all those of the pages between them in between.
        while first < last && inside - pages[first].0 + 2 > rows {
            inside -= pages[first].0;
            sum -= pages[first].1;
            first += 1;
        }
        inside += page_rows;
        sum += of_page;
        most = most.max(sum);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_kept_by_consecutive_rows() {
        let page = |values, uncompressed| Page { dictionary: false, values, rows: None, compressed: 0, uncompressed };
        let pages = ColumnPages::new(vec![page(4, 10), page(1, 50), page(4, 20), page(9, 30), page(9, 5)], true);
        assert_eq!(most(&pages.kept, 1), 50);
        assert_eq!(most(&pages.kept, 2), 70);
        assert_eq!(most(&pages.kept, 3), 80);
        assert_eq!(most(&pages.kept, 6), 100);
        assert_eq!(most(&pages.kept, 7), 110);
        assert_eq!(most(&pages.kept, 1000), 115);
    }

    /// The same by trying every first row.
    #[test]
    fn pages_kept_match_a_slow_count() {
        for seed in 0..50u64 {
            let of = |i: u64, n| (seed * 7919 + i * i * 104_729 + i * 31) % n;
            let kept: Vec<(u64, u64)> = (0..8).map(|i| (of(i, 5) + 1, of(i + 9, 100))).collect();
            let owner: Vec<usize> =
                kept.iter().enumerate().flat_map(|(i, &(rows, _))| vec![i; rows as usize]).collect();
            for rows in 1..=owner.len() {
                let windows = owner.windows(rows).map(|w| kept[w[0]..=w[rows - 1]].iter().map(|k| k.1).sum::<u64>());
                assert_eq!(most(&kept, rows as u64), windows.max().unwrap(), "{kept:?} {rows}");
            }
        }
    }
}
