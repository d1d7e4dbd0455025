use tidemill_data::tensor::Scalar;
use tidemill_data::{Error, Predicate};
use tidemill_data_arrow::{Columns, choose_columns};

use crate::blocks::Cut;
use crate::plan::Plan;
use crate::verify::verified;
use crate::{FilteredSourceBuilder, OnDamage, ParquetSource, Paths};

/// Says which columns of which files make the rows; from [`ParquetSource::open`].
///
/// Columns are named one by one, by [`feature`](Self::feature), [`target`](Self::target) and their like, or all at once:
/// [`all_columns`](Self::all_columns), without those left out by [`except`](Self::except). Lists, maps and binary need a
/// [choice](crate::As), by [`feature_as`](Self::feature_as). Rows come as the files have them, or in
/// [blocks](Self::shuffle_blocks) of a shuffled order; those for which a [condition](Self::filter) does not hold, and
/// those in [broken](Self::on_damage) row groups, can be left out.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use arrow_array::types::Float64Type;
/// use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch};
/// use parquet::arrow::ArrowWriter;
/// use tidemill_data::{Batch, Source};
/// use tidemill_data_parquet::{ListAs, ParquetSource};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("orders.parquet");
/// let prices = [Some(vec![Some(5.0), Some(2.5)]), Some(vec![])];
/// let prices: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(prices));
/// let number = |values| -> ArrayRef { Arc::new(Int64Array::from(values)) };
/// let rows = [("order", number(vec![71, 72])), ("age", number(vec![30, 40])), ("prices", prices)];
/// let rows = RecordBatch::try_from_iter(rows)?;
/// let mut writer = ArrowWriter::try_new(std::fs::File::create(&path)?, rows.schema(), None)?;
/// writer.write(&rows)?;
/// writer.close()?;
///
/// let orders = ParquetSource::open(&path).feature_as("prices", ListAs::Sum).all_columns().except(["order"]);
/// let mut source = orders.build::<f32>()?;
/// let mut batch = Batch::new(source.schema().clone());
/// source.fill(&mut batch, 32)?;
/// assert_eq!((batch.reals(0), batch.reals(1)), (&[7.5, 0.0][..], &[30.0, 40.0][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read before build()"]
pub struct ParquetSourceBuilder {
    paths: Paths,
    chosen: Columns,
    pub(crate) budget: u64,
    threads: usize,
    on_damage: OnDamage,
    /// The seed of the order of blocks.
    shuffled: Option<u64>,
    block_rows: u64,
}

impl ParquetSourceBuilder {
    /// Bytes that reading may take unless told otherwise: 64 MiB.
    pub const BUDGET: u64 = 64 << 20;

    /// Most rows of a [block](Self::block_rows) unless told otherwise.
    pub const BLOCK_ROWS: u64 = 65_536;

    pub(crate) fn new(paths: Paths) -> Self {
        let (budget, block_rows) = (Self::BUDGET, Self::BLOCK_ROWS);
        Self {
            paths,
            chosen: Columns::new(),
            budget,
            threads: 1,
            on_damage: OnDamage::Error,
            shuffled: None,
            block_rows,
        }
    }

    choose_columns!(chosen);

    /// Sets how many bytes reading may take: pages, dictionaries, decoded rows and the footer of the file being read,
    /// not the batches that are filled.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// Sets how object stores are asked, where files are named by their URLs.
    #[cfg(feature = "object-store")]
    pub fn stores(mut self, options: crate::StoreOptions) -> Self {
        self.paths = self.paths.stores(options);
        self
    }

    /// Sets how many threads decode, with the one that fills batches: one, unless told otherwise.
    ///
    /// More of them decode the next page of each column, of this row group or the next, while rows are taken from the
    /// last. Only columns of numbers of 32 or 64 bits gain by it, and only where the budget has room for two pages of every
    /// column. The rows are the same bits for any number, and the errors come with the same rows. The threads start with
    /// the first row and end with the source; where the system gives fewer, fewer decode.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets what becomes of broken files and row groups: errors, unless told otherwise.
    ///
    /// Where they are to be [left out](OnDamage::Skip), [`build`](Self::build) reads and decodes the chosen columns of all
    /// files once, and does without whatever cannot be read. Rows, positions and shuffled orders are then those of the
    /// rows that are left, as if the others had never been there, and the same at any batch size, number of threads and
    /// place of resuming; [`ParquetSource::damage`] tells what is missing. What breaks later is an error. So are, with
    /// either choice, files that are missing or may not be read, stores that do not answer, columns that are missing or of another type, values that
    /// are not as was asked for, and budgets that are too small.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_data_parquet::{OnDamage, ParquetSource, ParquetWriter, ValueType, Values};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let mut writer = ParquetWriter::create(folder.join("a.parquet"), [("x", ValueType::F64)])?;
    /// writer.write(&[Values::F64(&[1.0, 2.0])])?;
    /// writer.finish()?;
    /// std::fs::write(folder.join("b.parquet"), "no Parquet file")?;
    ///
    /// let source = ParquetSource::open(folder).feature("x").on_damage(OnDamage::Skip).build::<f32>()?;
    /// assert_eq!(source.rows(), 2);
    /// assert_eq!(source.damage().files, 1);
    /// println!("{}", source.damage());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_damage(mut self, on_damage: OnDamage) -> Self {
        self.on_damage = on_damage;
        self
    }

    /// Reads blocks of rows in a shuffled order: a keyed permutation, a function of (seed, epoch) alone.
    ///
    /// A block is a row group, or an equal part of one that has more than [`block_rows`](Self::block_rows) rows. The
    /// order takes eight bytes a row group and no other memory, any position is reached at once, and the rows of a block
    /// are read in their order, so that reading is about as fast as without. To mix rows of several blocks, follow it
    /// with a [`shuffle`](tidemill_data::SourceExt::shuffle) whose window is that of several:
    /// [`Blocks`](crate::Blocks) says how far rows then move.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_data::{Source, SourceExt};
    /// use tidemill_data_parquet::{ParquetSource, ParquetWriter, ValueType, Values};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("fuel.parquet");
    /// let mut writer = ParquetWriter::create(&path, [("speed", ValueType::F64), ("fuel", ValueType::F64)])?;
    /// let rows: Vec<f64> = (0..1000).map(f64::from).collect();
    /// writer.write(&[Values::F64(&rows), Values::F64(&rows)])?;
    /// writer.finish()?;
    ///
    /// let blocks = ParquetSource::open(&path).feature("speed").target("fuel").shuffle_blocks(7).block_rows(50);
    /// let source = blocks.build::<f32>()?;
    /// let blocks = source.blocks().expect("they are shuffled");
    /// assert_eq!((blocks.count, blocks.rows), (20, 50));
    /// assert_eq!(blocks.in_window(200), 4);
    /// let source = source.shuffle(200, 7)?.prefetch(4, 32)?;
    /// assert_eq!(Source::rows(&source), Some(1000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shuffle_blocks(mut self, seed: u64) -> Self {
        self.shuffled = Some(seed);
        self
    }

    /// Sets how many rows a block of [`shuffle_blocks`](Self::shuffle_blocks) has at most: 65,536, unless told
    /// otherwise.
    ///
    /// Smaller blocks mix better in the same window. The pages in front of a block in its row group are passed over by
    /// their headers, but a page that blocks share is decoded for each of them: take no fewer rows than pages have.
    pub fn block_rows(mut self, rows: u64) -> Self {
        self.block_rows = rows;
        self
    }

    /// Looks at the footers of all files, and at the sizes of their pages where those could exceed the budget.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened or is no Parquet file ([`FileError`](crate::FileError)), a column is missing or of
    /// a type that cannot serve, files disagree on a type and no type holds the values of both, the budget is too small, with the smallest that works, or
    /// there are no threads or no rows in a block.
    pub fn build<T: Scalar>(self) -> Result<ParquetSource<T>, Error> {
        Ok(self.source(self.plan::<T>(None, None)?))
    }

    /// Takes only the rows for which a condition is true, which may be told of columns that are not among the chosen.
    ///
    /// Row groups of which the file's statistics say that no row matches are not read at all, nor are pages of the chosen
    /// columns where no row does. NaN is a null, and compares with nothing. Every digit of integers, decimals and times counts.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_data::{Batch, Source};
    /// use tidemill_data_parquet::{ParquetSource, ParquetWriter, ValueType, Values};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("flights.parquet");
    /// let mut writer = ParquetWriter::create(&path, [("distance", ValueType::I64), ("delay", ValueType::F64)])?;
    /// writer.write(&[Values::I64(&[300, 700, 900]), Values::F64(&[5.0, -2.0, 30.0])])?;
    /// writer.finish()?;
    ///
    /// let far = ParquetSource::open(&path).columns(["delay"]).filter("distance > 500".parse()?);
    /// let mut source = far.build::<f32>()?;
    /// let mut batch = Batch::new(source.schema().clone());
    /// source.fill(&mut batch, 32)?;
    /// assert_eq!(batch.reals(0), [-2.0, 30.0]);
    ///
    /// let none = ParquetSource::open(&path).columns(["delay"]).filter("distance > 5000".parse()?);
    /// assert_eq!(none.build::<f32>()?.passed_over().row_groups, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter(self, condition: Predicate) -> FilteredSourceBuilder {
        FilteredSourceBuilder::new(self, condition)
    }

    /// The same rows with other columns, as features.
    pub(crate) fn with_columns(mut self, names: Vec<&str>) -> Self {
        self.chosen = Columns::new().columns(names);
        self
    }

    /// What is to be read, in the order of the files, without row groups of which no row matches and, where `among` is
    /// given, without those that are not in that plan of the same files.
    pub(crate) fn plan<T: Scalar>(&self, condition: Option<&Predicate>, among: Option<&Plan>) -> Result<Plan, Error> {
        if self.threads == 0 {
            return Err(Error::invalid("threads", "none is left to read; one reads, more decode ahead"));
        }
        if self.block_rows == 0 {
            return Err(Error::invalid("block rows", "a block has no rows; expected 1 or more"));
        }
        let files = self.paths.files()?;
        let chosen = self.chosen.clone();
        let mut plan = Plan::new(files, chosen, self.budget, self.threads, self.on_damage, condition, among)?;
        if self.on_damage == OnDamage::Skip {
            plan = verified::<T>(plan)?;
        }
        Ok(plan)
    }

    /// A source of all rows of a plan, in the order that was asked for.
    pub(crate) fn source<T: Scalar>(&self, mut plan: Plan) -> ParquetSource<T> {
        plan.cut = self.shuffled.map(|seed| Cut::new(seed, self.block_rows, &plan.groups));
        ParquetSource::new(plan)
    }
}
