//! Rows in memory.

mod build;
mod load;

use std::sync::Arc;

use tidemill_tensor::{Key, Scalar};

use crate::{Batch, Cursor, Error, MemoryPlan, Permutation, Schema, Source};

pub use build::MemoryBuilder;
pub(crate) use build::{check, check_as};

/// Rows in memory, in their order or shuffled anew each epoch.
///
/// Clones share the rows. Features may hold NaN and infinities, which pass unchanged; targets and weights are checked
/// to be finite, weights to be at least zero. The target of a row of weight zero may be anything.
///
/// # Example
///
/// ```
/// use tidemill_data::{Batch, Cursor, MemorySource, Source};
///
/// let mut source = MemorySource::builder()
///     .reals("x", 2, vec![0.0_f32, 0.1, 1.0, 1.1, 2.0, 2.1])
///     .indices("carrier", 3, vec![0, 2, 1])
///     .target(vec![1.0, 0.0, 1.0])
///     .build()?
///     .shuffled(7);
/// let mut batch = Batch::new(source.schema().clone());
/// assert_eq!(source.fill(&mut batch, 2)?, 2);
/// assert_eq!(source.fill(&mut batch, 2)?, 1);
/// assert_eq!(batch.rows(), 3);
/// source.seek(Cursor::start(1))?;
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemorySource<T> {
    data: Arc<Batch<T>>,
    order: Order,
    epoch: u64,
    position: usize,
}

#[derive(Clone, Debug)]
enum Order {
    AsGiven,
    Shuffled { seed: u64, permutation: Permutation, rows: Vec<usize> },
}

impl<T: Scalar> MemorySource<T> {
    /// Columns are given one by one.
    pub fn builder() -> MemoryBuilder<T> {
        MemoryBuilder::new()
    }

    /// The rows of a batch, in their order.
    ///
    /// # Errors
    ///
    /// When a name comes twice, an index is not below its cardinality, a weight is not finite or below zero, or a target
    /// that counts is not finite.
    pub fn new(data: Batch<T>) -> Result<Self, Error> {
        check(&data)?;
        Ok(Self { data: Arc::new(data), order: Order::AsGiven, epoch: 0, position: 0 })
    }

    /// Reads epoch 0 of another source into memory.
    ///
    /// Besides the budget, one chunk of 1024 rows is held while reading. Where the number of rows is not known before,
    /// buffers grow by half, and what is copied counts twice while it is copied.
    ///
    /// # Errors
    ///
    /// [`Error::Budget`] when the rows take more than `budget` bytes: before reading where their number is known,
    /// otherwise before the buffers would outgrow it. Those of the source, and those of [`new`](MemorySource::new).
    pub fn load(source: impl Source<T>, budget: u64) -> Result<Self, Error> {
        Self::new(load::load(source, budget)?)
    }

    /// The rows in an order that is a function of (seed, epoch), from the start of the present epoch.
    ///
    /// The order is a keyed permutation of row numbers, not a table: it takes no memory, and any position is reached at
    /// once.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        let permutation = self.permutation(seed);
        self.order = Order::Shuffled { seed, permutation, rows: Vec::new() };
        self.position = 0;
        self
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.data.rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows, as they lie in memory.
    pub fn data(&self) -> &Batch<T> {
        &self.data
    }

    fn permutation(&self, seed: u64) -> Permutation {
        Permutation::new(self.data.rows() as u64, Key::new(seed).fold(self.epoch))
    }
}

impl<T: Scalar> Source<T> for MemorySource<T> {
    fn schema(&self) -> &Arc<Schema> {
        self.data.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let next = self.position..self.data.rows().min(self.position.saturating_add(rows));
        let n = next.len();
        self.position = next.end;
        match &mut self.order {
            Order::AsGiven => batch.push_rows(&self.data, next),
            Order::Shuffled { permutation, rows, .. } => {
                rows.clear();
                rows.extend(next.map(|place| permutation.at(place as u64) as usize));
                batch.gather(&self.data, rows);
            }
        }
        Ok(n)
    }

    fn cursor(&self) -> Cursor {
        let start = Cursor::start(self.epoch);
        if self.position == 0 { start } else { start.push(self.position as u64) }
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (position, below) = cursor.pop().unwrap_or((0, cursor));
        if !below.is_start() {
            return Err(Error::seek(cursor, "it belongs to another source; rows in memory have one integer"));
        }
        if position > self.data.rows() as u64 {
            return Err(Error::seek(cursor, format!("there are {} rows", self.data.rows())));
        }
        self.epoch = cursor.epoch;
        self.position = position as usize;
        if let Order::Shuffled { seed, .. } = self.order {
            let new = self.permutation(seed);
            if let Order::Shuffled { permutation, .. } = &mut self.order {
                *permutation = new;
            }
        }
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        Some(self.data.rows() as u64)
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let n = rows.min((self.data.rows() - self.position) as u64);
        self.position += n as usize;
        Ok(n)
    }

    fn memory_plan(&self) -> MemoryPlan {
        MemoryPlan::default().with("memory", format!("{} rows", self.len()), self.data.bytes() as u64)
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let needed = self.data.bytes() as u64;
        if needed <= bytes {
            return Ok(());
        }
        let (what, advice) = (format!("{} rows in memory", self.len()), "read them as a stream".to_owned());
        Err(Error::Budget { what, needed, budget: bytes, advice })
    }

    fn memory(&self) -> Option<MemorySource<T>> {
        Some(self.clone())
    }
}
