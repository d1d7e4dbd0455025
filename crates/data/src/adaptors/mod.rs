//! Sources made of other sources.

mod exact;
mod filter;
mod inspect;
mod part;
mod prefetch;
mod queue;
mod select;
mod shuffle;
mod split;
mod take;

use tidemill_tensor::Scalar;

use crate::{Cursor, Encode, Encoder, Error, Feed, Predicate, Source};

pub use exact::ExactShuffle;
pub use filter::Filter;
pub use inspect::Inspect;
pub use part::Part;
pub use prefetch::Prefetch;
pub use select::Select;
pub use shuffle::Shuffle;
pub use split::Split;
pub use take::Take;

/// What can be made of any source: again a source.
///
/// Rows are numbered in the order in which the source gives them, from zero in each epoch; wrap a source that is at the
/// start of an epoch. Every adaptor is exact under [`seek`](Source::seek), and its cursor is that of the source below
/// with at most one integer more.
///
/// # Example
///
/// ```
/// use tidemill_data::{MemorySource, Source, SourceExt, Split};
///
/// let source = MemorySource::builder().reals("x", 1, (0..1000).map(f64::from).collect()).build()?;
/// let split = Split::by_row(7, [("train", 0.8), ("test", 0.2)])?;
/// let train = source.clone().part(&split, "train")?.shuffle(256, 1)?.prefetch(4, 32)?;
/// let test = source.part(&split, "test")?;
/// assert_eq!(train.rows().zip(test.rows()).map(|(a, b)| a + b), Some(1000));
/// # Ok::<(), tidemill_data::Error>(())
/// ```
pub trait SourceExt<T: Scalar>: Source<T> + Sized {
    /// The first `rows` rows.
    fn take(self, rows: u64) -> Take<Self> {
        Take::new(self, 0..rows)
    }

    /// All but the first `rows` rows.
    fn skip_rows(self, rows: u64) -> Take<Self> {
        Take::new(self, rows..u64::MAX)
    }

    /// The rows of one of `count` workers: row `r` belongs to worker `r % count`.
    ///
    /// After as many rows each, all workers have the same cursor, whatever their number: it stands behind the round of
    /// `count` rows that the last one belongs to. Any number of workers may go on from there, so batches whose size is a
    /// multiple of all these numbers are the same rows, dealt to other workers.
    ///
    /// Rows are chosen by their number alone. A source of files passes over the others no cheaper than it skips rows: the
    /// pages of a Parquet file that hold rows of several workers are read and decoded by each of them. Shard last: a reader ahead of a shard
    /// stands elsewhere.
    ///
    /// # Errors
    ///
    /// When `index` is not below `count`.
    fn shard(self, index: u64, count: u64) -> Result<Select<Self, T>, Error> {
        if index >= count {
            return Err(Error::invalid("shard", format!("{index} is not below the number of shards, {count}")));
        }
        Ok(Select::shard(self, index, count))
    }

    /// The rows of one part of a split, by the part's name.
    ///
    /// # Errors
    ///
    /// When there is no such part, no such column or one of another type, or rows are split in order and the source does
    /// not know how many it has.
    fn part(self, split: &Split, name: &str) -> Result<Part<Self, T>, Error> {
        Part::new(self, split, name)
    }

    /// The rows for which a condition is true.
    ///
    /// # Errors
    ///
    /// When the condition reads a column that is missing, or compares numbers with texts.
    fn filter(self, predicate: &Predicate) -> Result<Filter<Self, T>, Error> {
        let test = predicate.bind(self.schema())?;
        Ok(Filter::new(self, filter::Rule::Test(test)))
    }

    /// The same rows; `each` is told how many were read, every time that some are: for whoever shows progress while an
    /// encoder is fitted, rows are loaded or a model is trained.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_data::{MemorySource, SourceExt};
    ///
    /// let source = MemorySource::builder().reals("x", 1, vec![0.5_f32; 3000]).build()?;
    /// let mut read = 0;
    /// MemorySource::load(source.inspect(|rows| read += rows), 1 << 20)?;
    /// assert_eq!(read, 3000);
    /// # Ok::<(), tidemill_data::Error>(())
    /// ```
    fn inspect<F: FnMut(u64) + Send>(self, each: F) -> Inspect<Self, F> {
        Inspect::new(self, each)
    }

    /// Shuffles windows of `window` rows, each by an order that is a function of (seed, epoch, window).
    ///
    /// A row moves by less than `window` places, so rows that are sorted at large stay so: take a window of many
    /// batches over a source whose blocks are shuffled, [`shuffle_exactly`](Self::shuffle_exactly), or
    /// [`MemorySource::shuffled`](crate::MemorySource::shuffled) where all rows fit in memory. The window is held in
    /// memory; seeking into one reads it again.
    ///
    /// # Errors
    ///
    /// When the window is zero.
    fn shuffle(self, window: usize, seed: u64) -> Result<Shuffle<Self, T>, Error> {
        if window == 0 {
            return Err(Error::invalid("shuffle", "the window has no rows"));
        }
        Ok(Shuffle::new(self, window, seed))
    }

    /// Shuffles all rows, by an order that is a function of (seed, epoch), in no more than `bytes` of memory.
    ///
    /// The order is that of [`MemorySource::shuffled`](crate::MemorySource::shuffled) with the same seed: any row may come
    /// anywhere. As many rows as fit are held, 12 bytes of index each included, and for each such window the source is
    /// read once: an epoch takes [`scans`](ExactShuffle::scans) of them, a single one where all rows fit. Nobody gets rows
    /// while a window is read. A position is reached with one scan.
    ///
    /// Texts are thought to have 16 bytes each; where they have more, windows get shorter, the rows stay the same.
    ///
    /// # Example
    ///
    /// ```
    /// use tidemill_data::{MemorySource, Source, SourceExt};
    ///
    /// let source = MemorySource::builder().reals("x", 1, (0..5000).map(f64::from).collect()).build()?;
    /// let source = source.shuffle_exactly(7, 60_000)?;
    /// assert_eq!((source.window(), source.scans()), (2180, 3));
    /// # Ok::<(), tidemill_data::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the source does not know how many rows it has, and [`Error::Budget`] with the smallest number that works when
    /// so few rows fit that more than 256 scans would be needed.
    fn shuffle_exactly(self, seed: u64, bytes: u64) -> Result<ExactShuffle<Self, T>, Error> {
        ExactShuffle::new(self, seed, bytes)
    }

    /// Reads up to `batches` batches of `rows` rows ahead, in a thread of its own.
    ///
    /// Ask for batches of `rows` rows, cleared before: they are swapped, not copied; fewer rows are copied from those.
    /// The rows and their order do not depend on timing.
    ///
    /// # Errors
    ///
    /// When a number is zero, or the system gives no thread.
    fn prefetch(self, batches: usize, rows: usize) -> Result<Prefetch<T>, Error>
    where
        Self: 'static,
    {
        if batches == 0 || rows == 0 {
            return Err(Error::invalid("prefetch", format!("{batches} batches of {rows} rows hold nothing")));
        }
        Prefetch::new(self, batches, rows)
    }

    /// Plans how to read, shuffle and read ahead within one number of bytes; see [`Feed`].
    fn feed(self) -> Feed<Self> {
        Feed::new(self)
    }

    /// Raw rows, encoded for a model of scalars `U`.
    ///
    /// # Errors
    ///
    /// When a raw column that the encoder reads is missing or not of the type that it was fitted to.
    fn encode<U: Scalar>(self, encoder: &Encoder) -> Result<Encode<Self, U>, Error>
    where
        Self: Source<f64>,
    {
        Encode::new(self, encoder)
    }

    /// The source behind a pointer, where its type must not show.
    fn boxed<'a>(self) -> Box<dyn Source<T> + 'a>
    where
        Self: 'a,
    {
        Box::new(self)
    }
}

impl<T: Scalar, S: Source<T>> SourceExt<T> for S {}

/// Limits a source below an adaptor that takes some bytes itself.
pub(crate) fn limit_below<T: Scalar>(inner: &mut impl Source<T>, own: u64, bytes: u64) -> Result<(), Error> {
    let refusal = |what, needed: u64, advice| {
        Err(Error::Budget { what, needed: needed.saturating_add(own), budget: bytes, advice })
    };
    match inner.limit(bytes.saturating_sub(own)) {
        Err(Error::Budget { what, needed, advice, .. }) => refusal(what, needed, advice),
        Ok(()) if bytes < own => refusal("what is made of the rows read".into(), 0, "allow it more".into()),
        result => result,
    }
}

/// The cursor of an adaptor; that of the start of an epoch stays bare.
pub(crate) fn wrap(inner: Cursor, word: u64) -> Cursor {
    if word == 0 && inner.is_start() { inner } else { inner.push(word) }
}

/// The integer of an adaptor, and the cursor of the source below.
pub(crate) fn unwrap(cursor: Cursor) -> (u64, Cursor) {
    cursor.pop().unwrap_or((0, cursor))
}
