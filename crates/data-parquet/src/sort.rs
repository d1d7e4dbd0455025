use std::ops::Range;
use std::path::Path;

use arrow_array::{Array, RecordBatch};
use arrow_ord::ord::make_comparator;
use arrow_schema::{ArrowError, SortOptions};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::properties::WriterPropertiesBuilder;
use tidemill_data::Error;
use tidemill_data_arrow::missing_column;

use crate::FileError;
use crate::error::{Place, guarded};
use crate::footer::{Footer, Statistics};
use crate::input::Location;
use crate::locate::copied_schema;
use crate::pages::PageFile;
use crate::url::Named;
use crate::writer::Output;

/// Rows that are read at a time.
const ROWS: usize = 8192;

/// Writes a file's rows again in the order of one column: ascending, nulls last, equal values in the order in which
/// they were. Floating point numbers are in IEEE 754's total order, which has NaN behind infinity. All columns keep
/// their names and types, and row groups their sizes; timestamps of 96 bits are written to the microsecond. Input and output may be the same file.
///
/// All rows are held in memory, which must not take more than `budget` bytes.
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
    let (mut footer, outline) = Footer::open(&Location::local(&input), budget)?;
    let Ok(key) = footer.schema.index_of(column) else {
        return Err(missing_column(&input.display().to_string(), column, &footer.schema));
    };
    let mut sizes = Vec::new();
    for (index, bytes) in outline.groups.iter().enumerate() {
        sizes.push(footer.group(index, bytes, Statistics::Skip)?.row_group(0).num_rows().unsigned_abs());
    }
    let need = Need::new(&sizes, key);
    footer.check_rows(need.rows)?;
    if need.rows > u64::from(u32::MAX) {
        return Err(Error::invalid(input.display(), format!("{} rows are too many to sort at once", need.rows)));
    }
    let mut table = Output::create(output, copied_schema(&footer), properties(&footer))?;
    let all = need.rows;
    let batches = read_all(&mut footer, &outline.groups, need, budget, |read| each(read, 2 * all))?;
    let order = order_of(&batches, key).map_err(|error| Error::WrongType {
        source_name: input.display().to_string(),
        column: column.into(),
        expected: "a type whose values have an order".into(),
        found: error.to_string(),
    })?;
    let (mut rest, mut written) = (order.as_slice(), 0);
    for rows in sizes.into_iter().filter(|&rows| rows > 0) {
        let (group, behind) = rest.split_at(rows as usize);
        for rows in group.chunks(ROWS) {
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
    key: usize,
    read: u64,
    bytes: u64,
    key_bytes: u64,
}

impl Need {
    /// Bytes of a row's place in the order, while sorting and after.
    const PLACE: u64 = 16;

    fn new(sizes: &[u64], key: usize) -> Self {
        let rows = sizes.iter().fold(0u64, |sum, &rows| sum.saturating_add(rows));
        Self { rows, largest_group: sizes.iter().copied().max().unwrap_or(0), key, read: 0, bytes: 0, key_bytes: 0 }
    }

    fn add(&mut self, batch: &RecordBatch) {
        self.read += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size() as u64;
        self.key_bytes += batch.column(self.key).get_array_memory_size() as u64;
    }

    /// The rows read so far, a second copy of the key, and the row group that is being written.
    fn so_far(&self) -> u64 {
        let group = self.bytes as f64 * self.largest_group.min(self.read) as f64 / self.read as f64;
        self.bytes + group as u64 + self.key_bytes + self.rows * Self::PLACE
    }

    /// The same for all rows, supposing that the others are like these, and a little more.
    fn in_all(&self) -> u64 {
        let times = 1.1 * self.rows as f64 / self.read as f64;
        let group = self.bytes as f64 / self.read as f64 * self.largest_group as f64;
        ((self.bytes + self.key_bytes) as f64 * times + group * 1.1) as u64 + self.rows * Self::PLACE
    }
}

fn read_all(
    footer: &mut Footer,
    groups: &[Range<u64>],
    mut need: Need,
    budget: u64,
    mut each: impl FnMut(u64),
) -> Result<Vec<RecordBatch>, Error> {
    let mut batches = Vec::new();
    for (index, bytes) in groups.iter().enumerate() {
        let metadata = footer.group(index, bytes, Statistics::Skip)?;
        let rows = need.read + metadata.row_group(0).num_rows().unsigned_abs();
        let damaged = |problem| Place::group(footer.path(), index).damaged(problem);
        let reader = guarded(|| {
            let options = ArrowReaderOptions::new().with_schema(copied_schema(footer));
            let pages = PageFile::new(footer.input.clone(), footer.length, budget);
            let metadata = ArrowReaderMetadata::try_new(metadata, options)?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(pages, metadata).with_batch_size(ROWS).build()
        });
        let mut reader = reader.map_err(damaged)?;
        while let Some(batch) = guarded(|| reader.next().transpose()).map_err(damaged)? {
            need.add(&batch);
            if need.so_far() > budget {
                let (what, needed) = (format!("sorting {}", footer.path().display()), need.in_all());
                let advice = format!("allow it about {needed} bytes, or sort files of fewer rows");
                return Err(Error::Budget { what, needed, budget, advice });
            }
            batches.push(batch);
            each(need.read);
        }
        if need.read != rows {
            return Err(damaged(format!("it holds rows up to {} where {rows} are by the footer", need.read)).into());
        }
    }
    Ok(batches)
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
