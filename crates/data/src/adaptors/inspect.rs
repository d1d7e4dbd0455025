use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::Scalar;

use crate::{Batch, Cursor, Error, Interrupt, MemoryPlan, MemorySource, Schema, Source};

/// Another source's rows, and somebody who is told how many were read; made by [`inspect`](crate::SourceExt::inspect).
#[derive(Clone)]
pub struct Inspect<S, F> {
    inner: S,
    each: F,
}

impl<S, F: FnMut(u64) + Send> Inspect<S, F> {
    pub(super) fn new(inner: S, each: F) -> Self {
        Self { inner, each }
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Inspect<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspect").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T: Scalar, S: Source<T>, F: FnMut(u64) + Send> Source<T> for Inspect<S, F> {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let n = self.inner.fill(batch, rows)?;
        (self.each)(n as u64);
        Ok(n)
    }

    fn cursor(&self) -> Cursor {
        self.inner.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        self.inner.seek(cursor)
    }

    fn rows(&self) -> Option<u64> {
        self.inner.rows()
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        self.inner.skip(rows)
    }

    fn memory_plan(&self) -> MemoryPlan {
        self.inner.memory_plan()
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        self.inner.limit(bytes)
    }

    fn memory(&self) -> Option<MemorySource<T>> {
        self.inner.memory()
    }

    fn watch(&mut self, interrupt: &Interrupt) {
        self.inner.watch(interrupt);
    }

    fn blocked(&self) -> Duration {
        self.inner.blocked()
    }
}
