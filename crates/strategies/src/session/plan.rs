use tidemill_data::Cursor;

use crate::{Error, State};

/// What a [`Session`](crate::Session) is to do: for how many epochs, in batches of how many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(crate) epochs: Option<u64>,
    pub(crate) batch_size: usize,
    pub(crate) loads: bool,
}

impl Plan {
    /// Ends when the state has been trained for so many epochs, counted from its first; in batches of at most 32 rows.
    pub fn epochs(epochs: u64) -> Self {
        Self { epochs: Some(epochs), batch_size: 32, loads: false }
    }

    /// Goes on until a callback stops it.
    pub fn endless() -> Self {
        Self { epochs: None, batch_size: 32, loads: false }
    }

    /// The most rows of a batch.
    #[must_use]
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows;
        self
    }

    /// The source's rows have been loaded into memory. They are checked all at once when the session begins, rather than
    /// batch by batch; and of several ranks, each has loaded other rows, so that a run that was stopped within an epoch
    /// goes on with as many ranks only.
    #[must_use]
    pub fn loaded(mut self) -> Self {
        self.loads = true;
        self
    }

    /// Whether nothing is left to do because a checkpoint is that of a run which had ended.
    ///
    /// # Errors
    ///
    /// When nothing is left to do for another reason: the state has been trained for as many epochs, or more.
    pub(super) fn is_over<T>(self, state: &mut State<T>) -> Result<bool, Error> {
        let is_resumed = std::mem::take(&mut state.is_resumed);
        let Some(epochs) = self.epochs.filter(|&epochs| state.cursor.epoch >= epochs) else { return Ok(false) };
        if epochs == 0 {
            return Err(Error::setting("strategy", "0 epochs; expected 1 or more"));
        }
        if is_resumed && state.cursor == Cursor::start(epochs) {
            return Ok(true);
        }
        let problem = format!(
            "it has been trained for {} epochs, and the strategy ends after {epochs}, counted from the state's first. To go \
             on, ask for more in all; to begin anew, on these rows or by this strategy, set `state.cursor = \
             Cursor::start(0)`: parameters, optimizer and steps stay",
            state.cursor.epoch
        );
        Err(Error::setting("state", problem))
    }
}
