//! Decoding the row groups of an open file, a few rows of every column at a time.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{ArrowError, DataType, Schema as FileSchema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tidemill_data::Error;

use crate::FileError;
use crate::convert::Decoded;
use crate::error::{Place, guarded};
use crate::footer::{Footer, Statistics};
use crate::layout::Root;
use crate::pages::PageFile;
use crate::plan::{Group, KnownFile, Plan, over_budget};
use crate::types::{decoded, retyped};

/// A file that is being read.
pub(crate) struct OpenFile {
    pub(crate) file: usize,
    footer: Footer,
    pages: PageFile,
    roots: Vec<Root>,
}

impl OpenFile {
    /// Opens a file again, which must be as it was when the plan was made.
    pub(crate) fn open(plan: &Plan, file: usize) -> Result<Self, Error> {
        let KnownFile { path, print, list } = &plan.files[file];
        let footer = Footer::reopen(path, *print, list)?;
        let roots = plan.layout.locate(&footer)?;
        let pages = footer.file.try_clone().and_then(|file| PageFile::new(file, plan.budget));
        let pages = pages.map_err(|error| FileError::io(path, error))?;
        Ok(Self { file, footer, pages, roots })
    }

    /// A row group of it, with the types that columns are to be decoded to.
    fn group(&mut self, group: &Group) -> Result<GroupMetadata, FileError> {
        let metadata = self.footer.group(group.index, &group.footer, Statistics::Skip)?;
        let typed = |int96| {
            let typed = guarded(|| self.typed(Arc::clone(&metadata), int96));
            typed.map_err(|problem| Place::group(&self.footer.path, group.index).damaged(problem))
        };
        let micros = if self.roots.iter().any(|root| root.int96) { Some(typed(true)?) } else { None };
        Ok(GroupMetadata { metadata: typed(false)?, micros })
    }

    fn typed(&self, metadata: Arc<ParquetMetaData>, int96: bool) -> Result<ArrowReaderMetadata, ParquetError> {
        let mut fields = self.footer.schema.fields().to_vec();
        for root in &self.roots {
            let field = &mut fields[root.root];
            let data_type = match int96 && root.int96 {
                true => DataType::Timestamp(TimeUnit::Microsecond, None),
                false => decoded(field.data_type()),
            };
            *field = retyped(field, data_type);
        }
        let options = ArrowReaderOptions::new().with_schema(Arc::new(FileSchema::new(fields)));
        ArrowReaderMetadata::try_new(metadata, options)
    }

    fn failed(&self, plan: &Plan, group: &Group, column: &str, problem: String) -> Error {
        let place = Place::column(&self.footer.path, group.index, column);
        match self.pages.take_refused() {
            Some(bytes) => over_budget(&place, bytes, plan.budget),
            None => place.damaged(problem).into(),
        }
    }
}

struct GroupMetadata {
    metadata: ArrowReaderMetadata,
    /// The same with timestamps of 96 bits as microseconds, where there are any.
    micros: Option<ArrowReaderMetadata>,
}

/// A row group that is being read.
pub(crate) struct OpenGroup {
    group: usize,
    columns: Vec<OpenColumn>,
    /// The decoded rows.
    decoded: Vec<Decoded>,
    /// Rows of the group in front of those, and behind them.
    start: u64,
    next: u64,
}

struct OpenColumn {
    reader: ParquetRecordBatchReader,
    nanoseconds: Option<ParquetRecordBatchReader>,
}

impl OpenGroup {
    /// Opens a row group of the file, passing over `skip` of its rows.
    pub(crate) fn open(plan: &Plan, file: &mut OpenFile, group: usize, skip: u64) -> Result<Self, Error> {
        let place = group;
        let group = &plan.groups[place];
        let GroupMetadata { metadata, micros } = file.group(group)?;
        let open = |metadata: &ArrowReaderMetadata, root: &Root| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.pages.clone(), metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), [root.root]);
            let builder = builder.with_projection(mask).with_batch_size(group.batch);
            if skip > 0 { builder.with_offset(skip as usize).build() } else { builder.build() }
        };
        let columns = file.roots.iter().zip(&plan.layout.reads).map(|(root, read)| {
            let column = guarded(|| match &micros {
                Some(micros) if root.int96 => {
                    Ok(OpenColumn { reader: open(micros, root)?, nanoseconds: Some(open(&metadata, root)?) })
                }
                _ => Ok::<_, ParquetError>(OpenColumn { reader: open(&metadata, root)?, nanoseconds: None }),
            });
            column.map_err(|problem| file.failed(plan, group, &read.name, problem))
        });
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(Self { group: place, columns, decoded: Vec::new(), start: skip, next: skip })
    }

    /// Among the plan's row groups.
    pub(crate) fn group(&self) -> usize {
        self.group
    }

    pub(crate) fn decoded(&self) -> &[Decoded] {
        &self.decoded
    }

    /// The rows of the epoch that are decoded.
    pub(crate) fn rows(&self, plan: &Plan) -> Range<u64> {
        let first = plan.groups[self.group].first;
        first + self.start..first + self.next
    }

    /// Decodes the next rows of every column, in place of those decoded before.
    pub(crate) fn advance(&mut self, plan: &Plan, file: &OpenFile) -> Result<(), Error> {
        self.decoded.clear();
        let group = &plan.groups[self.group];
        let expected = (group.rows - self.next).min(group.batch as u64) as usize;
        for (column, read) in self.columns.iter_mut().zip(&plan.layout.reads) {
            let rows = guarded(|| column.next(expected));
            let rows = rows.map_err(|problem| file.failed(plan, group, &read.name, problem))?;
            self.decoded.push(rows);
        }
        self.start = self.next;
        self.next += expected as u64;
        Ok(())
    }
}

impl OpenColumn {
    fn next(&mut self, rows: usize) -> Result<Decoded, ArrowError> {
        let array = next_array(&mut self.reader, rows)?;
        let nanoseconds = self.nanoseconds.as_mut().map(|reader| next_array(reader, rows)).transpose()?;
        Ok(Decoded { array, nanoseconds })
    }
}

fn next_array(reader: &mut ParquetRecordBatchReader, rows: usize) -> Result<ArrayRef, ArrowError> {
    let batch = reader.next().transpose()?;
    let found = batch.as_ref().map_or(0, |batch| batch.num_rows());
    match batch {
        Some(batch) if found == rows => Ok(Arc::clone(batch.column(0))),
        _ => Err(ArrowError::ParquetError(format!("it holds {found} rows where {rows} follow by the footer"))),
    }
}
