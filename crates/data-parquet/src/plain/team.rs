use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::{Declined, PlainChunk, PlainPage, Scratch};

/// Threads that decode pages ahead of whoever asked for them.
///
/// Pages are decoded in the order in which they were asked for, and whoever comes for one that nobody has begun decodes
/// it itself: with fewer threads than wanted, or none, the same pages come, later.
pub(crate) struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do, or nothing any more.
    asked: Condvar,
    /// A page is decoded.
    done: Condvar,
}

#[derive(Default)]
struct State {
    last: u64,
    waiting: VecDeque<(u64, Job)>,
    /// Those that helpers are at.
    running: Vec<u64>,
    finished: Vec<(u64, Job, Result<(), Declined>)>,
    closed: bool,
}

/// A chunk whose next page is wanted, and the buffer for it.
struct Job {
    chunk: Box<PlainChunk>,
    page: PlainPage,
}

impl Job {
    fn run(&mut self, scratch: &mut Scratch) -> Result<(), Declined> {
        // Decompressors are others' code; what was half decoded is not looked at again.
        catch_unwind(AssertUnwindSafe(|| self.chunk.next(scratch, &mut self.page))).unwrap_or(Err(Declined))
    }
}

/// A page that was asked for. Dropped, it is not decoded, or waited for where that has begun.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    number: u64,
}

impl Team {
    /// As many helpers as the system gives threads for.
    pub(crate) fn start(helpers: usize) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), asked: Condvar::new(), done: Condvar::new() });
        let start = |_| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("parquet".into()).spawn(move || shared.help()).ok()
        };
        let helpers = (0..helpers).map_while(start).collect();
        Self { shared, helpers }
    }

    /// Asks for the next page of a chunk, in that buffer.
    pub(crate) fn ask(&self, chunk: Box<PlainChunk>, page: PlainPage) -> Ticket {
        let mut state = self.shared.lock();
        state.last += 1;
        let number = state.last;
        state.waiting.push_back((number, Job { chunk, page }));
        self.shared.asked.notify_one();
        Ticket { shared: Arc::clone(&self.shared), number }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.asked.notify_all();
        for helper in self.helpers.drain(..) {
            // Jobs catch what panics inside them.
            let _ = helper.join();
        }
    }
}

impl Ticket {
    /// The page, and the chunk behind it. Until it is there, others that wait are decoded.
    pub(crate) fn take(self, scratch: &mut Scratch) -> Result<(Box<PlainChunk>, PlainPage), Declined> {
        let mut state = self.shared.lock();
        loop {
            if let Some(place) = state.finished.iter().position(|(number, ..)| *number == self.number) {
                let (_, Job { chunk, page }, result) = state.finished.swap_remove(place);
                return result.map(|()| (chunk, page));
            }
            let own = state.waiting.iter().position(|(number, _)| *number == self.number).unwrap_or(0);
            state = match state.waiting.remove(own) {
                Some((number, job)) => {
                    drop(state);
                    self.shared.run(number, job, scratch)
                }
                None => self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        loop {
            state.finished.retain(|(number, ..)| *number != self.number);
            state.waiting.retain(|(number, _)| *number != self.number);
            if !state.running.contains(&self.number) {
                return;
            }
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn help(&self) {
        let mut scratch = Scratch::default();
        let mut state = self.lock();
        while !state.closed {
            state = match state.waiting.pop_front() {
                Some((number, job)) => {
                    state.running.push(number);
                    drop(state);
                    self.run(number, job, &mut scratch)
                }
                None => self.asked.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn run(&self, number: u64, mut job: Job, scratch: &mut Scratch) -> MutexGuard<'_, State> {
        let result = job.run(scratch);
        let mut state = self.lock();
        state.running.retain(|&running| running != number);
        state.finished.push((number, job, result));
        self.done.notify_all();
        state
    }

    /// Nothing panics under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
