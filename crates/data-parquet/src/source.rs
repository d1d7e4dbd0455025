use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Error, MemoryPlan, Schema, Source};

use crate::blocks::{Cut, Walk};
use crate::plain::{Scratch, Team};
use crate::plan::Plan;
use crate::prune::PassedOver;
use crate::reader::{OpenFile, OpenGroup};
use crate::{Blocks, DamageReport, ParquetSourceBuilder, Paths};

mod decode;
mod staged;

use staged::Staged;

/// The rows of Parquet files, in the order of the files and of their row groups or
/// [block by block](ParquetSourceBuilder::shuffle_blocks) in a shuffled one, as numbers of type `T`: `f32` or `f64`.
///
/// Numbers, decimals, booleans (0 and 1), dates (days since 1970-01-01), times (seconds since midnight) and timestamps
/// (seconds since 1970-01-01 UTC) become real columns; fixed-size lists of those become real columns of that width;
/// texts become text columns. Columns know what they count: [`Field::unit`](tidemill_data::Field). Models read numbers as
/// the batch's scalar rounds them, and `f32` tells timestamps of today only 128 seconds apart. Conditions, categories,
/// hashes, splits and [`save`](crate::save) read whole numbers, decimals and times with all their digits
/// ([`Digits`](tidemill_data::Digits)), in batches of either scalar; those of a [block](ParquetSourceBuilder::real_block)
/// are rounded for good.
/// What else there is, lists of any length, maps and binary, is taken by a [choice](crate::As) of what becomes of it, by
/// [`feature_as`](ParquetSourceBuilder::feature_as); what is inside structs, maps and lists of structs has a path for
/// its name. [`describe`](crate::describe) tells the choices of every column.
///
/// Files are read as one table. Columns may be in another order in each, and of other types where one type holds the
/// values of all without loss: `i32` and `i64`, but not `i64` and `f64`. A file that lacks a chosen column is an error;
/// a broken one is an error too, or [left out](ParquetSourceBuilder::on_damage).
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
        let staged = Staged::new(&schema);
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
