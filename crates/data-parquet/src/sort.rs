use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_ord::ord::make_comparator;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, SortOptions};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::properties::WriterPropertiesBuilder;
use tidemill_data::Error;
use tidemill_data_arrow::{decoded_type, missing_column};

use crate::FileError;
use crate::checked::CheckedGroup;
use crate::error::{Place, guarded};
use crate::fit::{Chunks, Cost};
use crate::footer::{Footer, Statistics};
use crate::input::Location;
use crate::locate::{check_inside, copied_schema};
use crate::pages::PageFile;
use crate::sizes::add_row_bytes;
use crate::survey::over_budget;
use crate::url::Named;
use crate::writer::Output;

/// Rows that are written at a time, at most, and the share of the budget that they may take: one part in so many.
const ROWS: usize = 8192;
const WRITTEN_SHARE: u64 = 32;

/// Writes a file's rows again in the order of one column: ascending, nulls last, equal values in the order in which
/// they were. Floating point numbers are in IEEE 754's total order, which has NaN behind infinity. All columns keep
/// their names and types, and row groups their sizes; timestamps of 96 bits are written to the microsecond. Input and output may be the same file.
///
/// All rows are held in memory. They, a copy of the column that is sorted by, and what decoding and writing take must not
/// be more than `budget` bytes: what would be is refused before it is allocated.
///
/// # Example
///
/// ```
/// use tidemill_data::{Batch, Source};
/// use tidemill_data_parquet::{ParquetSource, ParquetWriter, ValueType, Values, sort_by};
///
/// # let folder = tempfile::tempdir()?;
/// # let (path, sorted) = (folder.path().join("flights.parquet"), folder.path().join("sorted.parquet"));
/// let mut writer = ParquetWriter::create(&path, [("time", ValueType::I64)])?;
/// writer.write(&[Values::I64(&[30, 10, 20])])?;
/// writer.finish()?;
///
/// sort_by(&path, "time", &sorted, 1 << 30)?;
/// let mut source = ParquetSource::open(&sorted).feature("time").build()?;
/// let mut batch = Batch::<f64>::new(source.schema().clone());
/// source.fill(&mut batch, 3)?;
/// assert_eq!(batch.reals(0), [10.0, 20.0, 30.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::Budget`] when the rows do not fit; otherwise as [`build`](crate::ParquetSourceBuilder::build), or when the
/// column has no order or the output cannot be written.
pub fn sort_by(input: impl AsRef<Path>, column: &str, output: impl AsRef<Path>, budget: u64) -> Result<(), Error> {
    sort_by_watched(input, column, output, budget, |_, _| ())
}

/// As [`sort_by`]; `each` is told, as it goes on, how many rows were read and written, and how many that will be in all:
/// twice the file's rows.
///
/// # Errors
///
/// As [`sort_by`].
pub fn sort_by_watched(
    input: impl AsRef<Path>,
    column: &str,
    output: impl AsRef<Path>,
    budget: u64,
    mut each: impl FnMut(u64, u64),
) -> Result<(), Error> {
    let output = output.as_ref();
    let input = match Named::of(input.as_ref())? {
        Named::Local(path) => path,
        Named::Object(_) => return Err(FileError::not_sorted(input.as_ref()).into()),
    };
    let (footer, outline) = Footer::open(&Location::local(&input), budget)?;
    let Ok(key) = footer.schema.index_of(column) else {
        return Err(missing_column(&input.display().to_string(), column, &footer.schema));
    };
    let (mut sizes, mut said) = (Vec::new(), 0u64);
    for (index, bytes) in outline.groups.iter().enumerate() {
        let metadata = footer.group(index, bytes, Statistics::Skip)?;
        let group = metadata.row_group(0);
        sizes.push(group.num_rows().unsigned_abs());
        let bytes = group.columns().iter().map(|chunk| chunk.uncompressed_size().unsigned_abs());
        said = bytes.fold(said, u64::saturating_add);
    }
    let need = Need::new(&sizes, said);
    footer.check_rows(need.rows)?;
    if need.rows > u64::from(u32::MAX) {
        return Err(Error::invalid(input.display(), format!("{} rows are too many to sort at once", need.rows)));
    }
    let mut table = Output::create(output, copied_schema(&footer), properties(&footer))?;
    let all = need.rows;
    let read = read_all(&footer, &outline.groups, key, need, budget, |read| each(read, 2 * all))?;
    let Rows { batches, need } = read;
    let order = order_of(&batches, key).map_err(|error| Error::WrongType {
        source_name: input.display().to_string(),
        column: column.into(),
        expected: "a type whose values have an order".into(),
        found: error.to_string(),
    })?;
    let (mut rest, mut written) = (order.as_slice(), 0);
    for rows in sizes.into_iter().filter(|&rows| rows > 0) {
        let (group, behind) = rest.split_at(rows as usize);
        for rows in group.chunks(need.rows_written(budget)) {
            let rows = guarded(|| gather(&batches, rows)).map_err(|problem| FileError::write(output, problem))?;
            table.write_batch(&rows)?;
            written += rows.num_rows() as u64;
            each(all + written, 2 * all);
        }
        table.flush()?;
        rest = behind;
    }
    Ok(table.finish()?)
}

/// Row groups are ended by hand. What other programs noted in the file stays.
fn properties(footer: &Footer) -> WriterPropertiesBuilder {
    let notes = footer.head().file_metadata().key_value_metadata().cloned();
    // The writer adds the arrow schema itself.
    let notes = notes.map(|notes| notes.into_iter().filter(|note| note.key != ARROW_SCHEMA_META_KEY).collect());
    Output::properties().set_max_row_group_row_count(None).set_key_value_metadata(notes)
}

/// What sorting takes, by what has been read so far.
struct Need {
    rows: u64,
    largest_group: u64,
    read: u64,
    bytes: u64,
    key_bytes: u64,
    /// The longest row.
    longest: u64,
    /// Bytes of all pages by the footer.
    said: u64,
}

impl Need {
    /// Bytes of a row's place in the order, while sorting and after.
    const PLACE: u64 = 16;

    fn new(sizes: &[u64], said: u64) -> Self {
        let rows = sizes.iter().fold(0u64, |sum, &rows| sum.saturating_add(rows));
        let largest_group = sizes.iter().copied().max().unwrap_or(0);
        Self { rows, largest_group, read: 0, bytes: 0, key_bytes: 0, longest: 0, said }
    }

    /// Adds rows that are decoded and not yet kept.
    fn add(&mut self, batch: &RecordBatch, key: usize) {
        let of_key = row_bytes(batch.column(key).as_ref());
        let mut sizes = vec![0; batch.num_rows()];
        batch.columns().iter().for_each(|column| add_row_bytes(column, 0, &mut sizes));
        self.read += batch.num_rows() as u64;
        self.bytes = self.bytes.saturating_add(sizes.iter().fold(0, |sum, &size| sum.saturating_add(size)));
        self.key_bytes = self.key_bytes.saturating_add(of_key);
        self.longest = self.longest.max(sizes.into_iter().max().unwrap_or(0));
    }

    /// The rows read so far, a second copy of the key, and the row group that is being written.
    fn so_far(&self) -> u64 {
        let group = self.bytes as f64 * self.largest_group.min(self.read) as f64 / self.read.max(1) as f64;
        let kept = self.bytes.saturating_add(group as u64).saturating_add(self.key_bytes);
        kept.saturating_add(self.rows.saturating_mul(Self::PLACE))
    }

    /// The same for all rows, supposing that the others are like these, and a little more.
    fn in_all(&self) -> u64 {
        let read = self.read.max(1) as f64;
        let times = 1.1 * self.rows as f64 / read;
        let group = self.bytes as f64 / read * self.largest_group as f64;
        let rows = ((self.bytes + self.key_bytes) as f64 * times + group * 1.1) as u64;
        rows.saturating_add(self.rows.saturating_mul(Self::PLACE))
    }

    /// Refuses what is over the budget together with what `reading` takes, which is up to `most` of a larger one.
    fn within(&self, budget: u64, reading: u64, most: impl FnOnce() -> u64, path: &Path) -> Result<(), Error> {
        if self.so_far().saturating_add(reading) <= budget {
            return Ok(());
        }
        Err(self.refused(budget, most().max(reading), path))
    }

    /// The error that all rows, and `reading` them, are over the budget.
    fn refused(&self, budget: u64, reading: u64, path: &Path) -> Error {
        let group = self.largest_group as f64 / self.rows.max(1) as f64;
        let said = (self.said as f64 * (1.1 + group)) as u64;
        let needed = self.in_all().max(self.so_far()).max(said).saturating_add(reading);
        let (what, advice) = (
            format!("sorting {}", path.display()),
            format!("set a budget of about {needed} bytes, or sort files of fewer rows"),
        );
        Error::Budget { what, needed, budget, advice }
    }

    /// Rows that are written at a time.
    fn rows_written(&self, budget: u64) -> usize {
        (budget / WRITTEN_SHARE / self.longest.max(1)).clamp(1, ROWS as u64) as usize
    }
}

fn row_bytes(array: &dyn Array) -> u64 {
    let mut sizes = vec![0; array.len()];
    add_row_bytes(array, 0, &mut sizes);
    sizes.into_iter().fold(0, u64::saturating_add)
}

/// The rows of a file, with their own types.
struct Rows {
    batches: Vec<RecordBatch>,
    need: Need,
}

fn read_all(
    footer: &Footer,
    groups: &[Range<u64>],
    key: usize,
    mut need: Need,
    budget: u64,
    mut each: impl FnMut(u64),
) -> Result<Rows, Error> {
    let mut batches = Vec::new();
    let copied = copied_schema(footer);
    let decoded = Arc::new(decoded_schema(&copied));
    let leaves = footer.head().file_metadata().schema_descr().num_columns();
    let columns: Vec<Cost> = (0..leaves).map(|leaf| Cost::of_leaf(footer, leaf)).collect();
    for (index, bytes) in groups.iter().enumerate() {
        let metadata = footer.group(index, bytes, Statistics::Skip)?;
        let group = metadata.row_group(0);
        let rows = need.read + group.num_rows().unsigned_abs();
        let damaged = |problem| Place::group(footer.path(), index).damaged(problem);
        group.columns().iter().try_for_each(|chunk| check_inside(chunk, footer.length)).map_err(damaged)?;
        // As much is for decoding as there is for rows that are kept.
        let left = budget.saturating_sub(need.so_far());
        let pages = PageFile::new(footer.input.clone(), footer.length, left);
        let fixed = 2 * (footer.head().memory_size() + metadata.memory_size()) as u64;
        let fit_in = |budget| {
            let (path, input, columns) = (footer.path(), &footer.input, columns.as_slice());
            Chunks { path, index, group, columns, input, budget }.fit(&pages, fixed, 1)
        };
        // Of a larger budget, decoding takes more, up to this.
        let most = || 2 * fit_in(u64::MAX).map_or(0, |fit| fit.bytes);
        let fit = match fit_in(left / 2) {
            Err(Error::Budget { needed, .. }) => {
                return Err(need.refused(budget, most().max(needed.saturating_mul(2)), footer.path()));
            }
            fit => fit?,
        };
        need.within(budget, fit.bytes, most, footer.path())?;
        let so_far = need.so_far();
        let failed = |problem| match (pages.take_failed(), pages.take_refused()) {
            (Some(error), _) => error.into(),
            (None, Some(bytes)) => {
                over_budget(&Place::group(footer.path(), index), so_far.saturating_add(bytes), budget)
            }
            (None, None) => Error::from(damaged(problem)),
        };
        let reader = guarded(|| {
            let options = ArrowReaderOptions::new().with_schema(Arc::clone(&decoded));
            let typed = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options)?;
            let schema = typed.parquet_schema();
            let all = ProjectionMask::all();
            let levels = parquet_to_arrow_field_levels(schema, all, Some(typed.schema().fields()))?;
            let group = CheckedGroup { pages: pages.clone(), ahead: 0, metadata: Arc::clone(&metadata) };
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, fit.batch as usize, None)
        });
        let mut reader = reader.map_err(failed)?;
        loop {
            let batch = match guarded(|| reader.next().transpose()) {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(problem) => return Err(failed(problem)),
            };
            need.add(&batch, key);
            need.within(budget, fit.bytes, most, footer.path())?;
            batches.push(guarded(|| with_types(&batch, &copied)).map_err(damaged)?);
            each(need.read);
        }
        if need.read != rows {
            return Err(damaged(format!("it holds rows up to {} where {rows} are by the footer", need.read)).into());
        }
    }
    Ok(Rows { batches, need })
}

/// The types to decode to: texts and binary as views, which borrow from pages, so that it can be seen how long values are
/// before they are copied. Types that cannot be cast back stay.
fn decoded_schema(schema: &Schema) -> Schema {
    let field = |field: &FieldRef| {
        let (own, decoded) = (field.data_type(), decoded_type(field.data_type()));
        let is_possible = *own != decoded && can_cast_types(&decoded, own);
        if is_possible { FieldRef::new(Field::clone(field).with_data_type(decoded)) } else { FieldRef::clone(field) }
    };
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

/// Rows with the types of a schema, which keep nothing of the pages that they come from.
fn with_types(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match column.data_type() {
        same if same == field.data_type() => Ok(compact(column)),
        _ => cast_with_options(column, field.data_type(), &options),
    });
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_, _>>()?, &rows)
}

fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => ArrayRef::clone(column),
    }
}

/// The rows in the column's order: the batch and the place in it.
fn order_of(batches: &[RecordBatch], key: usize) -> Result<Vec<(u32, u32)>, ArrowError> {
    let keys: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(key).as_ref()).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let keys = concat(&keys)?;
    let options = SortOptions { descending: false, nulls_first: false };
    let compare = make_comparator(keys.as_ref(), keys.as_ref(), options)?;
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_by(|&a, &b| compare(a as usize, b as usize));
    let ends: Vec<u32> = batches
        .iter()
        .scan(0, |end, batch| {
            *end += batch.num_rows() as u32;
            Some(*end)
        })
        .collect();
    Ok(order
        .into_iter()
        .map(|row| {
            let batch = ends.partition_point(|&end| end <= row);
            let before = if batch == 0 { 0 } else { ends[batch - 1] };
            (batch as u32, row - before)
        })
        .collect())
}

fn gather(batches: &[RecordBatch], rows: &[(u32, u32)]) -> Result<RecordBatch, ArrowError> {
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let rows: Vec<(usize, usize)> = rows.iter().map(|&(batch, row)| (batch as usize, row as usize)).collect();
    interleave_record_batch(&batches, &rows)
}
