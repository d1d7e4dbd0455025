use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::{Key, Scalar};

use super::{limit_below, unwrap, wrap};
use crate::source::fill_up;
use crate::{Batch, Cursor, Error, Interrupt, MemoryPlan, Permutation, Schema, Source};

/// Windows up to this size get their room at once; what is larger may be meant to hold whatever there is.
const MOST_RESERVED: u64 = 1 << 30;

/// Another source's rows, shuffled window by window; made by [`shuffle`](crate::SourceExt::shuffle).
#[derive(Clone, Debug)]
pub struct Shuffle<S, T> {
    inner: S,
    size: usize,
    seed: u64,
    epoch: u64,
    /// The next row's place in the epoch.
    position: u64,
    window: Window<T>,
    chosen: Vec<usize>,
    /// Whether an error came since the last seek.
    failed: bool,
}

/// The rows that are held; none at the start of a window.
#[derive(Clone, Debug)]
struct Window<T> {
    rows: Batch<T>,
    /// The place of its first row in the epoch.
    start: u64,
    /// Where the inner source was before it.
    cursor: Cursor,
    order: Permutation,
}

impl<T: Scalar, S: Source<T>> Shuffle<S, T> {
    pub(super) fn new(inner: S, size: usize, seed: u64) -> Self {
        let rows = Batch::new(Arc::clone(inner.schema()));
        let cursor = inner.cursor();
        let window = Window { rows, start: 0, cursor, order: Permutation::new(0, Key::new(seed)) };
        Self { inner, size, seed, epoch: cursor.epoch, position: 0, window, chosen: Vec::new(), failed: false }
    }

    /// The rows left of the window, after reading the next one where there are none; empty at the end of the epoch.
    fn places_left(&mut self) -> Result<std::ops::Range<u64>, Error> {
        if self.position == self.window.start + self.size as u64 || self.window.rows.rows() == 0 {
            self.read_window()?;
        }
        Ok(self.position - self.window.start..self.window.rows.rows() as u64)
    }

    fn read_window(&mut self) -> Result<(), Error> {
        self.window.rows.clear();
        self.window.start = self.position;
        self.window.cursor = self.inner.cursor();
        self.failed = true;
        self.make_room();
        let n = fill_up(&mut self.inner, &mut self.window.rows, self.size)?;
        let key = Key::new(self.seed).fold(self.epoch).fold(self.window.start / self.size as u64);
        self.window.order = Permutation::new(n as u64, key);
        self.failed = false;
        Ok(())
    }

    /// Rows of a window, at most.
    fn rows_held(&self) -> u64 {
        self.inner.rows().unwrap_or(u64::MAX).min(self.size as u64)
    }

    fn own_bytes(&self) -> u64 {
        self.rows_held().saturating_mul(self.inner.schema().row_bytes(size_of::<T>()) as u64)
    }

    /// Buffers that grow would take twice as much in the end, and three times on their way.
    fn make_room(&mut self) {
        if self.own_bytes() <= MOST_RESERVED {
            let rows = self.rows_held() as usize;
            self.window.rows.make_room(rows);
        }
    }
}

impl<T: Scalar, S: Source<T>> Source<T> for Shuffle<S, T> {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < rows {
            let left = self.places_left().inspect_err(|_| batch.clear())?;
            if left.is_empty() {
                break;
            }
            self.chosen.clear();
            self.chosen.extend(left.take(rows - taken).map(|place| self.window.order.at(place) as usize));
            batch.gather(&self.window.rows, &self.chosen);
            taken += self.chosen.len();
            self.position += self.chosen.len() as u64;
        }
        Ok(taken)
    }

    fn cursor(&self) -> Cursor {
        let inside = self.position > self.window.start && self.position < self.window.start + self.size as u64;
        wrap(if inside { self.window.cursor } else { self.inner.cursor() }, self.position)
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        if !self.failed && cursor == self.cursor() {
            return Ok(());
        }
        let (position, below) = unwrap(cursor);
        let offset = position % self.size as u64;
        self.failed = true;
        self.inner.seek(below)?;
        self.window.rows.clear();
        self.epoch = cursor.epoch;
        self.position = position - offset;
        self.window.start = self.position;
        if offset > 0 {
            self.read_window()?;
            if offset > self.window.rows.rows() as u64 {
                let problem = format!("the window at row {} has {} rows", self.window.start, self.window.rows.rows());
                return Err(Error::seek(cursor, problem));
            }
            self.position = position;
        }
        self.failed = false;
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        self.inner.rows()
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let mut passed = 0;
        while passed < rows {
            let left = self.places_left()?;
            if left.is_empty() {
                break;
            }
            let n = (left.end - left.start).min(rows - passed);
            self.position += n;
            passed += n;
        }
        Ok(passed)
    }

    fn memory_plan(&self) -> MemoryPlan {
        let window = format!("window of {} rows", self.rows_held());
        self.inner.memory_plan().with("shuffle", window, self.own_bytes())
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let own = self.own_bytes();
        limit_below(&mut self.inner, own, bytes)
    }

    fn watch(&mut self, interrupt: &Interrupt) {
        self.inner.watch(interrupt);
    }

    fn blocked(&self) -> Duration {
        self.inner.blocked()
    }
}
