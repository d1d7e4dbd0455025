use tidemill_autograd::tensor::Scalar;
use tidemill_data::Source;

use crate::{Callback, Error, Outcome, Plan, Session, State, Strategy, Summary, Trainer};

/// Online training: take rows as they come, in chunks; test on each chunk, then train on it, once. Memory is that of one
/// chunk, whatever the size of the data.
///
/// The state's metrics are updated with the predictions made before training, so they are prequential scores.
///
/// # References
///
/// J. Gama, R. Sebastião, P. Rodrigues, *On evaluating stream learning algorithms*, 2013.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Online {
    passes: Option<u64>,
    batch_size: usize,
}

impl Default for Online {
    fn default() -> Self {
        Self::new()
    }
}

impl Online {
    /// One pass, in chunks of 32 rows.
    pub fn new() -> Self {
        Self { passes: Some(1), batch_size: 32 }
    }

    /// Chunks, and so steps, of so many rows.
    #[must_use]
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows;
        self
    }

    /// Over a source that ends, so many times.
    #[must_use]
    pub fn passes(mut self, passes: u64) -> Self {
        self.passes = Some(passes);
        self
    }

    /// Over and over, until an callback stops it.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.passes = None;
        self
    }
}

impl<T: Scalar> Strategy<T> for Online {
    fn run(
        &self,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &mut dyn Source<T>,
        callback: &mut dyn Callback<T>,
    ) -> Result<Summary, Error> {
        let plan = self.passes.map_or_else(Plan::endless, Plan::epochs).batch_size(self.batch_size);
        let mut session = Session::start(trainer, state, source, callback, plan)?;
        while session.is_running() {
            session.next_batch(self.batch_size)?;
            if session.test_then_train()? == Outcome::EpochOver {
                session.end_epoch()?;
            }
        }
        session.finish()
    }
}
