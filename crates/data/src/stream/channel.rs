use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_tensor::Scalar;

use super::sender::RowSender;
use super::{Stream, Supplied, Supply};
use crate::memory;
use crate::{Batch, Error, Schema, Waiting};

/// A channel that a program pushes rows into, at most `capacity` of them before they are taken, and the source of these
/// rows: for data that never ends.
///
/// Senders are cloned for other threads. When the last is dropped, the epoch ends; when a thread that has one panics, or
/// calls [`fail`](RowSender::fail), the rows that it has sent are followed by an error. When the source is dropped,
/// sending is an error. Waiting on either side can be [interrupted](crate::Interrupt). After a few batches, neither
/// side allocates.
///
/// # Example
///
/// ```
/// use std::thread;
/// use tidemill_data::{Batch, Field, Kind, Role, Schema, Source, channel};
///
/// let schema = Schema::new(vec![
///     Field::new("speed", Kind::Real { width: 1 }, Role::Feature),
///     Field::new("gear", Kind::Index { cardinality: 6 }, Role::Feature),
///     Field::new("target", Kind::Real { width: 1 }, Role::Target),
/// ]);
/// let (sender, mut source) = channel::<f32>(schema, 256)?;
/// let program = thread::spawn(move || (0..100).try_for_each(|row| sender.send((row as f32, row % 6, 1.0))));
/// let mut batch = Batch::new(source.schema().clone());
/// while source.fill(&mut batch, 32)? > 0 {}
/// assert_eq!(batch.rows(), 100);
/// program.join().unwrap()?;
/// # Ok::<(), tidemill_data::Error>(())
/// ```
///
/// # Errors
///
/// When the capacity is zero, there is no column, a name comes twice, or a column of weights is not one real number.
pub fn channel<T: Scalar>(
    schema: impl Into<Arc<Schema>>,
    capacity: usize,
) -> Result<(RowSender<T>, ChannelSource<T>), Error> {
    let schema = schema.into();
    if capacity == 0 {
        return Err(Error::invalid("channel", "the capacity is no rows"));
    }
    if schema.fields.is_empty() {
        return Err(Error::invalid("channel", "there is no column"));
    }
    if let Some(field) = schema.fields.iter().find(|field| field.kind == crate::Kind::Real { width: 0 }) {
        return Err(Error::invalid(format!("column {}", field.name), "has no numbers a row"));
    }
    let mut open = Batch::new(Arc::clone(&schema));
    memory::check(&open)?;
    (0..schema.fields.len()).for_each(|column| open.reserve_exact(column, capacity, 0, false));
    let state = State { open, senders: 1, reader: true, wanted: usize::MAX, failed: None };
    let shared =
        Arc::new(Shared { schema, capacity, state: Mutex::new(state), rows: Condvar::new(), room: Condvar::new() });
    Ok((RowSender::new(Arc::clone(&shared)), Stream::new(Receiver(shared))))
}

/// The rows that were pushed into a [`channel`].
pub type ChannelSource<T> = Stream<T, Receiver<T>>;

/// The end of a [`channel`] at which rows are taken.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
pub(super) struct Shared<T> {
    pub schema: Arc<Schema>,
    pub capacity: usize,
    state: Mutex<State<T>>,
    /// Told when there are as many rows as are wanted, or no more will come.
    pub rows: Condvar,
    /// Told when there is room again, or nobody who makes any.
    pub room: Condvar,
}

#[derive(Debug)]
pub(super) struct State<T> {
    /// Rows that were sent and not taken.
    pub open: Batch<T>,
    pub senders: usize,
    /// Whether the source is still there.
    pub reader: bool,
    /// How many rows the source waits for; out of reach while it does not wait.
    pub wanted: usize,
    /// What a sender said when it failed.
    pub failed: Option<String>,
}

impl<T> Shared<T> {
    /// No code of others runs under the lock but `AsValue`'s, which is called before anything is changed.
    pub fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits on a condition variable.
pub(super) fn wait<'a, S>(on: &Condvar, guard: MutexGuard<'a, S>, time: Duration) -> MutexGuard<'a, S> {
    on.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
}

impl<T: Scalar> Supply<T> for Receiver<T> {
    fn schema(&self) -> &Arc<Schema> {
        &self.0.schema
    }

    fn more(&mut self, rows: &mut Batch<T>, wanted: usize, waiting: &mut Waiting<'_>) -> Result<Supplied, Error> {
        let shared = &*self.0;
        let mut state = shared.lock();
        let wanted = wanted.min(shared.capacity);
        let fed = loop {
            if state.open.rows() >= wanted {
                break Ok(Supplied::Rows);
            }
            let over = state.senders == 0 || state.failed.is_some();
            if over && state.open.rows() > 0 {
                break Ok(Supplied::Rows);
            }
            if let Some(problem) = &state.failed {
                break Err(Error::Closed { what: "channel".into(), problem: problem.clone() });
            }
            if over {
                break Ok(Supplied::End);
            }
            state.wanted = wanted;
            let paused = waiting.pause(state, |state, time| wait(&shared.rows, state, time));
            state = match paused {
                Ok(Some(state)) => state,
                Ok(None) => {
                    state = shared.lock();
                    break Ok(if state.open.rows() > 0 { Supplied::Rows } else { Supplied::Late });
                }
                Err(error) => {
                    state = shared.lock();
                    break Err(error);
                }
            };
        };
        state.wanted = usize::MAX;
        if matches!(fed, Ok(Supplied::Rows)) {
            std::mem::swap(rows, &mut state.open);
            let columns = 0..shared.schema.fields.len();
            columns.for_each(|column| state.open.reserve_exact(column, shared.capacity, 0, false));
            drop(state);
            shared.room.notify_all();
        }
        fed
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.lock().reader = false;
        self.0.room.notify_all();
    }
}
