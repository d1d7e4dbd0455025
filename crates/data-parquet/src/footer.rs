//! Opening a file: its schema, and its row groups one at a time.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{Fields, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use tidemill_data::Error;

use crate::FileError;
use crate::error::{Place, guarded};
use crate::hive::Key;
use crate::input::{Input, Location, Opened};
use crate::outline::{Fingerprint, Outline, Printer, decoded_bytes};
use crate::schema_message::check_stored_schema;
use crate::stored::agreed;

/// Bytes of a footer that are compared at a time.
const PIECE: usize = 64 << 10;

/// Whether the columns' statistics are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistics {
    Keep,
    Skip,
}

/// A file, open, with what its footer says but for the row groups.
pub(crate) struct Footer {
    pub(crate) location: Location,
    pub(crate) input: Input,
    /// The file's length.
    pub(crate) length: u64,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// The same, and behind them those whose values its path gives.
    pub(crate) table: SchemaRef,
    head: Arc<ParquetMetaData>,
    start: u64,
}

impl Footer {
    const SMALL: u64 = 1 << 20;

    /// Opens a file whose footer may take `limit` bytes, or a few anyway: what is missing can then be told.
    pub(crate) fn open(location: &Location, limit: u64) -> Result<(Self, Outline), Error> {
        let path = &*location.path;
        let located = Located::open(location)?;
        let size = located.length - 8 - located.start;
        let within = |needed: u64| {
            if needed <= limit.max(Self::SMALL) {
                return Ok(());
            }
            Err(Error::Budget {
                what: format!("the footer of {}", path.display()),
                needed,
                budget: limit,
                advice: format!("set a budget of {needed} bytes, or write the file in fewer and larger row groups"),
            })
        };
        within(size)?;
        let bytes = located.read(0..size, path)?;
        // As it is, what it is decoded from, and what it is decoded to.
        let decoded = decoded_bytes(&bytes).map_err(|problem| FileError::not_parquet(path, problem))?;
        within(size.saturating_mul(2).saturating_add(decoded))?;
        let outline = Outline::of(&bytes).map_err(|problem| FileError::not_parquet(path, problem))?;
        let Range { start, end } = outline.list;
        let head = [&bytes[..start as usize], &Outline::NO_GROUPS, &bytes[end as usize..]].concat();
        Ok((located.decode(path, &head)?, outline))
    }

    /// Opens a file again, whose footer must be the same as before.
    pub(crate) fn reopen(location: &Location, print: Fingerprint, list: &Range<u64>) -> Result<Self, FileError> {
        let path = &*location.path;
        let located = Located::open(location)?;
        let size = located.length - 8 - located.start;
        if !located.is_same {
            let mut printer = Printer::default();
            for start in (0..size).step_by(PIECE) {
                printer.add(&located.read(start..size.min(start + PIECE as u64), path)?);
            }
            if printer.finish() != print {
                return Err(FileError::Changed { path: path.to_owned(), problem: "its footer is another".into() });
            }
        }
        let mut head = located.read(0..list.start, path)?;
        head.extend(Outline::NO_GROUPS);
        head.extend(located.read(list.end..size, path)?);
        located.decode(path, &head)
    }

    /// A row group, which the footer has at these bytes, as the only one of the file.
    pub(crate) fn group(
        &self,
        index: usize,
        bytes: &Range<u64>,
        statistics: Statistics,
    ) -> Result<Arc<ParquetMetaData>, FileError> {
        let place = || Place::group(self.path(), index);
        let bytes = read(&self.input, self.start, bytes.clone());
        let damaged = |error: io::Error| place().damaged(error.to_string());
        let bytes = bytes.map_err(|error| FileError::of_store(error).unwrap_or_else(damaged))?;
        let mut options = ParquetMetaDataOptions::new();
        if statistics == Statistics::Skip {
            options = options
                .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
                .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
                .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
        }
        let options = options.with_schema(self.head.file_metadata().schema_descr_ptr());
        let one =
            guarded(|| ParquetMetaDataReader::decode_metadata_with_options(&Outline::of_one(&bytes), Some(&options)));
        let one = one.map_err(|problem| place().damaged(problem))?;
        match one.row_groups() {
            [group] if group.num_rows() >= 0 => Ok(Arc::new(one)),
            [group] => Err(place().damaged(format!("it is said to have {} rows", group.num_rows()))),
            _ => Err(place().damaged("it is malformed")),
        }
    }

    /// Rows of all row groups, by what is said of the file.
    pub(crate) fn rows(&self) -> i64 {
        self.head.file_metadata().num_rows()
    }

    /// Checks the rows that were counted against those that are said to be there.
    pub(crate) fn check_rows(&self, counted: u64) -> Result<(), FileError> {
        if i64::try_from(counted) == Ok(self.rows()) {
            return Ok(());
        }
        let problem = format!("the footer says {} rows, its row groups add up to {counted}", self.rows());
        Err(Place::file(self.path()).damaged(problem))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.location.path
    }

    /// What is said of the file as a whole.
    pub(crate) fn head(&self) -> &ParquetMetaData {
        &self.head
    }

    /// The key in the file's path that is the table's column at a place; `None` where the file has it.
    pub(crate) fn key(&self, column: usize) -> Option<&Key> {
        let behind = column.checked_sub(self.schema.fields().len())?;
        self.location.keys.iter().filter(|key| !has(&self.schema, key)).nth(behind)
    }

    /// The first leaf of each column of the file: its only one, unless it is a struct or a map.
    pub(crate) fn leaves(&self) -> Vec<usize> {
        let schema = self.head.file_metadata().schema_descr();
        let mut leaves = vec![None; self.schema.fields().len()];
        for leaf in 0..schema.num_columns() {
            if let Some(first) = leaves.get_mut(schema.get_column_root_idx(leaf)) {
                first.get_or_insert(leaf);
            }
        }
        leaves.into_iter().map(Option::unwrap_or_default).collect()
    }
}

/// A file's columns, and those keys that are none of them.
fn with_keys(schema: &SchemaRef, keys: &[Key]) -> SchemaRef {
    let keys: Vec<_> = keys.iter().filter(|key| !has(schema, key)).map(|key| Arc::new(key.field())).collect();
    if keys.is_empty() {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().cloned().chain(keys);
    Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()))
}

fn has(schema: &Schema, key: &Key) -> bool {
    schema.fields().iter().any(|field| *field.name() == key.name)
}

/// A file and the place of its footer.
struct Located {
    location: Location,
    input: Input,
    length: u64,
    start: u64,
    is_same: bool,
}

impl Located {
    fn open(location: &Location) -> Result<Self, FileError> {
        let path = &*location.path;
        let bad = |problem: String| Err(FileError::not_parquet(path, problem));
        let Opened { input, length, location, is_same } = location.open()?;
        if length < 12 {
            return bad(format!("it has {length} bytes"));
        }
        let mut tail = [0; 8];
        input.read_exact_at(length - 8, &mut tail).map_err(|error| FileError::io(path, error))?;
        let [a, b, c, d, magic @ ..] = tail;
        match &magic {
            b"PAR1" => {}
            b"PARE" => return bad("its footer is encrypted".into()),
            _ => return bad("it does not end in PAR1".into()),
        }
        let size = u64::from(u32::from_le_bytes([a, b, c, d]));
        if size > length - 12 {
            return bad(format!("its footer is said to have {size} bytes, the file has {length}"));
        }
        Ok(Self { location, input, length, start: length - 8 - size, is_same })
    }

    fn read(&self, bytes: Range<u64>, path: &Path) -> Result<Vec<u8>, FileError> {
        read(&self.input, self.start, bytes).map_err(|error| FileError::io(path, error))
    }

    fn decode(self, path: &Path, head: &[u8]) -> Result<Footer, FileError> {
        let decoded = guarded(|| {
            let head = Arc::new(ParquetMetaDataReader::decode_metadata(head)?);
            check_stored_schema(&head).map_err(ParquetError::General)?;
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let inferred = ArrowReaderMetadata::try_new(Arc::clone(&head), options)?;
            Ok::<_, ParquetError>((head, inferred))
        });
        let (head, inferred) = decoded.map_err(|problem| FileError::not_parquet(path, problem))?;
        // One that cannot be applied at all is as good as none.
        let stored = guarded(|| ArrowReaderMetadata::try_new(Arc::clone(&head), ArrowReaderOptions::new())).ok();
        let stored = stored.as_ref().map(|stored| stored.schema().as_ref());
        let schema = Arc::new(agreed(inferred.schema(), stored, head.file_metadata().schema_descr()));
        let Self { location, input, length, start, .. } = self;
        let table = with_keys(&schema, &location.keys);
        Ok(Footer { location, input, length, schema, table, head, start })
    }
}

/// Reads bytes of a footer that begins at `start`.
fn read(input: &Input, start: u64, bytes: Range<u64>) -> io::Result<Vec<u8>> {
    input.read(start + bytes.start..start + bytes.end)
}
