//! From a row that is asked for to the row groups that are open.

use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Error, Source};
use tidemill_data_arrow::{Problem, Refused, View};

use super::ParquetSource;
use crate::error::Place;
use crate::plain::Team;
use crate::plan::Group;
use crate::reader::{OpenFile, OpenGroup};
use crate::sizes::add_row_bytes;

impl<T: Scalar> ParquetSource<T> {
    /// Rows from where it is, decoded as they are come to.
    pub(super) fn fill_rows(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut left = rows as u64;
        while let Some(row) = self.walk.row().filter(|_| left > 0) {
            let n = self.decode(row)?.min(left);
            self.take(batch, row, n)?;
            left -= n;
        }
        Ok(rows - left as usize)
    }

    /// As [`fill`](tidemill_data::Source::fill), but only as many rows as take `bytes` by their texts and lists, one at
    /// least: a text may be as long as a page.
    pub(crate) fn fill_within(&mut self, batch: &mut Batch<T>, rows: usize, bytes: u64) -> Result<usize, Error> {
        if self.plan.layout.row_bytes().is_some() {
            return self.fill(batch, rows);
        }
        self.fill_rows_within(batch, rows, bytes).inspect_err(|_| batch.clear())
    }

    fn fill_rows_within(&mut self, batch: &mut Batch<T>, rows: usize, mut bytes: u64) -> Result<usize, Error> {
        let (mut filled, mut sizes) = (0, Vec::new());
        while let Some(row) = self.walk.row().filter(|_| filled < rows) {
            let decoded = self.decode(row)?.min((rows - filled) as u64);
            let group = self.group.as_ref().expect("rows are decoded");
            let start = row - self.plan.groups[group.place].first;
            sizes.clear();
            sizes.resize(decoded as usize, 0);
            (0..self.plan.layout.reads().len()).for_each(|read| {
                if let View::Array { array, rows, .. } = group.view(read, start..start + decoded) {
                    add_row_bytes(array, rows.start, &mut sizes);
                }
            });
            let mut n = 0;
            for size in &sizes {
                if *size > bytes && (filled > 0 || n > 0) {
                    break;
                }
                bytes = bytes.saturating_sub(*size);
                n += 1;
            }
            if n == 0 {
                break;
            }
            self.take(batch, row, n)?;
            filled += n as usize;
        }
        Ok(filled)
    }

    /// Makes the next row a decoded one, and says how many rows are decoded from there on.
    fn decode(&mut self, row: u64) -> Result<u64, Error> {
        if !self.decoded.contains(&row) {
            self.decode_at(row)?;
        }
        Ok(self.decoded.end.min(self.walk.end()) - row)
    }

    fn decode_at(&mut self, row: u64) -> Result<(), Error> {
        if self.plan.threads > 1 && self.team.is_none() {
            self.team = Some(Team::start(self.plan.threads - 1));
        }
        self.decoded = 0..0;
        // What an error drops is opened again.
        let mut group = self.open_group(row)?;
        let Group { first, rows, .. } = self.plan.groups[group.place];
        let wanted = row - first..rows.min(self.walk.end() - first);
        let end = group.decode(&self.plan, wanted.clone(), &mut self.scratch, self.team.as_ref())?;
        self.ask_ahead(&mut group, wanted.end);
        self.group = Some(group);
        self.decoded = row..first + end;
        Ok(())
    }

    /// The row group of a row, about to decode it.
    fn open_group(&mut self, row: u64) -> Result<OpenGroup, Error> {
        let place = self.plan.group_of(row);
        let skip = row - self.plan.groups[place].first;
        let buffers = |last: Option<OpenGroup>| last.map(OpenGroup::into_buffers).unwrap_or_default();
        match (self.group.take(), self.next.take()) {
            (last, Some(mut next)) if next.place == place && next.skip == skip => {
                next.inherit(buffers(last));
                Ok(next)
            }
            (Some(open), next) if open.place == place && open.reaches(&self.plan, skip) => {
                self.next = next;
                Ok(open)
            }
            // What was decoded ahead goes first: there may be no room for both.
            (last, next) => {
                let buffers = buffers(last);
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

    /// Opens already what is read behind the rows up to `end` of the group, where the helpers have nothing else to do.
    fn ask_ahead(&mut self, group: &mut OpenGroup, end: u64) {
        if self.team.is_none() || self.next.is_some() || !group.is_over(end) {
            return;
        }
        let Some(row) = self.walk.row_behind(&self.plan, &self.plan.groups[group.place]) else { return };
        let place = self.plan.group_of(row);
        if !self.plan.reads_ahead(group.place, place) {
            return;
        }
        // What is wrong with it is told when its rows are asked for.
        let Ok(file) = self.open_file(place) else { return };
        let skip = row - self.plan.groups[place].first;
        let next = OpenGroup::open(&self.plan, file, place, skip, group.take_spares());
        self.next = next.ok().zip(self.team.as_ref()).map(|(mut next, team)| {
            next.ask(team);
            next
        });
    }

    fn take(&mut self, batch: &mut Batch<T>, row: u64, rows: u64) -> Result<(), Error> {
        let group = self.group.as_ref().expect("rows are decoded");
        let start = row - self.plan.groups[group.place].first;
        let view = |read: usize| group.view(read, start..start + rows);
        batch
            .append(rows as usize, |columns| self.plan.layout.append(rows as usize, view, columns))
            .map_err(|refused| self.explain(row, refused))?;
        self.walk.pass(&self.plan, rows);
        Ok(())
    }

    /// What is wrong with one of the rows from `first` on.
    fn explain(&self, first: u64, refused: Refused) -> Error {
        let row = first + refused.row as u64;
        let group = &self.plan.groups[self.plan.group_of(row)];
        let column = self.plan.layout.reads()[refused.read].name.clone();
        let place = Place::column(&self.plan.files[group.file].location.path, group.index, &column);
        // As the file has it: row groups in front may be passed over or skipped.
        let within = group.before + (row - group.first);
        match refused.problem {
            Problem::Null => Error::Null { column, row: self.plan.files[group.file].before + within },
            Problem::NotDeclaredNull => place
                .damaged(format!("row {within} of the file is null, the file says that the column has no nulls"))
                .into(),
            problem @ (Problem::NullInside | Problem::TooLong { .. } | Problem::NotUtf8) => {
                Error::invalid(place, format!("row {within} of the file holds {problem}"))
            }
            problem => Error::invalid(place, format!("row {within} of the file is {problem}")),
        }
    }
}
