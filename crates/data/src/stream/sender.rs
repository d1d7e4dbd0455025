use std::ops::Range;
use std::sync::{Arc, MutexGuard};
use std::thread;

use tidemill_tensor::Scalar;

use super::channel::{Shared, State, wait};
use super::row::{self, Row};
use crate::memory;
use crate::{Batch, Column, Error, Interrupt, Schema, Waiting, Watch};

/// The end of a [`channel`](crate::channel) that rows are pushed into; cloned for several threads.
///
/// Rows of one sender stay in their order. What is not as the schema says is refused with the column's name, and nothing
/// is sent of it.
#[derive(Debug)]
pub struct RowSender<T> {
    shared: Arc<Shared<T>>,
    watch: Watch,
}

/// What became of a row that was sent without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum TrySend {
    /// It is on its way.
    Sent,
    /// There was no room for it.
    Full,
}

impl<T: Scalar> RowSender<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared, watch: Watch::default() }
    }

    /// The columns that a row has.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.shared.schema
    }

    /// Sends a row, when there is room for it: a tuple, an array or a slice of values, in the order of the columns.
    ///
    /// # Errors
    ///
    /// When a value is not of its column's kind, width or range, or is null where none may be; [`Error::Closed`] when
    /// the source is gone or another sender has failed; [`Error::Interrupted`].
    pub fn send(&self, row: impl Row<T>) -> Result<(), Error> {
        row::check(&self.schema().fields, &row)?;
        let state = self.wait_for_room(self.open()?)?;
        self.push(state, &row);
        Ok(())
    }

    /// Sends a row if there is room for it now.
    ///
    /// # Errors
    ///
    /// As [`send`](RowSender::send), without waiting.
    pub fn try_send(&self, row: impl Row<T>) -> Result<TrySend, Error> {
        row::check(&self.schema().fields, &row)?;
        let state = self.open()?;
        if state.open.rows() >= self.shared.capacity {
            return Ok(TrySend::Full);
        }
        self.push(state, &row);
        Ok(TrySend::Sent)
    }

    /// Sends the rows of a batch, in pieces as there is room.
    ///
    /// # Errors
    ///
    /// As [`send`](RowSender::send). Bad rows are found before any is sent; when the source goes away or waiting is
    /// interrupted, some may have been sent, which [`send_rows`](RowSender::send_rows) would tell.
    pub fn send_batch(&self, batch: &Batch<T>) -> Result<(), Error> {
        check_batch(self.schema(), batch)?;
        let mut sent = 0;
        while sent < batch.rows() {
            sent += self.send_checked(batch, sent..batch.rows())?;
        }
        Ok(())
    }

    /// Sends as many of these rows of a batch as there is room for, after waiting for room for one, and says how many.
    ///
    /// # Errors
    ///
    /// As [`send`](RowSender::send); no row was sent then.
    ///
    /// # Panics
    ///
    /// When the batch has no such rows.
    pub fn send_rows(&self, batch: &Batch<T>, rows: Range<usize>) -> Result<usize, Error> {
        check_batch(self.schema(), batch)?;
        if rows.is_empty() { Ok(0) } else { self.send_checked(batch, rows) }
    }

    /// Stops waiting for room when this is set.
    pub fn watch(&mut self, interrupt: &Interrupt) {
        self.watch.add(interrupt);
    }

    /// Ends the stream with an error: the source gives the rows that were sent, then this.
    pub fn fail(self, problem: impl ToString) {
        self.shared.lock().failed.get_or_insert_with(|| problem.to_string());
    }

    fn send_checked(&self, batch: &Batch<T>, rows: Range<usize>) -> Result<usize, Error> {
        let mut state = self.wait_for_room(self.open()?)?;
        let room = self.shared.capacity - state.open.rows();
        let sent = rows.len().min(room);
        state.open.push_rows(batch, rows.start..rows.start + sent);
        self.tell(state);
        Ok(sent)
    }

    fn open(&self) -> Result<MutexGuard<'_, State<T>>, Error> {
        let state = self.shared.lock();
        let problem = match &state.failed {
            _ if !state.reader => "the source that takes the rows is gone",
            Some(problem) => problem,
            None => return Ok(state),
        };
        Err(Error::Closed { what: "channel".into(), problem: problem.into() })
    }

    fn wait_for_room<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> Result<MutexGuard<'a, State<T>>, Error> {
        let mut waiting = Waiting::new(&self.watch);
        while state.open.rows() >= self.shared.capacity {
            match waiting.pause(state, |state, time| wait(&self.shared.room, state, time))? {
                Some(paused) => drop(paused),
                None => unreachable!("there is no time at which this is up"),
            }
            state = self.open()?;
        }
        Ok(state)
    }

    fn push(&self, mut state: MutexGuard<'_, State<T>>, row: &impl Row<T>) {
        row::push(&mut state.open, row);
        self.tell(state);
    }

    /// Wakes the source when there is what it waits for.
    fn tell(&self, state: MutexGuard<'_, State<T>>) {
        let enough = state.open.rows() >= state.wanted;
        drop(state);
        if enough {
            self.shared.rows.notify_one();
        }
    }
}

fn check_batch<T: Scalar>(schema: &Schema, batch: &Batch<T>) -> Result<(), Error> {
    for (field, found) in schema.fields.iter().zip(&batch.schema().fields) {
        if (&field.name, &field.kind) != (&found.name, &found.kind) {
            let problem = format!("it is {}, and the batch has {} there, {}", field.kind, found.name, found.kind);
            return Err(Error::invalid(format!("column {}", field.name), problem));
        }
    }
    if schema.fields.len() != batch.schema().fields.len() {
        let problem = format!("it has the columns {}, the channel {}", batch.schema().names(), schema.names());
        return Err(Error::invalid("batch", problem));
    }
    for (field, column) in schema.fields.iter().zip(batch.columns()) {
        if let (false, Column::Real { nulls, .. } | Column::Text { nulls, .. }) = (field.nullable, column)
            && let Some(row) = (0..batch.rows()).find(|&row| nulls.is_null(row))
        {
            let problem = format!("it is not nullable, and row {row} of the batch has no value in it");
            return Err(Error::invalid(format!("column {}", field.name), problem));
        }
    }
    memory::check_as(schema, batch)
}

impl<T> Clone for RowSender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self { shared: Arc::clone(&self.shared), watch: self.watch.clone() }
    }
}

impl<T> Drop for RowSender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        if thread::panicking() {
            state.failed.get_or_insert_with(|| "a thread that sent rows panicked".into());
        }
        let over = state.senders == 0 || state.failed.is_some();
        let failed = state.failed.is_some();
        drop(state);
        if over {
            self.shared.rows.notify_one();
        }
        if failed {
            self.shared.room.notify_all();
        }
    }
}
