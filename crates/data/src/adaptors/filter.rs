use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::Scalar;

use super::split::Member;
use super::{limit_below, unwrap, wrap};
use crate::{Batch, Cursor, Error, Interrupt, MemoryPlan, RowTest, Schema, Source};

/// Rows of the inner source that are looked at together.
const PIECE: usize = 1024;

/// Rows of another source that are chosen by their values; made by [`filter`](crate::SourceExt::filter).
///
/// Pieces of 1024 rows of the inner source are held; seeking into one reads it again.
#[derive(Clone, Debug)]
pub struct Filter<S, T> {
    inner: S,
    rule: Rule,
    piece: Batch<T>,
    /// Where the inner source was before the piece.
    start: Cursor,
    /// The rows of the piece that are taken, and how many of them were given.
    chosen: Vec<usize>,
    given: usize,
    /// Whether the piece has fewer rows than were asked for: more come late, or never.
    short: bool,
    /// Chosen rows of the next piece that were given before a seek.
    ahead: usize,
    read: u64,
    taken: u64,
}

/// Which rows are taken.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Test(RowTest),
    Member(Member),
}

impl<T: Scalar, S: Source<T>> Filter<S, T> {
    pub(super) fn new(inner: S, rule: Rule) -> Self {
        let piece = Batch::new(Arc::clone(inner.schema()));
        let start = inner.cursor();
        Self { inner, rule, piece, start, chosen: Vec::new(), given: 0, short: false, ahead: 0, read: 0, taken: 0 }
    }

    /// Rows of the inner source that were looked at, since this source was made; with those that a seek had read again.
    pub fn rows_read(&self) -> u64 {
        self.read
    }

    /// How many of them were taken.
    pub fn rows_taken(&self) -> u64 {
        self.taken
    }

    /// Chosen rows that were not given yet, after reading pieces until there are some; none at the end of the epoch.
    fn left(&mut self) -> Result<usize, Error> {
        while self.given == self.chosen.len() {
            self.chosen.clear();
            self.given = 0;
            self.start = self.inner.cursor();
            self.piece.clear();
            let n = self.inner.fill(&mut self.piece, PIECE)?;
            match &mut self.rule {
                Rule::Test(test) => test.select(&self.piece, &mut self.chosen),
                Rule::Member(member) => member.select(&self.piece, &mut self.chosen)?,
            }
            self.short = n < PIECE;
            self.read += n as u64;
            self.taken += self.chosen.len() as u64;
            if self.ahead > self.chosen.len() {
                let problem = format!("{} rows are taken there, not {}", self.chosen.len(), self.ahead);
                return Err(Error::seek(self.start, problem));
            }
            self.given = std::mem::take(&mut self.ahead);
            if n == 0 {
                break;
            }
        }
        Ok(self.chosen.len() - self.given)
    }

    /// Bytes of a piece, in buffers that grow, and of the list of its rows that are taken.
    fn own_bytes(&self) -> u64 {
        (2 * PIECE * (self.inner.schema().row_bytes(size_of::<T>()) + size_of::<usize>())) as u64
    }

    fn append(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut given = 0;
        // Whoever has some rows need not wait for more.
        while given < rows && !(given > 0 && self.short && self.given == self.chosen.len()) {
            let n = self.left()?.min(rows - given);
            if n == 0 {
                break;
            }
            batch.gather(&self.piece, &self.chosen[self.given..self.given + n]);
            self.given += n;
            given += n;
        }
        Ok(given)
    }
}

impl<T: Scalar, S: Source<T>> Source<T> for Filter<S, T> {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        self.append(batch, rows).inspect_err(|_| batch.clear())
    }

    fn cursor(&self) -> Cursor {
        if self.given < self.chosen.len() {
            wrap(self.start, self.given as u64)
        } else {
            wrap(self.inner.cursor(), self.ahead as u64)
        }
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (given, below) = unwrap(cursor);
        if given > PIECE as u64 {
            return Err(Error::seek(cursor, format!("a piece has {PIECE} rows")));
        }
        self.inner.seek(below)?;
        self.chosen.clear();
        (self.given, self.ahead) = (0, given as usize);
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let mut passed = 0;
        while passed < rows {
            let n = (self.left()? as u64).min(rows - passed);
            if n == 0 {
                break;
            }
            self.given += n as usize;
            passed += n;
        }
        Ok(passed)
    }

    fn memory_plan(&self) -> MemoryPlan {
        self.inner.memory_plan().with("filter", format!("{PIECE} rows at a time"), self.own_bytes())
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
