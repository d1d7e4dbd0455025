use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidemill_tensor::Scalar;

use super::split::Hashed;
use super::{limit_below, unwrap, wrap};
use crate::{Batch, Cursor, Error, Interrupt, MemoryPlan, Schema, Source};

/// Most rows of the inner source that are read at once.
const PIECE: u64 = 4096;

/// Rows of another source that are chosen by their number alone; made by [`shard`](crate::SourceExt::shard), and part of
/// a [`Part`](crate::Part).
///
/// It never reads past the row that it needs, or past the round of rows, one for each worker, that this one is of: so
/// nothing is held between calls.
#[derive(Clone, Debug)]
pub struct Select<S, T> {
    inner: S,
    rule: Rule,
    /// The inner source's next row.
    position: u64,
    piece: Batch<T>,
    chosen: Vec<usize>,
    rows: OnceLock<u64>,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Rows whose number leaves the remainder `index` when divided by `count`.
    Shard { index: u64, count: u64 },
    /// Rows of one part of a random split.
    Hashed(Hashed),
}

impl<T: Scalar, S: Source<T>> Select<S, T> {
    pub(super) fn shard(inner: S, index: u64, count: u64) -> Self {
        Self::new(inner, Rule::Shard { index, count })
    }

    pub(super) fn hashed(inner: S, rule: Hashed) -> Self {
        Self::new(inner, Rule::Hashed(rule))
    }

    fn new(inner: S, rule: Rule) -> Self {
        let piece = Batch::new(Arc::clone(inner.schema()));
        Self { inner, rule, position: 0, piece, chosen: Vec::new(), rows: OnceLock::new() }
    }

    /// Chooses the next rows, at most `wanted`, by their distance from the position; says how many rows of the inner
    /// source to pass to have them.
    fn choose(&mut self, wanted: u64) -> u64 {
        let piece = self.position..self.position.saturating_add(PIECE);
        let wanted = wanted.min(PIECE) as usize;
        self.chosen.clear();
        match &self.rule {
            &Rule::Shard { index, count } => {
                let remainder = piece.start % count;
                let distance = if index < remainder { count - remainder + index } else { index - remainder };
                let rows = (distance..PIECE).step_by(count as usize);
                self.chosen.extend(rows.map(|row| row as usize).take(wanted));
            }
            Rule::Hashed(rule) => {
                let rows = rule.rows_in(piece.clone());
                self.chosen.extend(rows.map(|row| (row - piece.start) as usize).take(wanted));
            }
        }
        match self.chosen.last() {
            Some(&last) if self.chosen.len() == wanted => {
                (last as u64 + 1).saturating_add(self.left_of_round()).min(PIECE)
            }
            _ => PIECE,
        }
    }

    /// Rows behind one of this worker's that are the others'.
    fn left_of_round(&self) -> u64 {
        match self.rule {
            Rule::Shard { index, count } => count - 1 - index,
            Rule::Hashed(_) => 0,
        }
    }

    /// Passes over the rows of the other workers up to the end of the round that was begun.
    fn end_round(&mut self) -> Result<(), Error> {
        if let Rule::Shard { count, .. } = self.rule
            && !self.position.is_multiple_of(count)
        {
            self.position += self.inner.skip(count - self.position % count)?;
        }
        Ok(())
    }

    /// Bytes of the rows that are read at once, in buffers that grow, and of the list of those that are chosen.
    fn own_bytes(&self) -> u64 {
        2 * PIECE * (self.inner.schema().row_bytes(size_of::<T>()) + size_of::<usize>()) as u64
    }

    /// Counts the passed rows, and forgets those chosen beyond them.
    fn passed(&mut self, rows: u64) -> u64 {
        self.position += rows;
        self.chosen.truncate(self.chosen.partition_point(|&row| (row as u64) < rows));
        self.chosen.len() as u64
    }
}

impl<T: Scalar, S: Source<T>> Source<T> for Select<S, T> {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < rows {
            let span = self.choose((rows - taken) as u64);
            self.piece.clear();
            let n = self.inner.fill(&mut self.piece, span as usize).inspect_err(|_| batch.clear())?;
            taken += self.passed(n as u64) as usize;
            batch.gather(&self.piece, &self.chosen);
            // Fewer rows than asked for came late, or are the last: whoever has some need not wait for more.
            if n == 0 || (n as u64) < span && taken > 0 {
                return Ok(taken);
            }
        }
        if taken > 0 {
            self.end_round().inspect_err(|_| batch.clear())?;
        }
        Ok(taken)
    }

    fn cursor(&self) -> Cursor {
        wrap(self.inner.cursor(), self.position)
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (position, below) = unwrap(cursor);
        self.inner.seek(below)?;
        self.position = position;
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        let rows = self.inner.rows()?;
        Some(match &self.rule {
            &Rule::Shard { index, count } => rows.saturating_sub(index).div_ceil(count),
            Rule::Hashed(rule) => *self.rows.get_or_init(|| rule.rows_in(0..rows).count() as u64),
        })
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let mut taken = 0;
        while taken < rows {
            let span = self.choose(rows - taken);
            let n = match self.inner.skip(span) {
                Err(Error::Interrupted) if taken > 0 => break,
                other => other?,
            };
            taken += self.passed(n);
            if n == 0 {
                return Ok(taken);
            }
        }
        if taken > 0 {
            self.end_round()?;
        }
        Ok(taken)
    }

    fn memory_plan(&self) -> MemoryPlan {
        self.inner.memory_plan().with("select", format!("{PIECE} rows at a time"), self.own_bytes())
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
