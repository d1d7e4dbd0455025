use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tidemill_data::Error;
use tidemill_data::file::NewFile;

use crate::FileError;
use crate::error::guarded;

/// What a column of a written table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 64-bit floating point numbers.
    F64,
    /// 32-bit floating point numbers.
    F32,
    /// Signed integers.
    I64,
    /// Unsigned integers.
    U64,
    /// Unsigned integers of 32 bits.
    U32,
    /// Texts.
    Text,
    /// Truth values.
    Bool,
}

/// Values of one column, for some rows.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// For [`ValueType::F64`].
    F64(&'a [f64]),
    /// For [`ValueType::F32`].
    F32(&'a [f32]),
    /// For [`ValueType::I64`].
    I64(&'a [i64]),
    /// For [`ValueType::U64`].
    U64(&'a [u64]),
    /// For [`ValueType::U32`].
    U32(&'a [u32]),
    /// For [`ValueType::Text`].
    Text(&'a [&'a str]),
    /// For [`ValueType::Bool`].
    Bool(&'a [bool]),
}

/// Bytes that a dictionary takes before it has any value.
const DICTIONARY: usize = 128 << 10;

/// Writes a table, such as predictions or a learning curve, as a Parquet file (zstd).
///
/// The file appears under its name when [`finish`](Self::finish) has succeeded, complete and on disk; until then there
/// is a temporary file beside it, which is removed when the writer is dropped.
///
/// # Example
///
/// ```
/// use tidemill_data_parquet::{ParquetWriter, ValueType, Values};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("curve.parquet");
/// let mut writer = ParquetWriter::create(&path, [("rows", ValueType::I64), ("loss", ValueType::F64)])?;
/// for step in 0..3 {
///     writer.write(&[Values::I64(&[step * 1000]), Values::F64(&[1.0 / (step + 1) as f64])])?;
/// }
/// writer.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ParquetWriter {
    output: Output,
    columns: Vec<(String, ValueType)>,
    /// Bytes of rows after which a row group is ended, and those of the present one.
    most: usize,
    held: usize,
}

impl ParquetWriter {
    /// Begins a file with these columns, in this order.
    ///
    /// # Errors
    ///
    /// When there are no columns, two of a name, or the folder cannot be written to.
    pub fn create<N: Into<String>>(
        path: impl AsRef<Path>,
        columns: impl IntoIterator<Item = (N, ValueType)>,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let columns: Vec<_> = columns.into_iter().map(|(name, of)| (name.into(), of)).collect();
        if columns.is_empty() {
            return Err(Error::invalid(path.display(), "a table needs at least one column"));
        }
        for (index, (name, _)) in columns.iter().enumerate() {
            if columns[..index].iter().any(|(n, _)| n == name) {
                return Err(Error::invalid(path.display(), format!("two columns are named {name}")));
            }
        }
        let fields = columns.iter().map(|(name, of)| Field::new(name, of.data_type(), false));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { output: Output::create(path, schema, Output::properties())?, columns, most: usize::MAX, held: 0 })
    }

    /// Begins a file of any types of arrow, whose rows are written by [`write_batch`](Self::write_batch). What is held in
    /// memory of a row group takes up to `budget` bytes.
    ///
    /// # Errors
    ///
    /// When Parquet has no such type, or the folder cannot be written to.
    pub fn of_schema(path: impl AsRef<Path>, schema: &SchemaRef, budget: u64) -> Result<Self, Error> {
        let most = usize::try_from(budget).unwrap_or(usize::MAX);
        // The dictionaries of thousands of columns would take more than their values.
        let dictionaries = schema.fields().len().saturating_mul(DICTIONARY) <= most;
        let properties = Output::properties().set_dictionary_enabled(dictionaries);
        let output = Output::create(path.as_ref(), Arc::clone(schema), properties)?;
        Ok(Self { output, columns: Vec::new(), most, held: 0 })
    }

    /// The columns of a schema that cannot be written as Parquet, by their places.
    pub fn unsupported(schema: &SchemaRef) -> Vec<usize> {
        // Some types are refused when a value is written, not before.
        let writes = |column: usize| {
            let field = schema.field(column).clone().with_nullable(true);
            let null = new_null_array(field.data_type(), 1);
            let alone = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![null])?;
            let mut writer = ArrowWriter::try_new(std::io::sink(), alone.schema(), None)?;
            writer.write(&alone)?;
            writer.close().map(drop)
        };
        let mut known: Vec<(&DataType, bool)> = Vec::new();
        let mut fits = |column: usize| {
            let data_type = schema.field(column).data_type();
            if let Some((_, fits)) = known.iter().find(|(known, _)| *known == data_type) {
                return *fits;
            }
            known.push((data_type, guarded(|| writes(column)).is_ok()));
            known[known.len() - 1].1
        };
        (0..schema.fields().len()).filter(|&column| !fits(column)).collect()
    }

    /// Appends rows of the writer's schema.
    ///
    /// # Errors
    ///
    /// When they are of another schema, or the disk is full.
    pub fn write_batch(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        // As few rows at once as keep what is held near its bytes.
        let bytes = rows.get_array_memory_size().max(1);
        let at_once = (rows.num_rows() as f64 * self.most as f64 / 8.0 / bytes as f64) as usize;
        let at_once = at_once.clamp(1, rows.num_rows().max(1));
        for first in (0..rows.num_rows()).step_by(at_once) {
            let some = at_once.min(rows.num_rows() - first);
            self.output.write_batch(&rows.slice(first, some))?;
            self.held += (bytes as f64 * some as f64 / rows.num_rows() as f64) as usize;
            if self.held > self.most {
                self.output.flush()?;
                self.held = 0;
            }
        }
        Ok(())
    }

    /// Appends rows: the values of each column, in the columns' order.
    ///
    /// # Errors
    ///
    /// When the columns are of other types or of unequal lengths, or the disk is full.
    pub fn write(&mut self, values: &[Values]) -> Result<(), Error> {
        let path = self.output.path.display();
        if values.len() != self.columns.len() {
            let problem = format!("{} columns are given, it has {}", values.len(), self.columns.len());
            return Err(Error::invalid(path, problem));
        }
        let rows = values[0].len();
        for ((name, expected), given) in self.columns.iter().zip(values) {
            if given.of() != *expected {
                let problem = format!("values of {:?} are given, it holds {expected:?}", given.of());
                return Err(Error::invalid(format!("{path}, column {name}"), problem));
            }
            if given.len() != rows {
                let problem = format!("{} rows are given, {rows} of {}", given.len(), self.columns[0].0);
                return Err(Error::invalid(format!("{path}, column {name}"), problem));
            }
        }
        Ok(self.output.write(values.iter().map(Values::array).collect())?)
    }

    /// Completes the file and gives it its name, in place of a file that may have had it.
    ///
    /// # Errors
    ///
    /// When the disk is full or the file cannot be renamed; the name is then as before.
    pub fn finish(self) -> Result<(), Error> {
        Ok(self.output.finish()?)
    }
}

impl ValueType {
    fn data_type(self) -> DataType {
        match self {
            Self::F64 => DataType::Float64,
            Self::F32 => DataType::Float32,
            Self::I64 => DataType::Int64,
            Self::U64 => DataType::UInt64,
            Self::U32 => DataType::UInt32,
            Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
        }
    }
}

impl Values<'_> {
    fn of(&self) -> ValueType {
        match self {
            Self::F64(_) => ValueType::F64,
            Self::F32(_) => ValueType::F32,
            Self::I64(_) => ValueType::I64,
            Self::U64(_) => ValueType::U64,
            Self::U32(_) => ValueType::U32,
            Self::Text(_) => ValueType::Text,
            Self::Bool(_) => ValueType::Bool,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    fn array(&self) -> ArrayRef {
        match *self {
            Self::F64(values) => Arc::new(Float64Array::from(values.to_vec())),
            Self::F32(values) => Arc::new(Float32Array::from(values.to_vec())),
            Self::I64(values) => Arc::new(Int64Array::from(values.to_vec())),
            Self::U64(values) => Arc::new(UInt64Array::from(values.to_vec())),
            Self::U32(values) => Arc::new(UInt32Array::from(values.to_vec())),
            Self::Text(values) => Arc::new(StringArray::from_iter_values(values)),
            Self::Bool(values) => Arc::new(BooleanArray::from(values.to_vec())),
        }
    }
}

/// A Parquet file under a temporary name.
pub(crate) struct Output {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<NewFile>,
}

impl Output {
    /// zstd; row groups of 65,536 rows, of which the writer holds one in memory; pages of 64 KiB, of which a reader holds
    /// one a column.
    pub(crate) fn properties() -> WriterPropertiesBuilder {
        WriterProperties::builder()
            .set_data_page_size_limit(64 << 10)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(65_536))
    }

    pub(crate) fn create(
        path: &Path,
        schema: SchemaRef,
        properties: WriterPropertiesBuilder,
    ) -> Result<Self, FileError> {
        let file = NewFile::create(path).map_err(|error| FileError::io(path, error))?;
        // A dictionary of numbers that hardly recur is as long as the numbers, and costs a second look at each.
        let reals = schema.fields().iter().filter(|field| field.data_type().is_floating());
        let properties = reals.fold(properties, |properties, field| {
            properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false)
        });
        let writer = guarded(|| ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties.build())));
        let writer = writer.map_err(|problem| FileError::write(path, problem))?;
        Ok(Self { path: path.to_owned(), schema, writer })
    }

    pub(crate) fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), FileError> {
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| FileError::write(&self.path, e))?;
        self.write_batch(&batch)
    }

    pub(crate) fn write_batch(&mut self, batch: &RecordBatch) -> Result<(), FileError> {
        guarded(|| self.writer.write(batch)).map_err(|problem| FileError::write(&self.path, problem))
    }

    /// Ends a row group.
    pub(crate) fn flush(&mut self) -> Result<(), FileError> {
        guarded(|| self.writer.flush()).map_err(|problem| FileError::write(&self.path, problem))
    }

    pub(crate) fn finish(self) -> Result<(), FileError> {
        let Self { path, writer, .. } = self;
        let file = guarded(|| writer.into_inner());
        let file = file.map_err(|problem| FileError::write(&path, problem))?;
        file.commit().map_err(|error| FileError::io(&path, error))
    }
}
