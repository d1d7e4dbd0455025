use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::Scalar;

use super::{unwrap, wrap};
use crate::{Batch, Cursor, Error, Interrupt, MemoryPlan, Schema, Source};

/// A range of another source's rows; made by [`take`](crate::SourceExt::take) and its kin.
#[derive(Clone, Debug)]
pub struct Take<S> {
    inner: S,
    range: Range<u64>,
    /// The inner source's next row.
    position: u64,
}

impl<S> Take<S> {
    pub(super) fn new(inner: S, range: Range<u64>) -> Self {
        Self { inner, range, position: 0 }
    }

    /// Goes to the start of the range, and says how many rows are left of it.
    fn enter<T: Scalar>(&mut self) -> Result<u64, Error>
    where
        S: Source<T>,
    {
        while self.position < self.range.start {
            match self.inner.skip(self.range.start - self.position)? {
                0 => break,
                passed => self.position += passed,
            }
        }
        Ok(if self.position < self.range.start { 0 } else { self.range.end.saturating_sub(self.position) })
    }
}

impl<T: Scalar, S: Source<T>> Source<T> for Take<S> {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        if rows == 0 {
            return Ok(0);
        }
        let left = self.enter().inspect_err(|_| batch.clear())?;
        let n = self.inner.fill(batch, left.min(rows as u64) as usize)?;
        self.position += n as u64;
        Ok(n)
    }

    fn cursor(&self) -> Cursor {
        wrap(self.inner.cursor(), self.position)
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (position, below) = unwrap(cursor);
        if position > self.range.end {
            return Err(Error::seek(cursor, format!("only {} rows are taken", self.range.end)));
        }
        self.inner.seek(below)?;
        self.position = position;
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        let rows = self.inner.rows()?;
        Some(rows.min(self.range.end).saturating_sub(self.range.start))
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let left = self.enter()?;
        let n = self.inner.skip(left.min(rows))?;
        self.position += n;
        Ok(n)
    }

    fn memory_plan(&self) -> MemoryPlan {
        self.inner.memory_plan()
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        self.inner.limit(bytes)
    }

    fn watch(&mut self, interrupt: &Interrupt) {
        self.inner.watch(interrupt);
    }

    fn blocked(&self) -> Duration {
        self.inner.blocked()
    }
}
