//! Decoding the row groups of an open file, a few rows of every column at a time.

use std::path::Path;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{ArrowError, DataType, Schema as FileSchema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use tidemill_data::Error;

use crate::FileError;
use crate::convert::Decoded;
use crate::error::{Place, guarded};
use crate::footer::{Footer, Statistics};
use crate::layout::Root;
use crate::pages::PageFile;
use crate::plan::{Group, Plan, over_budget};
use crate::types::{decoded, retyped};

/// A file that is being read.
pub(crate) struct OpenFile {
    pub(crate) file: usize,
    pages: PageFile,
    metadata: ArrowReaderMetadata,
    /// The same with timestamps of 96 bits as microseconds, where there are any.
    micros: Option<ArrowReaderMetadata>,
    roots: Vec<Root>,
}

impl OpenFile {
    /// Opens a file again, which must be as it was when the plan was made.
    pub(crate) fn open(plan: &Plan, file: usize) -> Result<Self, Error> {
        let path = &plan.paths[file];
        let footer = Footer::open(path, Statistics::Skip)?;
        if !footer.group_rows().filter(|&rows| rows > 0).eq(plan.group_rows(file)) {
            let problem = format!("it has {} rows in other row groups", footer.metadata.file_metadata().num_rows());
            return Err(FileError::Changed { path: path.clone(), problem }.into());
        }
        let roots = plan.layout.locate(path, &footer)?;
        let metadata = |int96: bool| {
            guarded(|| as_decoded(&footer, &roots, int96)).map_err(|problem| Place::file(path).damaged(problem))
        };
        let micros = if roots.iter().any(|root| root.int96) { Some(metadata(true)?) } else { None };
        let metadata = metadata(false)?;
        let pages = PageFile::new(footer.file, plan.budget).map_err(|error| FileError::io(path, error))?;
        Ok(Self { file, pages, metadata, micros, roots })
    }
}

/// The footer with the types that columns are to be decoded to.
fn as_decoded(footer: &Footer, roots: &[Root], int96: bool) -> Result<ArrowReaderMetadata, ParquetError> {
    let mut fields = footer.schema.fields().to_vec();
    for root in roots {
        let field = &mut fields[root.root];
        let data_type = match int96 && root.int96 {
            true => DataType::Timestamp(TimeUnit::Microsecond, None),
            false => decoded(field.data_type()),
        };
        *field = retyped(field, data_type);
    }
    let schema = FileSchema::new_with_metadata(fields, footer.schema.metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(&footer.metadata), options)
}

/// A row group that is being read.
pub(crate) struct OpenGroup {
    group: Group,
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
    pub(crate) fn open(plan: &Plan, file: &OpenFile, group: Group, skip: u64) -> Result<Self, Error> {
        let open = |metadata: &ArrowReaderMetadata, root: &Root| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.pages.clone(), metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), [root.root]);
            let builder = builder.with_projection(mask).with_row_groups(vec![group.index]).with_batch_size(group.batch);
            if skip > 0 { builder.with_offset(skip as usize).build() } else { builder.build() }
        };
        let columns = file.roots.iter().zip(&plan.layout.reads).map(|(root, read)| {
            let column = guarded(|| match &file.micros {
                Some(micros) if root.int96 => {
                    Ok(OpenColumn { reader: open(micros, root)?, nanoseconds: Some(open(&file.metadata, root)?) })
                }
                _ => Ok::<_, ParquetError>(OpenColumn { reader: open(&file.metadata, root)?, nanoseconds: None }),
            });
            column.map_err(|problem| file.failed(plan, group, &read.name, problem))
        });
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(Self { group, columns, decoded: Vec::new(), start: skip, next: skip })
    }

    pub(crate) fn group(&self) -> Group {
        self.group
    }

    pub(crate) fn decoded(&self) -> &[Decoded] {
        &self.decoded
    }

    /// The row of the epoch that the first decoded row is.
    pub(crate) fn first(&self) -> u64 {
        self.group.first + self.start
    }

    /// The row of the epoch behind the last decoded row.
    pub(crate) fn end(&self) -> u64 {
        self.group.first + self.next
    }

    /// Decodes the next rows of every column, in place of those decoded before.
    pub(crate) fn advance(&mut self, plan: &Plan, file: &OpenFile) -> Result<(), Error> {
        self.decoded.clear();
        let expected = (self.group.rows - self.next).min(self.group.batch as u64) as usize;
        for (column, read) in self.columns.iter_mut().zip(&plan.layout.reads) {
            let rows = guarded(|| column.next(expected));
            let rows = rows.map_err(|problem| file.failed(plan, self.group, &read.name, problem))?;
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

impl OpenFile {
    fn failed(&self, plan: &Plan, group: Group, column: &str, problem: String) -> Error {
        let place = Place::column(self.path(plan), group.index, column);
        match self.pages.take_refused() {
            Some(bytes) => over_budget(&place, bytes, plan.budget),
            None => place.damaged(problem).into(),
        }
    }

    fn path<'a>(&self, plan: &'a Plan) -> &'a Path {
        &plan.paths[self.file]
    }
}
