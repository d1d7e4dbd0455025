use tidemill_tensor::Scalar;

use crate::{Error, Kind, Prefetch, Source, SourceExt};

/// In which order a [`Feed`] gives the rows of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the source does.
    AsRead,
    /// Shuffled window by window, with that seed; see [`SourceExt::shuffle`].
    Windows(u64),
    /// Shuffled exactly, with that seed; see [`SourceExt::shuffle_exactly`].
    Exact(u64),
}

/// Plans a whole pipeline from one number of bytes: reading, shuffling, reading ahead, and the batch that is trained on;
/// from [`SourceExt::feed`].
///
/// Batches get an eighth of the budget, a window five eighths, and reading what is left: it is asked to keep
/// [within](Source::limit) that. Where it cannot, it gets the least that it works with, and the window the rest. So the
/// window, and with it the order of rows, follows from the budget, the batch size and the source, whatever the number of
/// threads; [`window`](Feed::window) fixes it.
///
/// # Example
///
/// ```
/// use tidemill_data::{MemorySource, Order, Source, SourceExt};
///
/// # let source = MemorySource::builder().reals("x", 1, vec![0.0_f32; 1_000]).build()?;
/// let feed = source.feed().batch_size(32).order(Order::Windows(7)).budget(64 << 10).build()?;
/// println!("{}", feed.memory_plan());
/// assert!(feed.memory_plan().total() <= 64 << 10);
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read before build()"]
pub struct Feed<S> {
    source: S,
    order: Order,
    batch_size: usize,
    window: Option<usize>,
    ahead: usize,
    budget: u64,
}

impl<S> Feed<S> {
    /// Bytes unless told otherwise: 64 MiB.
    pub const BUDGET: u64 = 64 << 20;

    /// Batches of a window, at least.
    const LEAST_WINDOW: usize = 4;

    pub(crate) fn new(source: S) -> Self {
        Self { source, order: Order::AsRead, batch_size: 32, window: None, ahead: 4, budget: Self::BUDGET }
    }

    /// Sets the order of rows: as the source gives them, unless told otherwise.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets how many rows a batch has, which is what to ask for at a time: 32, unless told otherwise.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows;
        self
    }

    /// Sets how many rows a window of [`Order::Windows`] has, whatever else there is memory for.
    pub fn window(mut self, rows: usize) -> Self {
        self.window = Some(rows);
        self
    }

    /// Sets how many batches are read ahead at most: four, unless told otherwise; fewer where they take too much memory.
    pub fn read_ahead(mut self, batches: usize) -> Self {
        self.ahead = batches;
        self
    }

    /// Sets how many bytes all of it may take.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// Divides the budget and makes the pipeline. Its [plan](Source::memory_plan) tells how; the batch that is filled is
    /// part of it.
    ///
    /// # Errors
    ///
    /// [`Error::Budget`] with the smallest budget that works; when there are texts, which have any length: encode them
    /// before; when a number is zero; those of [`SourceExt::shuffle_exactly`] and [`SourceExt::prefetch`].
    pub fn build<T: Scalar>(mut self) -> Result<Prefetch<T>, Error>
    where
        S: Source<T> + 'static,
    {
        self.check::<T>()?;
        let row = self.source.schema().row_bytes(size_of::<T>()) as u64;
        let costs = Costs { batch_size: self.batch_size as u64, row, least_window: self.least_window(row)? };
        let Shares { ahead, window } = self.divide(costs)?;
        match self.order {
            Order::AsRead => self.source.prefetch(ahead, self.batch_size),
            Order::Windows(seed) => {
                let rows = self.window.unwrap_or((window / row.max(1)) as usize).max(1);
                self.source.shuffle(rows, seed)?.prefetch(ahead, self.batch_size)
            }
            Order::Exact(seed) => self.source.shuffle_exactly(seed, window)?.prefetch(ahead, self.batch_size),
        }
    }

    fn check<T: Scalar>(&self) -> Result<(), Error>
    where
        S: Source<T>,
    {
        if self.batch_size == 0 || self.ahead == 0 {
            let problem = format!("{} batches of {} rows hold nothing", self.ahead, self.batch_size);
            return Err(Error::invalid("feed", problem));
        }
        match self.source.schema().fields.iter().find(|field| field.kind == Kind::Text) {
            Some(text) => {
                let problem = format!("column {} holds texts, of any length; encode them before", text.name);
                Err(Error::invalid("feed", problem))
            }
            None => Ok(()),
        }
    }

    /// Bytes that a window takes at least.
    fn least_window<T: Scalar>(&mut self, row: u64) -> Result<u64, Error>
    where
        S: Source<T>,
    {
        match self.order {
            Order::AsRead => Ok(0),
            Order::Windows(_) => {
                let most = self.source.rows().unwrap_or(u64::MAX);
                let rows = self.window.unwrap_or(Self::LEAST_WINDOW.saturating_mul(self.batch_size)) as u64;
                Ok(row.saturating_mul(rows.min(most)))
            }
            Order::Exact(seed) => match SourceExt::<T>::shuffle_exactly(&mut self.source, seed, 0) {
                Err(Error::Budget { needed, .. }) => Ok(needed),
                made => made.map(|_| 0),
            },
        }
    }

    /// Shares of the budget, after asking the source to keep within its own.
    fn divide<T: Scalar>(&mut self, costs: Costs) -> Result<Shares, Error>
    where
        S: Source<T>,
    {
        let budget = self.budget;
        let most_ahead = |allowed: u64| (1..=self.ahead).rev().find(|&n| costs.batches(n) <= allowed).unwrap_or(1);
        let ahead = most_ahead(budget / 8);
        let window = match (self.order, self.window) {
            (Order::AsRead, _) | (Order::Windows(_), Some(_)) => costs.least_window,
            _ => (budget / 8).saturating_mul(5).max(costs.least_window),
        };
        let reading = budget.checked_sub(costs.batches(ahead).saturating_add(window));
        let least = match (self.source.limit(reading.unwrap_or(0)), reading) {
            (Ok(()), Some(_)) => return Ok(Shares { ahead, window }),
            (Ok(()), None) => 0,
            (Err(Error::Budget { needed, .. }), _) => needed,
            (Err(error), _) => return Err(error),
        };
        let needed = least.saturating_add(costs.batches(1)).saturating_add(costs.least_window);
        if needed > budget {
            return Err(Error::Budget {
                what: format!("feeding batches of {} rows", self.batch_size),
                needed,
                budget,
                advice: format!("allow it {needed} bytes, or smaller batches"),
            });
        }
        self.source.limit(least)?;
        let ahead = most_ahead((budget / 8).min(budget - least - costs.least_window));
        Ok(Shares { ahead, window: budget - least - costs.batches(ahead) })
    }
}

#[derive(Clone, Copy)]
struct Costs {
    batch_size: u64,
    /// Bytes of a row.
    row: u64,
    least_window: u64,
}

impl Costs {
    /// Bytes of the batches read ahead, of the one given out and the one in use, and of the list of a batch's rows.
    fn batches(self, ahead: usize) -> u64 {
        let rows = self.batch_size.saturating_mul(ahead as u64 + 2);
        self.row.saturating_mul(rows).saturating_add(self.batch_size.saturating_mul(size_of::<usize>() as u64))
    }
}

struct Shares {
    ahead: usize,
    /// Bytes of the window.
    window: u64,
}
