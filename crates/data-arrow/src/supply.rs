use std::sync::Arc;

use arrow_array::RecordBatch;
use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Error, Schema, Supplied, Supply, Waiting};

use crate::Layout;
use crate::unfold::rows_within;

/// Most rows that are converted at once.
const PIECE: usize = 4096;

/// What reads record batches, one behind the other.
pub(crate) trait Decode: Send {
    /// The next record batch that has rows, the file or stream that it is of, and its first row there.
    fn next(&mut self, waiting: &mut Waiting<'_>) -> Result<Next, Error>;

    /// As [`Supply::go`].
    fn go(&mut self, row: u64) -> Result<Option<u64>, Error>;
}

pub(crate) enum Next {
    Records {
        records: RecordBatch,
        name: String,
        /// Which of the files it is of.
        part: usize,
        first: u64,
    },
    Late,
    End,
}

/// Record batches as the rows of a [`Stream`](tidemill_data::Stream).
pub struct ArrowSupply {
    decode: Box<dyn Decode>,
    layout: Layout,
    schema: Arc<Schema>,
    /// Bytes that dictionaries may unfold to at once.
    most: usize,
    current: Option<Current>,
    /// What was wrong, which is told again.
    failed: Option<String>,
}

struct Current {
    records: RecordBatch,
    name: String,
    first: u64,
    given: usize,
}

impl ArrowSupply {
    pub(crate) fn new(decode: Box<dyn Decode>, layout: Layout, most: usize) -> Self {
        let schema = Arc::new(layout.schema());
        Self { decode, layout, schema, most, current: None, failed: None }
    }

    fn append<T: Scalar>(
        &mut self,
        rows: &mut Batch<T>,
        wanted: usize,
        waiting: &mut Waiting<'_>,
    ) -> Result<Supplied, Error> {
        if self.current.is_none() {
            match self.decode.next(waiting)? {
                Next::Records { records, name, first, .. } => {
                    self.current = Some(Current { records, name, first, given: 0 });
                }
                Next::Late => return Ok(Supplied::Late),
                Next::End => return Ok(Supplied::End),
            }
        }
        let Some(current) = &mut self.current else { return Ok(Supplied::End) };
        let n = wanted.clamp(1, PIECE).min(current.records.num_rows() - current.given);
        let piece = current.records.slice(current.given, n);
        let n = rows_within(&piece, self.most);
        let piece = self.layout.decode(&current.name, &piece.slice(0, n))?;
        let first = current.first + current.given as u64;
        let appended = self.layout.append_batch(&piece, 0..n, rows);
        appended.map_err(|refused| refused.into_error(&self.layout, &current.name, first))?;
        current.given += n;
        if current.given == current.records.num_rows() {
            self.current = None;
        }
        Ok(Supplied::Rows)
    }
}

impl<T: Scalar> Supply<T> for ArrowSupply {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn more(&mut self, rows: &mut Batch<T>, wanted: usize, waiting: &mut Waiting<'_>) -> Result<Supplied, Error> {
        if let Some(problem) = &self.failed {
            return Err(Error::Other(problem.clone().into()));
        }
        let fed = self.append(rows, wanted, waiting);
        if let Err(error) = &fed
            && !matches!(error, Error::Interrupted)
        {
            self.failed = Some(error.to_string());
        }
        fed
    }

    fn go(&mut self, row: u64) -> Result<Option<u64>, Error> {
        let at = self.decode.go(row)?;
        if at.is_some() {
            (self.current, self.failed) = (None, None);
        }
        Ok(at)
    }
}
