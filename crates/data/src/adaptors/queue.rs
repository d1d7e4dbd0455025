use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Error, Waiting};

/// A queue between two threads that never allocates after it was made.
///
/// Channels allocate when a thread first waits on one, which is as late as timing has it; a mutex and a condition
/// variable do not.
#[derive(Debug)]
pub(super) struct Queue<V>(Arc<Shared<V>>);

#[derive(Debug)]
struct Shared<V> {
    state: Mutex<State<V>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<V> {
    values: VecDeque<V>,
    closed: bool,
}

impl<V> Queue<V> {
    /// A queue that has room for `capacity` values.
    pub fn new(capacity: usize) -> Self {
        let state = Mutex::new(State { values: VecDeque::with_capacity(capacity), closed: false });
        Self(Arc::new(Shared { state, changed: Condvar::new() }))
    }

    /// Appends a value; drops it when the queue is closed.
    pub fn push(&self, value: V) {
        self.extend([value]);
    }

    /// Appends values, and wakes whoever waits once; drops them when the queue is closed.
    pub fn extend(&self, values: impl IntoIterator<Item = V>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.values.extend(values);
        // Whoever wakes does not find the queue locked.
        drop(state);
        self.0.changed.notify_one();
    }

    /// Waits for the first value; `None` when the queue is closed and empty.
    pub fn pop(&self) -> Option<V> {
        let mut state = self.lock();
        loop {
            if let Some(value) = state.values.pop_front() {
                return Some(value);
            }
            if state.closed {
                return None;
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the first value until `waiting` says otherwise; `None` when the queue is closed and empty, or the time
    /// is up.
    ///
    /// # Errors
    ///
    /// When waiting is interrupted.
    pub fn pop_within(&self, waiting: &mut Waiting<'_>) -> Result<Option<V>, Error> {
        let mut state = self.lock();
        loop {
            if let Some(value) = state.values.pop_front() {
                return Ok(Some(value));
            }
            if state.closed {
                return Ok(None);
            }
            let paused = waiting.pause(state, |state, time| self.wait(state, time))?;
            let Some(guard) = paused else { return Ok(None) };
            state = guard;
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<V>>, time: Duration) -> MutexGuard<'a, State<V>> {
        self.0.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether no more values come.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets no more values in.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// No code of others runs under the lock, so whatever panicked left the queue whole.
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Clone for Queue<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A queue that is closed when its writer ends, in whatever way.
#[derive(Debug)]
pub(super) struct ClosedOnDrop<V>(pub Queue<V>);

impl<V> Drop for ClosedOnDrop<V> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_order_until_it_is_closed() {
        let queue = Queue::new(4);
        let writer = ClosedOnDrop(queue.clone());
        let thread = std::thread::spawn(move || (0..1000).for_each(|value| writer.0.push(value)));
        let read: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(read, (0..1000).collect::<Vec<_>>());
        assert!(thread.join().is_ok());
        queue.push(1);
        assert_eq!(queue.pop(), None, "closed");
    }
}
