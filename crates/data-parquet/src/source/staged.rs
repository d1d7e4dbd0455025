//! Few rows at a time.

use std::ops::Range;
use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Error, Schema};

use super::ParquetSource;

/// Rows that were converted together because a few were asked for: one at a time would cost as much as fifty.
pub(super) struct Staged<T> {
    batch: Batch<T>,
    /// The position in the epoch that it begins with.
    first: u64,
    /// Rows in front of this position are taken as they are asked for: staged with those behind them, they gave an
    /// error.
    resume: u64,
}

impl<T: Scalar> Staged<T> {
    pub(super) fn new(schema: &Arc<Schema>) -> Self {
        Self { batch: Batch::new(Arc::clone(schema)), first: 0, resume: 0 }
    }

    fn positions(&self) -> Range<u64> {
        self.first..self.first + self.batch.rows() as u64
    }

    pub(super) fn clear(&mut self) {
        self.batch.clear();
        self.resume = 0;
    }
}

impl<T: Scalar> ParquetSource<T> {
    /// Few rows, from those that are staged.
    pub(super) fn fill_staged(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut left = rows;
        while left > 0 && self.walk.row().is_some() {
            let (position, staged) = (self.walk.position, self.staged.positions());
            if staged.contains(&position) {
                let start = (position - staged.start) as usize;
                let taken = start..self.staged.batch.rows().min(start + left);
                left -= taken.len();
                self.walk.pass(&self.plan, taken.len() as u64);
                batch.push_rows(&self.staged.batch, taken);
            } else if position < self.staged.resume || !self.stage() {
                return self.fill_rows(batch, left).map(|n| rows - left + n);
            }
        }
        Ok(rows - left)
    }

    /// Stages the next rows, if nothing is wrong with them.
    fn stage(&mut self) -> bool {
        let walk = self.walk.clone();
        let mut batch = std::mem::replace(&mut self.staged.batch, Batch::new(Arc::clone(&self.schema)));
        batch.clear();
        let filled = self.fill_rows(&mut batch, self.plan.staged);
        if filled.is_err() {
            batch.clear();
            self.staged.resume = walk.position + self.plan.staged as u64;
        }
        (self.staged.batch, self.staged.first) = (batch, walk.position);
        self.walk = walk;
        filled.is_ok()
    }
}
