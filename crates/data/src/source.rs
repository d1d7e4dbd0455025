use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_tensor::Scalar;

use crate::{Batch, Error, Interrupt, MemoryPlan, MemorySource, Schema};

/// Rows that flow: the one interface of memory, files and adaptors.
///
/// A source is read an epoch at a time. [`fill`](Source::fill) gives the next rows until it gives none;
/// [`seek`](Source::seek) to [`Cursor::start`] begins another epoch.
///
/// The order of rows is a function of the source's settings, the epoch and the position: whoever seeks to a cursor gets
/// the rows that followed when the cursor was taken, bit by bit.
pub trait Source<T: Scalar>: Send {
    /// The columns that it fills.
    fn schema(&self) -> &Arc<Schema>;

    /// Appends the next rows to `batch`, at most `rows` of them, and says how many: zero only when the epoch is over.
    /// Fewer than asked for come at the end of the epoch, before an error, and where a source was told to wait no longer
    /// than a time (see [`Stream::max_wait`](crate::Stream::max_wait)): whoever needs so many asks again until there are
    /// none. Allocates nothing once the batch has grown to its size.
    ///
    /// # Errors
    ///
    /// When the data is not as declared, and [`Error::Interrupted`] when an interrupt that is [watched](Source::watch)
    /// is set. The batch is then empty, and the position undefined until the next seek; a stream at the bottom stands
    /// where it stood.
    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error>;

    /// Where the next row is taken from.
    fn cursor(&self) -> Cursor;

    /// Goes to a position that [`cursor`](Source::cursor) gave, or to the start of an epoch. Going to where it stands
    /// always works, unless an error came since.
    ///
    /// # Errors
    ///
    /// When this source has no such position.
    fn seek(&mut self, cursor: Cursor) -> Result<(), Error>;

    /// Rows of an epoch, where that is known before reading.
    fn rows(&self) -> Option<u64>;

    /// Passes over the next rows, at most `rows` of them, and says how many there were: zero only when the epoch is over.
    ///
    /// # Errors
    ///
    /// As [`fill`](Source::fill).
    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let mut scratch = Batch::new(Arc::clone(self.schema()));
        let mut passed = 0;
        while passed < rows {
            scratch.clear();
            match self.fill(&mut scratch, (rows - passed).min(4096) as usize) {
                Ok(0) => break,
                Ok(n) => passed += n as u64,
                Err(Error::Interrupted) if passed > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(passed)
    }

    /// What this source, and those below it, hold in memory at most, but for the batches that are filled. Texts are
    /// counted as 16 bytes where their length is not known.
    fn memory_plan(&self) -> MemoryPlan {
        MemoryPlan::default()
    }

    /// Asks this source, and those below it, to hold no more than so many bytes: rows and their order stay the same, how
    /// much is read at a time does not. A source that has no choice, and says so by an empty
    /// [`memory_plan`](Source::memory_plan), agrees to anything.
    ///
    /// # Errors
    ///
    /// [`Error::Budget`] with the smallest number that works; the source then goes on as before.
    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let _ = bytes;
        Ok(())
    }

    /// Stops waiting for rows when this is set, then and from now on, for as long as anyone has a handle of it. Sources
    /// that never wait have nothing to do; adaptors tell the source below.
    fn watch(&mut self, interrupt: &Interrupt) {
        let _ = interrupt;
    }

    /// How long `fill` and `skip` have waited, since this source was made, with nothing to do: for a thread that reads
    /// ahead, for rows of a stream. Work of their own is not counted.
    fn blocked(&self) -> Duration {
        Duration::ZERO
    }

    /// The rows of this source, where all of them lie in memory in this order already: a handle that shares them.
    fn memory(&self) -> Option<MemorySource<T>> {
        None
    }
}

macro_rules! forward {
    ($pointer:ty) => {
        impl<T: Scalar, S: Source<T> + ?Sized> Source<T> for $pointer {
            fn schema(&self) -> &Arc<Schema> {
                (**self).schema()
            }

            fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
                (**self).fill(batch, rows)
            }

            fn cursor(&self) -> Cursor {
                (**self).cursor()
            }

            fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
                (**self).seek(cursor)
            }

            fn rows(&self) -> Option<u64> {
                (**self).rows()
            }

            fn skip(&mut self, rows: u64) -> Result<u64, Error> {
                (**self).skip(rows)
            }

            fn memory_plan(&self) -> MemoryPlan {
                (**self).memory_plan()
            }

            fn limit(&mut self, bytes: u64) -> Result<(), Error> {
                (**self).limit(bytes)
            }

            fn watch(&mut self, interrupt: &Interrupt) {
                (**self).watch(interrupt);
            }

            fn blocked(&self) -> Duration {
                (**self).blocked()
            }

            fn memory(&self) -> Option<MemorySource<T>> {
                (**self).memory()
            }
        }
    };
}

/// Appends `rows` rows to a batch, asking until there are so many or none are left; for those who need them whole.
pub(crate) fn fill_up<T: Scalar>(
    source: &mut impl Source<T>,
    batch: &mut Batch<T>,
    rows: usize,
) -> Result<usize, Error> {
    let mut taken = 0;
    while taken < rows {
        match source.fill(batch, rows - taken)? {
            0 => break,
            n => taken += n,
        }
    }
    Ok(taken)
}

forward!(Box<S>);
forward!(&mut S);

/// A position in a source: the epoch, and a few integers, one or more for the source at the bottom and each adaptor
/// above it.
///
/// # Example
///
/// ```
/// use tidemill_data::Cursor;
///
/// let inner = Cursor::start(3).push(4096);
/// let outer = inner.push(17);
/// assert_eq!(outer.pop(), Some((17, inner)));
/// assert_eq!(Cursor::start(3).pop(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SavedCursor")]
pub struct Cursor {
    /// The epoch, counted from zero.
    pub epoch: u64,
    depth: u8,
    words: [u64; Self::DEPTH],
}

impl Cursor {
    const DEPTH: usize = 8;
    /// The last epoch of a saved cursor.
    const MOST: u64 = 1 << 53;

    /// The start of an epoch.
    pub fn start(epoch: u64) -> Self {
        Self { epoch, depth: 0, words: [0; Self::DEPTH] }
    }

    /// Whether this is the start of an epoch.
    pub fn is_start(&self) -> bool {
        self.depth == 0
    }

    /// This cursor with one more integer on top.
    ///
    /// # Panics
    ///
    /// When adaptors are nested deeper than eight integers allow.
    #[must_use]
    pub fn push(mut self, word: u64) -> Self {
        assert!(usize::from(self.depth) < Self::DEPTH, "a cursor of more than {} integers", Self::DEPTH);
        self.words[usize::from(self.depth)] = word;
        self.depth += 1;
        self
    }

    /// The top integer, and the cursor without it; `None` at the start of an epoch.
    pub fn pop(mut self) -> Option<(u64, Self)> {
        self.depth = self.depth.checked_sub(1)?;
        let word = std::mem::take(&mut self.words[usize::from(self.depth)]);
        Some((word, self))
    }
}

/// A [`Cursor`] as it was written, which may be anything.
#[derive(Deserialize)]
struct SavedCursor {
    epoch: u64,
    depth: u8,
    words: [u64; Cursor::DEPTH],
}

impl TryFrom<SavedCursor> for Cursor {
    type Error = String;

    fn try_from(SavedCursor { epoch, depth, words }: SavedCursor) -> Result<Self, String> {
        let most = Self::DEPTH;
        let Some(beyond) = words.get(usize::from(depth)..) else {
            return Err(format!("a cursor of {depth} integers, expected {most} at most"));
        };
        if beyond.iter().any(|&word| word != 0) {
            return Err(format!("a cursor of {depth} integers with others behind them"));
        }
        // Epochs and rows are counted, and no one counts so far.
        if epoch > Self::MOST {
            return Err(format!("a cursor of epoch {epoch}, expected {} at most", Self::MOST));
        }
        Ok(Self { epoch, depth, words })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.epoch)?;
        match &self.words[..usize::from(self.depth)] {
            [] => write!(f, ", start"),
            words => write!(f, ", position {words:?}"),
        }
    }
}
