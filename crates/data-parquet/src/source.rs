use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Error, Schema, Source};
use tidemill_data_arrow::{Problem, Refused};

use crate::error::Place;
use crate::plain::{Scratch, Team};
use crate::plan::Plan;
use crate::reader::{OpenFile, OpenGroup};
use crate::{ParquetSourceBuilder, Paths};

/// The rows of Parquet files, in the order of the files and of their row groups, as numbers of type `T`: `f32` or `f64`.
///
/// Numbers, decimals, booleans (0 and 1), dates (days since 1970-01-01), times (seconds since midnight) and timestamps
/// (seconds since 1970-01-01 UTC) become real columns; fixed-size lists of those become real columns of that width;
/// texts become text columns. `f32` tells timestamps of today only 128 seconds apart: fill batches of `f64` from them.
///
/// A [`Cursor`] has one integer, the row within the epoch. Going to another row passes over the pages in front of it
/// by their headers; those of lists are decoded.
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
/// Plain numbers of 32 and 64 bits, as writers leave them that use no dictionary, go from a page of the file straight to
/// the batch where no row of the page is null, through buffers that are used again and again. What else there is goes
/// through the arrays of arrow, whose decoder allocates a few buffers for each page and each few thousand rows, and frees
/// them again. Where few rows are asked for, they are cut from a few hundred, unless there are texts.
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
    epoch: u64,
    row: u64,
    /// Rows from the next one on that are decoded in every column.
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
    /// The row of the epoch that it begins with.
    first: u64,
    /// Rows in front of this one are taken as they are asked for: staged with those behind them, they gave an error.
    resume: u64,
}

impl ParquetSource {
    /// Begins to describe a source over files, or folders of them.
    pub fn open(paths: impl Into<Paths>) -> ParquetSourceBuilder {
        ParquetSourceBuilder::new(paths.into())
    }
}

impl<T: Scalar> ParquetSource<T> {
    pub(crate) fn new(plan: Plan) -> Self {
        let schema = Arc::new(plan.layout.schema());
        Self::at(Arc::new(plan), schema, 0, 0)
    }

    fn at(plan: Arc<Plan>, schema: Arc<Schema>, epoch: u64, row: u64) -> Self {
        let staged = Staged { batch: Batch::new(Arc::clone(&schema)), first: 0, resume: 0 };
        let (decoded, scratch) = (0..0, Scratch::default());
        Self { plan, schema, epoch, row, decoded, file: None, group: None, next: None, scratch, team: None, staged }
    }

    /// The columns that it fills.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Rows of an epoch.
    pub fn rows(&self) -> u64 {
        self.plan.rows
    }

    /// The files, in order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.plan.files.iter().map(|file| file.path.as_path())
    }

    /// Makes the next row a decoded one, and says how many rows are decoded from there on; none at the end.
    fn decode(&mut self) -> Result<u64, Error> {
        if self.decoded.contains(&self.row) {
            return Ok(self.decoded.end - self.row);
        }
        if self.row >= self.plan.rows {
            return Ok(0);
        }
        if self.plan.threads > 1 && self.team.is_none() {
            self.team = Some(Team::start(self.plan.threads - 1));
        }
        self.decoded = 0..0;
        // What an error drops is opened again.
        let mut group = self.open_group()?;
        let first = self.plan.groups[group.place].first;
        let end = group.decode(&self.plan, self.row - first, &mut self.scratch, self.team.as_ref())?;
        self.ask_ahead(&mut group);
        self.group = Some(group);
        self.decoded = self.row..first + end;
        Ok(self.decoded.end - self.row)
    }

    /// The row group of the next row, about to decode it.
    fn open_group(&mut self) -> Result<OpenGroup, Error> {
        let place = self.plan.group_of(self.row);
        let skip = self.row - self.plan.groups[place].first;
        let last = self.group.take();
        let next = self.next.take();
        let buffers = match last {
            Some(open) if open.place == place && open.reaches(&self.plan, skip) => {
                self.next = next;
                return Ok(open);
            }
            last => last.map(OpenGroup::into_buffers).unwrap_or_default(),
        };
        match next {
            Some(mut next) if next.place == place && skip == 0 => {
                next.inherit(buffers);
                Ok(next)
            }
            // What was decoded ahead goes first: there may be no room for both.
            next => {
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

    /// Opens the next row group already, where the helpers have nothing else to do.
    fn ask_ahead(&mut self, group: &mut OpenGroup) {
        let place = group.place + 1;
        if self.team.is_none() || self.next.is_some() || place == self.plan.groups.len() || !group.is_over() {
            return;
        }
        if !self.plan.reads_ahead(group.place, place) {
            return;
        }
        // What is wrong with it is told when its rows are asked for.
        let Ok(file) = self.open_file(place) else { return };
        let next = OpenGroup::open(&self.plan, file, place, 0, group.take_spares());
        self.next = next.ok().zip(self.team.as_ref()).map(|(mut next, team)| {
            next.ask(team);
            next
        });
    }

    fn take(&mut self, batch: &mut Batch<T>, rows: u64) -> Result<(), Error> {
        let group = self.group.as_ref().expect("rows are decoded");
        let start = self.row - self.plan.groups[group.place].first;
        let view = |read: usize| group.view(read, start..start + rows);
        batch
            .append(rows as usize, |columns| self.plan.layout.append(rows as usize, view, columns))
            .map_err(|refused| self.explain(refused))?;
        self.row += rows;
        Ok(())
    }

    fn explain(&self, refused: Refused) -> Error {
        let row = self.row + refused.row as u64;
        let group = &self.plan.groups[self.plan.group_of(row)];
        let column = self.plan.layout.reads()[refused.read].name.clone();
        let place = Place::column(&self.plan.files[group.file].path, group.index, &column);
        let within = row - group.first;
        match refused.problem {
            Problem::Null => Error::Null { column, row },
            Problem::NullInside => {
                Error::invalid(place, format!("row {within} holds a list with a null inside, expected numbers alone"))
            }
            Problem::NotDeclaredNull => {
                place.damaged(format!("row {within} is null, the file says that the column has no nulls")).into()
            }
            Problem::OutOfRange(problem) => Error::invalid(place, format!("row {within} is {problem}")),
        }
    }

    fn fill_rows(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut left = rows as u64;
        while left > 0 {
            let n = self.decode()?.min(left);
            if n == 0 {
                break;
            }
            self.take(batch, n)?;
            left -= n;
        }
        Ok(rows - left as usize)
    }

    /// Few rows, from those that are staged.
    fn fill_staged(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut left = rows;
        while left > 0 && self.row < self.plan.rows {
            let staged = self.staged.first..self.staged.first + self.staged.batch.rows() as u64;
            if staged.contains(&self.row) {
                let start = (self.row - staged.start) as usize;
                let taken = start..self.staged.batch.rows().min(start + left);
                left -= taken.len();
                self.row += taken.len() as u64;
                batch.push_rows(&self.staged.batch, taken);
            } else if self.row < self.staged.resume || !self.stage() {
                return self.fill_rows(batch, left).map(|n| rows - left + n);
            }
        }
        Ok(rows - left)
    }

    /// Stages the next rows, if nothing is wrong with them.
    fn stage(&mut self) -> bool {
        let row = self.row;
        let mut batch = std::mem::replace(&mut self.staged.batch, Batch::new(Arc::clone(&self.schema)));
        batch.clear();
        let filled = self.fill_rows(&mut batch, self.plan.staged);
        if filled.is_err() {
            batch.clear();
            self.staged.resume = row + self.plan.staged as u64;
        }
        self.row = row;
        (self.staged.batch, self.staged.first) = (batch, row);
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
        Cursor::start(self.epoch).push(self.row)
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Seek { cursor: cursor.to_string(), problem });
        let row = match cursor.pop() {
            None => 0,
            Some((row, below)) if below.is_start() => row,
            Some(_) => return refuse("a position in Parquet files is one integer, the row".into()),
        };
        if row > self.plan.rows {
            return refuse(format!("the files have {} rows", self.plan.rows));
        }
        (self.epoch, self.row) = (cursor.epoch, row);
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        Some(self.plan.rows)
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let passed = rows.min(self.plan.rows - self.row);
        self.row += passed;
        Ok(passed)
    }
}

/// A second reader of the same files, at the same position.
impl<T: Scalar> Clone for ParquetSource<T> {
    fn clone(&self) -> Self {
        Self::at(Arc::clone(&self.plan), Arc::clone(&self.schema), self.epoch, self.row)
    }
}

#[cfg(test)]
mod tests;
