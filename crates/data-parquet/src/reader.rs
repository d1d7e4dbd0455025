//! Decoding the row groups of an open file, each column as far as its pages go.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::Schema as FileSchema;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tidemill_data::Error;
use tidemill_data_arrow::View;

use crate::FileError;
use crate::checked::CheckedGroup;
use crate::column::{ArrowColumn, Buffers, Held, PlainColumn};
use crate::error::{Place, guarded};
use crate::fit::{self, held_bytes};
use crate::footer::{Footer, Statistics};
use crate::locate::{Root, decoded_field};
use crate::pages::PageFile;
use crate::plain::{PlainChunk, Scratch, Team};
use crate::plan::{Group, KnownFile, Plan};
use crate::survey::over_budget;

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
        let KnownFile { location, print, list, .. } = &plan.files[file];
        let footer = Footer::reopen(location, *print, list)?;
        let roots = Root::locate(&plan.layout, &footer)?;
        let pages = PageFile::new(footer.input.clone(), footer.length, plan.budget);
        Ok(Self { file, footer, pages, roots })
    }

    /// A row group of it, with the types that columns are to be decoded to.
    fn group(&self, group: &Group) -> Result<GroupMetadata, FileError> {
        let metadata = self.footer.group(group.index, &group.footer, Statistics::Skip)?;
        let typed = |int96| {
            let typed = guarded(|| self.typed(Arc::clone(&metadata), int96));
            typed.map_err(|problem| Place::group(self.footer.path(), group.index).damaged(problem))
        };
        let millis = if self.roots.iter().any(|root| root.int96) { Some(typed(true)?) } else { None };
        Ok(GroupMetadata { metadata: typed(false)?, millis })
    }

    fn typed(&self, metadata: Arc<ParquetMetaData>, int96: bool) -> Result<ArrowReaderMetadata, ParquetError> {
        let (mut fields, first_leaves) = (self.footer.schema.fields().to_vec(), self.footer.leaves());
        for root in self.roots.iter().filter(|root| root.key.is_none()) {
            let column = root.place.column;
            let field = &self.footer.schema.fields()[column];
            fields[column] = decoded_field(field, first_leaves[column], &self.footer, int96);
        }
        let options = ArrowReaderOptions::new().with_schema(Arc::new(FileSchema::new(fields)));
        ArrowReaderMetadata::try_new(metadata, options)
    }

    fn failed(&self, plan: &Plan, group: &Group, column: &str, problem: String) -> Error {
        if let Some(error) = self.pages.take_failed() {
            return error.into();
        }
        let place = Place::column(self.footer.path(), group.index, column);
        match self.pages.take_refused() {
            Some(bytes) => over_budget(&place, bytes, plan.budget),
            None => place.damaged(problem).into(),
        }
    }
}

struct GroupMetadata {
    metadata: ArrowReaderMetadata,
    /// The same with timestamps of 96 bits as milliseconds, where there are any.
    millis: Option<ArrowReaderMetadata>,
}

/// A row group that is being read.
pub(crate) struct OpenGroup {
    /// Among the plan's row groups.
    pub(crate) place: usize,
    /// The row that it was opened for.
    pub(crate) skip: u64,
    file: Arc<OpenFile>,
    metadata: GroupMetadata,
    columns: Vec<OpenColumn>,
}

struct OpenColumn {
    /// Which rows of the group are decoded.
    rows: Range<u64>,
    /// The row of the group that the decoder began with.
    first_row: u64,
    decoder: Decoder,
}

enum Decoder {
    Plain(PlainColumn),
    Arrow(ArrowColumn),
    /// Rows of one value that the file's path gives, as many as are decoded at a time.
    Constant(ArrayRef),
    /// Of a column that is read in turn, once rows of it are decoded.
    InTurn(Option<Held>),
    /// While one takes the place of the other.
    None,
}

impl OpenGroup {
    /// Opens a row group of the file, passing over `skip` of its rows. The buffers are those of another row group's
    /// columns, of some or all of them.
    pub(crate) fn open(
        plan: &Plan,
        file: Arc<OpenFile>,
        place: usize,
        skip: u64,
        buffers: Vec<Buffers>,
    ) -> Result<Self, Error> {
        let metadata = file.group(&plan.groups[place])?;
        let mut opened = Self { place, skip, file, metadata, columns: Vec::with_capacity(plan.layout.reads().len()) };
        let mut buffers = buffers.into_iter();
        let Group { rows, batch, .. } = plan.groups[place];
        for read in 0..plan.layout.reads().len() {
            let buffers = buffers.next().unwrap_or_default();
            if let Some(key) = &opened.file.roots[read].key {
                let decoder = Decoder::Constant(key.column(batch));
                opened.columns.push(OpenColumn { rows: 0..rows, first_row: skip, decoder });
                continue;
            }
            if plan.groups[place].in_turn && held_bytes(&opened.file.roots[read]).is_some() {
                let decoder = Decoder::InTurn(None);
                opened.columns.push(OpenColumn { rows: skip..skip, first_row: skip, decoder });
                continue;
            }
            let decoder = match opened.plain(plan, read, skip, buffers) {
                Some(column) => Decoder::Plain(column),
                None => opened.heard().and_then(|()| opened.arrow(plan, read, skip)).map(Decoder::Arrow)?,
            };
            opened.columns.push(OpenColumn { rows: skip..skip, first_row: skip, decoder });
        }
        Ok(opened)
    }

    /// Whether a store gave all bytes that it was asked for: what it does not give now is not asked for once more.
    fn heard(&self) -> Result<(), Error> {
        self.file.pages.take_failed().map_or(Ok(()), |error| Err(error.into()))
    }

    /// A column of plain numbers, as far as can be seen.
    fn plain(&self, plan: &Plan, read: usize, skip: u64, buffers: Buffers) -> Option<PlainColumn> {
        if !plan.reads_plain() {
            return None;
        }
        let root = &self.file.roots[read];
        let chunk = self.metadata.metadata.metadata().row_group(0).column(root.place.leaves.start);
        let (data_type, Group { batch, read_ahead, .. }) = (&root.place.data_type, &plan.groups[self.place]);
        let piece = (*batch).min(fit::ROWS as usize);
        let chunk = PlainChunk::open(&self.file.pages, chunk, data_type, piece, *read_ahead)?;
        PlainColumn::new(chunk, data_type.clone(), skip, buffers).ok()
    }

    fn arrow(&self, plan: &Plan, read: usize, skip: u64) -> Result<ArrowColumn, Error> {
        let group = &plan.groups[self.place];
        let (root, GroupMetadata { metadata, millis }) = (&self.file.roots[read], &self.metadata);
        let column = guarded(|| match millis {
            Some(millis) if root.int96 => {
                let nanoseconds = self.reader(metadata, root, group, skip)?;
                Ok(ArrowColumn::new(root, self.reader(millis, root, group, skip)?, Some(nanoseconds)))
            }
            _ => Ok::<_, ParquetError>(ArrowColumn::new(root, self.reader(metadata, root, group, skip)?, None)),
        });
        column.map_err(|problem| self.file.failed(plan, group, &plan.layout.reads()[read].name, problem))
    }

    fn reader(
        &self,
        metadata: &ArrowReaderMetadata,
        root: &Root,
        of: &Group,
        skip: u64,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let schema = metadata.parquet_schema();
        let mask = ProjectionMask::leaves(schema, root.leaves());
        let levels = parquet_to_arrow_field_levels(schema, mask, Some(metadata.schema().fields()))?;
        let (pages, metadata) = (self.file.pages.clone(), Arc::clone(metadata.metadata()));
        let group = CheckedGroup { pages, ahead: of.read_ahead, metadata };
        let left = (group.num_rows() as u64).saturating_sub(skip) as usize;
        let selection = vec![RowSelector::skip(skip as usize), RowSelector::select(left)];
        let selection = (skip > 0).then(|| RowSelection::from(selection));
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, of.batch, selection)
    }

    /// Some of the rows that are [decoded](Self::decode), as one column has them.
    pub(crate) fn view(&self, read: usize, rows: Range<u64>) -> View<'_> {
        let column = &self.columns[read];
        let place = |row: u64| (row - column.rows.start) as usize;
        let rows = place(rows.start)..place(rows.end);
        match &column.decoder {
            Decoder::Plain(plain) => plain.view(rows),
            Decoder::Arrow(arrow) => arrow.view(rows),
            Decoder::Constant(array) => View::Array { array, nanoseconds: None, rows: 0..rows.len() },
            Decoder::InTurn(Some(held)) => held.view(rows),
            Decoder::InTurn(None) | Decoder::None => {
                unreachable!("a decoder that could not begin is dropped with its row group")
            }
        }
    }

    /// Whether a row of the group is best come to by reading on.
    pub(crate) fn reaches(&self, plan: &Plan, row: u64) -> bool {
        let batch = plan.groups[self.place].batch as u64;
        self.columns.iter().all(|column| (column.rows.start..column.rows.end + batch).contains(&row))
    }

    /// Decodes until the first of the wanted rows is there in every column, and says up to where all have their rows.
    /// The team decodes ahead as far as rows are wanted.
    pub(crate) fn decode(
        &mut self,
        plan: &Plan,
        wanted: Range<u64>,
        scratch: &mut Scratch,
        team: Option<&Team>,
    ) -> Result<u64, Error> {
        let team = team.filter(|_| plan.reads_ahead(self.place, self.place));
        for read in 0..self.columns.len() {
            while self.columns[read].rows.end <= wanted.start {
                self.advance(plan, read, scratch)?;
                let column = &mut self.columns[read];
                let goes_on = column.rows.end < wanted.end;
                if let (Decoder::Plain(plain), Some(team)) = (&mut column.decoder, team.filter(|_| goes_on)) {
                    plain.ask(team);
                }
            }
        }
        let constant = self.columns.iter().any(|column| matches!(column.decoder, Decoder::Constant(_)));
        let most = if constant { wanted.start + plan.groups[self.place].batch as u64 } else { u64::MAX };
        Ok(self.columns.iter().map(|column| column.rows.end).fold(most, u64::min))
    }

    /// Decodes the next rows of a column, in place of those decoded before.
    fn advance(&mut self, plan: &Plan, read: usize, scratch: &mut Scratch) -> Result<(), Error> {
        let OpenColumn { rows: Range { end: start, .. }, decoder, .. } = &mut self.columns[read];
        let (start, mut begun) = (*start, Ok(()));
        if matches!(decoder, Decoder::InTurn(_)) {
            return self.advance_in_turn(plan, read, start, scratch);
        }
        if let Decoder::Plain(plain) = decoder {
            if let Ok(rows) = plain.advance(scratch) {
                let left = plan.groups[self.place].rows - start;
                let column = &mut self.columns[read];
                column.rows = start..start + left.min(rows as u64);
                return Ok(());
            }
            self.heard()?;
            begun = self.begin_arrow(plan, read, start);
        }
        match begun.and_then(|()| self.advance_arrow(plan, read)) {
            // What is wrong is told as it shows from the first row on, not to a reader that began behind it.
            Err(_) if self.columns[read].first_row > self.skip => {
                self.begin_arrow(plan, read, self.skip)?;
                while self.columns[read].rows.end <= start {
                    self.advance_arrow(plan, read)?;
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Decodes the next rows of a column that is read in turn: opens it, passes over the rows in front, and keeps those
    /// rows alone.
    fn advance_in_turn(&mut self, plan: &Plan, read: usize, start: u64, scratch: &mut Scratch) -> Result<(), Error> {
        // What was held is freed first.
        self.columns[read].decoder = Decoder::InTurn(None);
        let group = &plan.groups[self.place];
        let rows = (group.rows - start).min(group.batch as u64);
        let plain = self.plain(plan, read, start, Buffers::default());
        let held = match plain.map(|column| column.hold(rows as usize, scratch)) {
            Some(Ok(held)) => held,
            _ => {
                self.heard()?;
                let mut arrow = self.arrow(plan, read, start)?;
                let decoded = guarded(|| arrow.advance(rows as usize));
                decoded.map_err(|problem| self.file.failed(plan, group, &plan.layout.reads()[read].name, problem))?;
                arrow.into_held()
            }
        };
        let column = &mut self.columns[read];
        (column.rows, column.decoder) = (start..start + rows, Decoder::InTurn(Some(held)));
        Ok(())
    }

    /// Has arrow read a column, from row `skip` on.
    fn begin_arrow(&mut self, plan: &Plan, read: usize, skip: u64) -> Result<(), Error> {
        let column = &mut self.columns[read];
        (column.rows, column.first_row) = (skip..skip, skip);
        // The buffers are freed before arrow makes its own.
        column.decoder = Decoder::None;
        self.columns[read].decoder = Decoder::Arrow(self.arrow(plan, read, skip)?);
        Ok(())
    }

    fn advance_arrow(&mut self, plan: &Plan, read: usize) -> Result<(), Error> {
        let group = &plan.groups[self.place];
        let OpenColumn { rows: Range { end: start, .. }, decoder, .. } = &mut self.columns[read];
        let (start, rows) = (*start, (group.rows - *start).min(group.batch as u64));
        let Decoder::Arrow(arrow) = decoder else { unreachable!("arrow was begun") };
        let decoded = guarded(|| arrow.advance(rows as usize));
        decoded.map_err(|problem| self.file.failed(plan, group, &plan.layout.reads()[read].name, problem))?;
        self.columns[read].rows = start..start + rows;
        Ok(())
    }

    /// Has the first page of every column decoded.
    pub(crate) fn ask(&mut self, team: &Team) {
        self.plain_columns().for_each(|(_, plain)| plain.ask(team));
    }

    /// Whether there are pages to be decoded ahead, but none in this group that has rows in front of `end`.
    pub(crate) fn is_over(&self, end: u64) -> bool {
        let plain = |column: &OpenColumn| match &column.decoder {
            Decoder::Plain(plain) => Some(plain.is_over() || column.rows.end >= end),
            Decoder::Arrow(_) | Decoder::InTurn(_) | Decoder::Constant(_) | Decoder::None => None,
        };
        let mut plain = self.columns.iter().filter_map(plain).peekable();
        plain.peek().is_some() && plain.all(|over| over)
    }

    /// The buffers that are not in use.
    pub(crate) fn take_spares(&mut self) -> Vec<Buffers> {
        let mut buffers: Vec<_> = self.columns.iter().map(|_| Buffers::default()).collect();
        self.plain_columns().for_each(|(read, plain)| buffers[read].spare = plain.take_spare());
        buffers
    }

    /// The buffers that were in use.
    pub(crate) fn into_buffers(self) -> Vec<Buffers> {
        let buffers = self.columns.into_iter().map(|column| match column.decoder {
            Decoder::Plain(plain) => Buffers { page: plain.into_page(), ..Buffers::default() },
            Decoder::Arrow(_) | Decoder::InTurn(_) | Decoder::Constant(_) | Decoder::None => Buffers::default(),
        });
        buffers.collect()
    }

    /// Takes over the buffers of the group before.
    pub(crate) fn inherit(&mut self, buffers: Vec<Buffers>) {
        let mut pages: Vec<_> = buffers.into_iter().map(|buffers| buffers.page).collect();
        for (read, plain) in self.plain_columns() {
            plain.inherit(pages.get_mut(read).map(std::mem::take).unwrap_or_default());
        }
    }

    fn plain_columns(&mut self) -> impl Iterator<Item = (usize, &mut PlainColumn)> {
        self.columns.iter_mut().enumerate().filter_map(|(read, column)| match &mut column.decoder {
            Decoder::Plain(plain) => Some((read, plain)),
            Decoder::Arrow(_) | Decoder::InTurn(_) | Decoder::Constant(_) | Decoder::None => None,
        })
    }
}
