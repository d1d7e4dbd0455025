//! Rows that are not there yet: streams, and the channel that a program pushes rows into.

mod channel;
mod row;
mod sender;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_tensor::Scalar;

use crate::{Batch, Cursor, Error, Interrupt, Schema, Source, Waiting, Watch};

pub use channel::{ChannelSource, Receiver, channel};
pub use row::{AsValue, Row, Value};
pub use sender::{RowSender, TrySend};

/// Where the rows of a [`Stream`] come from: for those who write sources.
pub trait Supply<T: Scalar>: Send {
    /// The columns that it appends to.
    fn schema(&self) -> &Arc<Schema>;

    /// Puts the next rows in `rows`, which is empty, about `wanted` of them: those that have come, after waiting for the
    /// first ones.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when `waiting` says so; no row is lost then. Any other error comes again when this
    /// is called again, until [`go`](Supply::go) leads elsewhere.
    fn more(&mut self, rows: &mut Batch<T>, wanted: usize, waiting: &mut Waiting<'_>) -> Result<Supplied, Error>;

    /// Goes to `row` of the epoch, or to a row before it from which reading on leads there, and says which; `None`
    /// where nobody can go anywhere, as in a stream.
    ///
    /// # Errors
    ///
    /// When the data cannot be read.
    fn go(&mut self, row: u64) -> Result<Option<u64>, Error> {
        let _ = row;
        Ok(None)
    }

    /// Rows of an epoch, where that is known before reading.
    fn rows(&self) -> Option<u64> {
        None
    }
}

/// What became of asking a [`Supply`] for more rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supplied {
    /// There are rows.
    Rows,
    /// The time was up before any row came.
    Late,
    /// No more rows will come.
    End,
}

/// How a stream that is opened anew is taken to go on, when training goes on at a row that it did not have yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Nothing is known: going on at any row but the first is an error.
    #[default]
    Refuse,
    /// It begins at its first row again, as a file that is piped again: rows up to the position are passed over.
    Replay,
    /// Its first row is the one at the position, as a sender that remembers what it has sent. Adaptors that hold rows
    /// (`shuffle`, and `prefetch` where it is asked for other numbers of rows than it reads) take positions before rows
    /// that they have given already, so such a stream would have to begin there.
    Continue,
}

/// Rows of a stream, which come when they come and only once; see [`channel`].
///
/// The last rows are [kept](Stream::keep), and seeking among them works. So a run that was interrupted goes on where
/// its state stands, and an encoder can be fitted to the first rows and these be trained on after.
///
/// Memory is that of the rows kept, of those asked for at once, and of those that the feed holds.
#[derive(Debug)]
pub struct Stream<T, F> {
    feed: F,
    /// Rows that were given and are kept, then those that were not given yet.
    rows: Batch<T>,
    /// What the feed has just read.
    fresh: Batch<T>,
    /// The number of the first of `rows` in the epoch, and that of the next to give.
    first: u64,
    position: u64,
    epoch: u64,
    begun: bool,
    ended: bool,
    keep: usize,
    resume: Resume,
    max_wait: Option<Duration>,
    watch: Watch,
    blocked: Duration,
}

impl<T: Scalar, F: Supply<T>> Stream<T, F> {
    /// The rows of a feed that is at its start.
    pub fn new(feed: F) -> Self {
        let (rows, fresh) = (Batch::new(Arc::clone(feed.schema())), Batch::new(Arc::clone(feed.schema())));
        Self {
            feed,
            rows,
            fresh,
            first: 0,
            position: 0,
            epoch: 0,
            begun: false,
            ended: false,
            keep: 1024,
            resume: Resume::Refuse,
            max_wait: None,
            watch: Watch::default(),
            blocked: Duration::ZERO,
        }
    }

    /// Keeps so many rows that were given, so that a seek can go back to them; 1024 where nothing is said.
    ///
    /// What lies between this source and the training decides how many are needed to go on after an interruption: those
    /// that `prefetch` reads ahead, those of a `shuffle`'s window, and always those of one step.
    #[must_use]
    pub fn keep(mut self, rows: usize) -> Self {
        self.keep = rows;
        self
    }

    /// Says how the stream goes on when training goes on at a row that it did not have yet.
    #[must_use]
    pub fn resume(mut self, resume: Resume) -> Self {
        self.resume = resume;
        self
    }

    /// Waits so long after the first row of a batch, then gives what there is, so that a slow stream still trains.
    ///
    /// The first row is waited for as long as it takes. The borders of batches then depend on the clock, and so do the
    /// steps: without this, they do not.
    #[must_use]
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.max_wait = Some(time);
        self
    }

    /// Watches what somebody else has watched so far.
    #[must_use]
    pub fn watching(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    fn end(&self) -> u64 {
        self.first + self.rows.rows() as u64
    }

    /// Rows that have come and were not given yet.
    fn ahead(&self) -> usize {
        (self.end() - self.position) as usize
    }

    /// Reads until `rows` are ahead, the stream ends, or time is up.
    fn read(&mut self, rows: usize) -> Result<(), Error> {
        self.watch.check()?;
        let mut until = None;
        while self.ahead() < rows && !self.ended {
            if self.ahead() > 0 && until.is_none() {
                until = self.max_wait.map(|time| Instant::now() + time);
            }
            let wanted = if self.ahead() == 0 && self.max_wait.is_some() { 1 } else { rows - self.ahead() };
            match self.more(wanted, until) {
                Ok(Supplied::Rows) => {}
                Ok(Supplied::Late) => break,
                Ok(Supplied::End) => self.ended = true,
                // The rows before the error come first; it comes again.
                Err(error) if self.ahead() == 0 || matches!(error, Error::Interrupted) => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn more(&mut self, wanted: usize, until: Option<Instant>) -> Result<Supplied, Error> {
        self.forget();
        self.begun = true;
        self.fresh.clear();
        let mut waiting = Waiting::until(&self.watch, until);
        let fed = self.feed.more(&mut self.fresh, wanted, &mut waiting);
        self.blocked += waiting.blocked();
        let fed = fed?;
        if fed == Supplied::Rows {
            if self.rows.rows() == 0 {
                std::mem::swap(&mut self.rows, &mut self.fresh);
            } else {
                self.rows.push_rows(&self.fresh, 0..self.fresh.rows());
            }
        }
        Ok(fed)
    }

    /// Drops rows that need not be kept, once they are as many as those that are, so that each row is moved once.
    fn forget(&mut self) {
        let given = (self.position - self.first) as usize;
        let gone = given.saturating_sub(self.keep);
        if gone > 0 && 2 * gone >= self.rows.rows() {
            self.rows.drop_front(gone);
            self.first += gone as u64;
        }
    }

    /// Passes over rows up to `row`, which is not before the position.
    fn advance(&mut self, row: u64) -> Result<(), Error> {
        loop {
            self.position = row.min(self.end());
            if self.position == row || self.ended {
                return Ok(());
            }
            self.watch.check()?;
            let wanted = (row - self.position).min(4096) as usize;
            self.ended = self.more(wanted, None)? == Supplied::End;
        }
    }

    fn refusal(&self, cursor: Cursor, row: u64) -> Error {
        let (first, end, keep) = (self.first, self.end(), self.keep);
        let problem = if !self.begun {
            "the stream has not begun; say whether it comes again from its first row (Resume::Replay) or goes on behind \
             the rows that were read (Resume::Continue)"
                .to_owned()
        } else if cursor.epoch != self.epoch {
            "the stream is one epoch, and its rows come once".to_owned()
        } else if row < first {
            format!(
                "a stream cannot go back; it stands at row {end} and keeps {keep} rows, from row {first} on: keep more"
            )
        } else {
            format!(
                "the stream stands at row {end}; rows after it are passed over only when it is read with Resume::Replay"
            )
        };
        Error::seek(cursor, problem)
    }
}

impl<T: Scalar, F: Supply<T>> Source<T> for Stream<T, F> {
    fn schema(&self) -> &Arc<Schema> {
        self.rows.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        if rows == 0 {
            return Ok(0);
        }
        if let Err(error) = self.read(rows) {
            batch.clear();
            return Err(error);
        }
        let at = (self.position - self.first) as usize;
        let next = at..at + rows.min(self.ahead());
        self.position += next.len() as u64;
        batch.push_rows(&self.rows, next.clone());
        Ok(next.len())
    }

    fn cursor(&self) -> Cursor {
        let start = Cursor::start(self.epoch);
        if self.position == 0 { start } else { start.push(self.position) }
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (row, below) = cursor.pop().unwrap_or((0, cursor));
        if !below.is_start() {
            return Err(Error::seek(cursor, "it belongs to another source; a stream has one integer"));
        }
        if cursor.epoch == self.epoch && (self.first..=self.end()).contains(&row) {
            self.position = row;
            return Ok(());
        }
        if let Some(at) = self.feed.go(row)? {
            self.rows.clear();
            (self.first, self.position, self.ended) = (at, at, false);
        } else if !self.begun && self.resume == Resume::Continue {
            (self.first, self.position) = (row, row);
        } else {
            let forward = !self.begun || cursor.epoch == self.epoch && row > self.end();
            if self.resume != Resume::Replay || !forward {
                return Err(self.refusal(cursor, row));
            }
        }
        self.epoch = cursor.epoch;
        self.advance(row)?;
        if self.position < row {
            return Err(Error::seek(cursor, format!("the stream has {} rows", self.end())));
        }
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        self.feed.rows()
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let before = self.position;
        match self.advance(before.saturating_add(rows)) {
            Err(error) if self.position == before => Err(error),
            _ => Ok(self.position - before),
        }
    }

    fn watch(&mut self, interrupt: &Interrupt) {
        self.watch.add(interrupt);
    }

    fn blocked(&self) -> Duration {
        self.blocked
    }
}
