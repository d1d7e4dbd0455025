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
}
