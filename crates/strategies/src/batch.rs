use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Interrupt, MemorySource, Source};

use crate::{Callback, Error, Outcome, Plan, Session, State, Strategy, Summary, Trainer};

/// Batch training: load everything into memory, then go over it for many epochs in minibatches, shuffled anew in each.
///
/// Data that would not fit the budget is refused before it is read, with the numbers. Data that is in memory already is
/// used as it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    epochs: u64,
    batch_size: Option<usize>,
    shuffle: bool,
    budget: u64,
}

impl Batch {
    /// So many epochs, of shuffled minibatches of 32 rows, within 1 GiB for the data.
    pub fn new(epochs: u64) -> Self {
        Self { epochs, batch_size: Some(32), shuffle: true, budget: 1 << 30 }
    }

    /// Minibatches of so many rows.
    #[must_use]
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = Some(rows);
        self
    }

    /// One step an epoch, on all rows.
    #[must_use]
    pub fn full_batch(mut self) -> Self {
        self.batch_size = None;
        self
    }

    /// Rows in the source's order, in every epoch.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.shuffle = false;
        self
    }

    /// Bytes that the data may take in memory.
    #[must_use]
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }
}

impl<T: Scalar> Strategy<T> for Batch {
    fn run(
        &self,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error> {
        let mut memory = match source.memory() {
            Some(memory) => memory,
            None => match load(source, self.budget, callback) {
                Err(tidemill_data::Error::Interrupted) => return Ok(Summary { stopped: true, ..Summary::default() }),
                loaded => loaded?,
            },
        };
        if self.shuffle {
            memory = memory.shuffled(state.seed);
        }
        let rows = memory.len();
        // Other ranks may have some.
        if rows == 0 && trainer.ranks() == 1 {
            return Err(Error::setting("batch training", "the source has no rows"));
        }
        let batch_size = self.batch_size.unwrap_or(rows.max(1));
        let plan = Plan::epochs(self.epochs).batch_size(batch_size).loaded();
        let mut session = Session::start(trainer, state, &mut memory, callback, plan)?;
        while session.is_running() {
            session.next_batch(batch_size)?;
            if session.train()? == Outcome::EpochOver {
                session.end_epoch()?;
            }
        }
        session.finish()
    }
}

/// Loads the rows, unless the callback interrupts it.
fn load<T: Scalar>(
    source: &mut dyn Source<T>,
    budget: u64,
    callback: &dyn Callback<T>,
) -> Result<MemorySource<T>, tidemill_data::Error> {
    let stop = Interrupt::any(callback.interrupt());
    source.watch(&stop);
    MemorySource::load(source, budget)
}
