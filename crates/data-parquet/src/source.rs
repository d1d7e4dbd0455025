use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Error, MemoryPlan, Schema, Source};
use tidemill_data_arrow::{Problem, Refused};

use crate::blocks::{Cut, Walk};
use crate::error::Place;
use crate::plain::{Scratch, Team};
use crate::plan::{Group, Plan};
use crate::prune::PassedOver;
use crate::reader::{OpenFile, OpenGroup};
use crate::{Blocks, DamageReport, ParquetSourceBuilder, Paths};

/// The rows of Parquet files, in the order of the files and of their row groups or
/// [block by block](ParquetSourceBuilder::shuffle_blocks) in a shuffled one, as numbers of type `T`: `f32` or `f64`.
///
/// Numbers, decimals, booleans (0 and 1), dates (days since 1970-01-01), times (seconds since midnight) and timestamps
/// (seconds since 1970-01-01 UTC) become real columns; fixed-size lists of those become real columns of that width;
/// texts become text columns. `f32` tells timestamps of today only 128 seconds apart: fill batches of `f64` from them.
///
/// A [`Cursor`] has one integer, how many rows of the epoch are in front, in whatever order. Going to another row passes
/// over the pages in front of it in its row group by their headers; those of lists are decoded.
///
/// A column may hold nulls unless the file's schema or its statistics say that there are none. Nulls are flagged in
/// the batch, and zero or empty.
///
/// # Memory
///
/// Only the chosen columns are read, a page of each at a time, and decoded a few thousand rows at a time. This takes
/// no more than the [budget](ParquetSourceBuilder::budget), whatever the size of the files and their row groups: what
/// would take more is refused when the source is built. Of each row group, less than a hundred bytes are remembered
/// beside that.
///
/// Numbers of 32 and 64 bits, plain or by a dictionary, with or without nulls, go from a page of the file straight to the
/// batch, through buffers that are used again and again. What else there is goes through the arrays of arrow, whose
/// decoder allocates a few buffers for each page and each few thousand rows, and frees them again. Where few rows are
/// asked for, they are cut from a few hundred, unless there are texts.
///
/// # Threads
///
/// By itself, a source reads when it is asked for rows. [`prefetch`](tidemill_data::SourceExt::prefetch) has a thread do
/// so ahead of whoever trains; [`threads`](ParquetSourceBuilder::threads) has more of them decode. Neither changes a
/// row, nor when an error comes.
///
/// # Example
///
/// ```
/// use tidemill_data::{Batch, Source};
/// use tidemill_data_parquet::{ParquetSource, ParquetWriter, ValueType, Values};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("fuel.parquet");
/// let columns = [("speed", ValueType::F64), ("load", ValueType::F64), ("fuel", ValueType::F64)];
/// let mut writer = ParquetWriter::create(&path, columns)?;
/// writer.write(&[Values::F64(&[1.0, 2.0]), Values::F64(&[3.0, 4.0]), Values::F64(&[5.0, 6.0])])?;
/// writer.finish()?;
///
/// let mut source = ParquetSource::open(&path).real_block("x", ["speed", "load"]).target("fuel").build()?;
/// let mut batch = Batch::<f32>::new(source.schema().clone());
/// assert_eq!(source.fill(&mut batch, 32)?, 2);
/// assert_eq!(batch.reals(0), [1.0, 3.0, 2.0, 4.0]);
/// assert_eq!(batch.reals(1), [5.0, 6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ParquetSource<T = f32> {
    plan: Arc<Plan>,
    schema: Arc<Schema>,
    walk: Walk,
    /// Rows of the row group that is read that are decoded in every column.
    decoded: Range<u64>,
    file: Option<Arc<OpenFile>>,
    /// The row group that is read, and the next one while its first pages are decoded.
    group: Option<OpenGroup>,
    next: Option<OpenGroup>,
    scratch: Scratch,
    team: Option<Team>,
    staged: Staged<T>,
}

/// Rows that were converted together because a few were asked for: one at a time would cost as much as fifty.
struct Staged<T> {
    batch: Batch<T>,
    /// The position in the epoch that it begins with.
    first: u64,
    /// Rows in front of this position are taken as they are asked for: staged with those behind them, they gave an
    /// error.
    resume: u64,
}

impl<T: Scalar> Staged<T> {
    fn positions(&self) -> Range<u64> {
        self.first..self.first + self.batch.rows() as u64
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.resume = 0;
    }
}

impl ParquetSource {
    /// Begins to describe a source over files, or folders of them.
    pub fn open(paths: impl Into<Paths>) -> ParquetSourceBuilder {
        ParquetSourceBuilder::new(paths.into())
    }
}

impl<T: Scalar> ParquetSource<T> {
    pub(crate) fn new(plan: Plan) -> Self {
        Self::of(Arc::new(plan))
    }

    pub(crate) fn of(plan: Arc<Plan>) -> Self {
        let schema = Arc::new(plan.layout.schema());
        let walk = Walk::to(&plan, 0, 0);
        Self::at(plan, schema, walk)
    }

    fn at(plan: Arc<Plan>, schema: Arc<Schema>, walk: Walk) -> Self {
        let staged = Staged { batch: Batch::new(Arc::clone(&schema)), first: 0, resume: 0 };
        let (decoded, scratch) = (0..0, Scratch::default());
        Self { plan, schema, walk, decoded, file: None, group: None, next: None, scratch, team: None, staged }
    }

    /// The columns that it fills.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Rows of an epoch.
    pub fn rows(&self) -> u64 {
        self.plan.rows
    }

    /// The blocks that are [shuffled](ParquetSourceBuilder::shuffle_blocks); `None` where rows come as the files have
    /// them.
    pub fn blocks(&self) -> Option<Blocks> {
        self.plan.cut.as_ref().map(Cut::blocks)
    }

    pub(crate) fn passed_over(&self) -> PassedOver {
        self.plan.passed_over
    }

    /// What was [left out](ParquetSourceBuilder::on_damage) because it is broken.
    pub fn damage(&self) -> &DamageReport {
        &self.plan.damage
    }

    /// The files that are read, in order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.plan.files.iter().map(|file| file.location.path.as_path())
    }

    /// Makes the next row a decoded one, and says how many rows are decoded from there on.
    fn decode(&mut self, row: u64) -> Result<u64, Error> {
        if !self.decoded.contains(&row) {
            self.decode_at(row)?;
        }
        Ok(self.decoded.end.min(self.walk.end()) - row)
    }

    fn decode_at(&mut self, row: u64) -> Result<(), Error> {
        if self.plan.threads > 1 && self.team.is_none() {
            self.team = Some(Team::start(self.plan.threads - 1));
        }
        self.decoded = 0..0;
        // What an error drops is opened again.
        let mut group = self.open_group(row)?;
        let Group { first, rows, .. } = self.plan.groups[group.place];
        let wanted = row - first..rows.min(self.walk.end() - first);
        let end = group.decode(&self.plan, wanted.clone(), &mut self.scratch, self.team.as_ref())?;
        self.ask_ahead(&mut group, wanted.end);
        self.group = Some(group);
        self.decoded = row..first + end;
        Ok(())
    }

    /// The row group of a row, about to decode it.
    fn open_group(&mut self, row: u64) -> Result<OpenGroup, Error> {
        let place = self.plan.group_of(row);
        let skip = row - self.plan.groups[place].first;
        let buffers = |last: Option<OpenGroup>| last.map(OpenGroup::into_buffers).unwrap_or_default();
        match (self.group.take(), self.next.take()) {
            (last, Some(mut next)) if next.place == place && next.skip == skip => {
                next.inherit(buffers(last));
                Ok(next)
            }
            (Some(open), next) if open.place == place && open.reaches(&self.plan, skip) => {
                self.next = next;
                Ok(open)
            }
            // What was decoded ahead goes first: there may be no room for both.
            (last, next) => {
                let buffers = buffers(last);
                drop(next);
                let file = self.open_file(place)?;
                let mut opened = OpenGroup::open(&self.plan, file, place, skip, buffers)?;
                if let Some(team) = self.team.as_ref().filter(|_| self.plan.reads_ahead(place, place)) {
                    opened.ask(team);
                }
                Ok(opened)
            }
        }
    }

    /// The file of a row group.
    fn open_file(&mut self, place: usize) -> Result<Arc<OpenFile>, Error> {
        let file = self.plan.groups[place].file;
        let open = match self.file.take() {
            Some(open) if open.file == file => open,
            _ => Arc::new(OpenFile::open(&self.plan, file)?),
        };
        self.file = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Opens already what is read behind the rows up to `end` of the group, where the helpers have nothing else to do.
    fn ask_ahead(&mut self, group: &mut OpenGroup, end: u64) {
        if self.team.is_none() || self.next.is_some() || !group.is_over(end) {
            return;
        }
        let Some(row) = self.walk.row_behind(&self.plan, &self.plan.groups[group.place]) else { return };
        let place = self.plan.group_of(row);
        if !self.plan.reads_ahead(group.place, place) {
            return;
        }
        // What is wrong with it is told when its rows are asked for.
        let Ok(file) = self.open_file(place) else { return };
        let skip = row - self.plan.groups[place].first;
        let next = OpenGroup::open(&self.plan, file, place, skip, group.take_spares());
        self.next = next.ok().zip(self.team.as_ref()).map(|(mut next, team)| {
            next.ask(team);
            next
        });
    }

    fn take(&mut self, batch: &mut Batch<T>, row: u64, rows: u64) -> Result<(), Error> {
        let group = self.group.as_ref().expect("rows are decoded");
        let start = row - self.plan.groups[group.place].first;
        let view = |read: usize| group.view(read, start..start + rows);
        batch
            .append(rows as usize, |columns| self.plan.layout.append(rows as usize, view, columns))
            .map_err(|refused| self.explain(row, refused))?;
        self.walk.pass(&self.plan, rows);
        Ok(())
    }

    /// What is wrong with one of the rows from `first` on.
    fn explain(&self, first: u64, refused: Refused) -> Error {
        let row = first + refused.row as u64;
        let group = &self.plan.groups[self.plan.group_of(row)];
        let column = self.plan.layout.reads()[refused.read].name.clone();
        let place = Place::column(&self.plan.files[group.file].location.path, group.index, &column);
        let within = row - group.first;
        match refused.problem {
            Problem::Null => Error::Null { column, row },
            Problem::NotDeclaredNull => {
                place.damaged(format!("row {within} is null, the file says that the column has no nulls")).into()
            }
            problem @ (Problem::NullInside | Problem::TooLong { .. } | Problem::NotUtf8) => {
                Error::invalid(place, format!("row {within} holds {problem}"))
            }
            problem => Error::invalid(place, format!("row {within} is {problem}")),
        }
    }

    fn fill_rows(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut left = rows as u64;
        while let Some(row) = self.walk.row().filter(|_| left > 0) {
            let n = self.decode(row)?.min(left);
            self.take(batch, row, n)?;
            left -= n;
        }
        Ok(rows - left as usize)
    }

    /// Few rows, from those that are staged.
    fn fill_staged(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut left = rows;
        while left > 0 && self.walk.row().is_some() {
            let (position, staged) = (self.walk.position, self.staged.positions());
            if staged.contains(&position) {
                let start = (position - staged.start) as usize;
                let taken = start..self.staged.batch.rows().min(start + left);
                left -= taken.len();
                self.walk.pass(&self.plan, taken.len() as u64);
                batch.push_rows(&self.staged.batch, taken);
            } else if position < self.staged.resume || !self.stage() {
                return self.fill_rows(batch, left).map(|n| rows - left + n);
            }
        }
        Ok(rows - left)
    }

    /// Stages the next rows, if nothing is wrong with them.
    fn stage(&mut self) -> bool {
        let walk = self.walk.clone();
        let mut batch = std::mem::replace(&mut self.staged.batch, Batch::new(Arc::clone(&self.schema)));
        batch.clear();
        let filled = self.fill_rows(&mut batch, self.plan.staged);
        if filled.is_err() {
            batch.clear();
            self.staged.resume = walk.position + self.plan.staged as u64;
        }
        (self.staged.batch, self.staged.first) = (batch, walk.position);
        self.walk = walk;
        filled.is_ok()
    }
}

impl<T: Scalar> Source<T> for ParquetSource<T> {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let few = rows <= self.plan.staged / 4;
        let filled = if few { self.fill_staged(batch, rows) } else { self.fill_rows(batch, rows) };
        filled.inspect_err(|_| batch.clear())
    }

    fn cursor(&self) -> Cursor {
        Cursor::start(self.walk.epoch).push(self.walk.position)
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Seek { cursor: cursor.to_string(), problem });
        let position = match cursor.pop() {
            None => 0,
            Some((position, below)) if below.is_start() => position,
            Some(_) => return refuse("a position in Parquet files is one integer, the row".into()),
        };
        if position > self.plan.rows {
            return refuse(format!("the files have {} rows", self.plan.rows));
        }
        if cursor.epoch != self.walk.epoch && self.plan.cut.is_some() {
            self.staged.clear();
        }
        self.walk = Walk::to(&self.plan, cursor.epoch, position);
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        Some(self.plan.rows)
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let passed = rows.min(self.plan.rows - self.walk.position);
        self.walk.pass(&self.plan, passed);
        Ok(passed)
    }

    fn memory_plan(&self) -> MemoryPlan {
        let known = format!("footers of {}, row groups: {}", self.plan.files.len(), self.plan.groups.len());
        let plan = MemoryPlan::default().with("files", known, self.plan.known_bytes());
        let ahead = self.plan.groups.iter().enumerate().any(|(place, _)| self.plan.reads_ahead(place, place));
        let groups = if ahead { "2 row groups in flight" } else { "1 row group in flight" };
        let threads = match self.plan.threads {
            1 => "1 decode thread".to_owned(),
            n => format!("{n} decode threads"),
        };
        let blocks =
            self.blocks().map_or(String::new(), |b| format!(", {} blocks of at most {} rows", b.count, b.rows));
        plan.with("parquet", format!("{groups}, {threads}{blocks}"), self.plan.reading_bytes())
    }

    /// Plans anew how many rows of which columns are decoded at a time, and looks at all footers again for it.
    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let known = self.plan.known_bytes();
        if self.plan.budget.saturating_add(known) <= bytes {
            return Ok(());
        }
        let plan = self.plan.within(bytes.saturating_sub(known)).map_err(|error| match error {
            Error::Budget { what, needed, advice, .. } => {
                Error::Budget { what, needed: needed.saturating_add(known), budget: bytes, advice }
            }
            error => error,
        })?;
        *self = Self::at(Arc::new(plan), Arc::clone(&self.schema), self.walk.clone());
        Ok(())
    }
}

/// A second reader of the same files, at the same position.
impl<T: Scalar> Clone for ParquetSource<T> {
    fn clone(&self) -> Self {
        Self::at(Arc::clone(&self.plan), Arc::clone(&self.schema), self.walk.clone())
    }
}

#[cfg(test)]
mod tests;
