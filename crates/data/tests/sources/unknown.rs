use std::sync::Arc;

use tidemill_data::{Batch, Cursor, Error, Schema, Source};
use tidemill_tensor::Scalar;

/// A source that does not say how many rows it has, and has no better way to skip than to read.
pub struct Unknown<S>(pub S);

impl<T: Scalar, S: Source<T>> Source<T> for Unknown<S> {
    fn schema(&self) -> &Arc<Schema> {
        self.0.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        self.0.fill(batch, rows)
    }

    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        self.0.seek(cursor)
    }

    fn rows(&self) -> Option<u64> {
        None
    }
}
