//! Rows of files for which a condition is true.

use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Error, MemoryPlan, Predicate, RowTest, Schema, Source};

use crate::{ParquetSource, ParquetSourceBuilder, PassedOver};

/// Rows of which the condition is looked at together.
const PIECE: usize = 1024;

/// A source of rows for which a condition is true, as described so far; from
/// [`filter`](ParquetSourceBuilder::filter).
#[derive(Clone, Debug)]
#[must_use = "nothing is read before build()"]
pub struct FilteredSourceBuilder {
    rows: ParquetSourceBuilder,
    condition: Predicate,
}

impl FilteredSourceBuilder {
    pub(crate) fn new(rows: ParquetSourceBuilder, condition: Predicate) -> Self {
        Self { rows, condition }
    }

    /// Looks at the footers of all files.
    ///
    /// A quarter of the budget is for the columns of the condition, which are read apart, as `f64`.
    ///
    /// # Errors
    ///
    /// As [`ParquetSourceBuilder::build`]; and when the condition reads a column that is missing or of a type that cannot
    /// serve, or compares numbers with texts.
    pub fn build<T: Scalar>(self) -> Result<FilteredSource<T>, Error> {
        let Self { rows, condition } = self;
        let budget = rows.budget;
        let tested = rows.clone().with_columns(condition.columns()).budget(budget / 4);
        let tested = tested.build_for(Some(&condition)).map_err(|error| in_all(error, budget, 4.0))?;
        let rows = rows.budget(budget - budget / 4).build_for(Some(&condition));
        let rows = rows.map_err(|error| in_all(error, budget, 4.0 / 3.0))?;
        let test = condition.bind(tested.schema())?;
        Ok(FilteredSource::new(rows, tested, test))
    }
}

/// A budget that is too small, told of the whole of which a share was needed.
fn in_all(error: Error, budget: u64, times: f64) -> Error {
    match error {
        Error::Budget { what, needed, .. } => {
            // Shares are rounded, so a few bytes more.
            let needed = (needed as f64 * times).ceil() as u64 + 4;
            let advice = format!("allow it {needed} bytes, choose fewer columns, or leave the condition out");
            Error::Budget { what, needed, budget, advice }
        }
        other => other,
    }
}

/// The rows of Parquet files for which a condition is true, in their order.
///
/// A [`Cursor`] is that of a [`ParquetSource`] over the same files, and exact after every row.
pub struct FilteredSource<T = f32> {
    rows: ParquetSource<T>,
    /// The columns of the condition, of the same rows.
    tested: ParquetSource<f64>,
    test: RowTest,
    piece: Batch<f64>,
    /// The places in the piece of the rows that match; the next of them, and the place that `rows` stands at.
    matching: Vec<usize>,
    next: usize,
    place: usize,
    span: Batch<T>,
    wanted: Vec<usize>,
    read: u64,
    taken: u64,
}

impl<T: Scalar> FilteredSource<T> {
    fn new(rows: ParquetSource<T>, tested: ParquetSource<f64>, test: RowTest) -> Self {
        let (piece, span) = (Batch::new(Arc::clone(tested.schema())), Batch::new(Arc::clone(rows.schema())));
        let (matching, wanted) = (Vec::new(), Vec::new());
        Self { rows, tested, test, piece, matching, next: 0, place: 0, span, wanted, read: 0, taken: 0 }
    }

    /// The columns that it fills.
    pub fn schema(&self) -> &Arc<Schema> {
        self.rows.schema()
    }

    /// Row groups that are not read, and their rows, because their statistics say that no row matches.
    pub fn passed_over(&self) -> PassedOver {
        self.rows.passed_over()
    }

    /// Rows of the other row groups; as many match at most.
    pub fn rows_to_look_at(&self) -> u64 {
        self.rows.rows()
    }

    /// Rows whose condition was looked at since this source was made, and how many of them it was true for.
    pub fn rows_looked_at(&self) -> (u64, u64) {
        (self.read, self.taken)
    }

    /// Rows that match and were not given yet, after looking at pieces until there are some; none at the end.
    fn left(&mut self) -> Result<usize, Error> {
        while self.next == self.matching.len() {
            let rest = self.piece.rows() - self.place;
            self.rows.skip(rest as u64)?;
            self.begin_piece();
            let n = self.tested.fill(&mut self.piece, PIECE)?;
            self.test.select(&self.piece, &mut self.matching);
            self.read += n as u64;
            self.taken += self.matching.len() as u64;
            if n == 0 {
                break;
            }
        }
        Ok(self.matching.len() - self.next)
    }

    /// Bytes of a piece of both sources, in buffers that grow, and of the lists of its rows.
    fn own_bytes(&self) -> u64 {
        let row = self.tested.schema().row_bytes(size_of::<f64>()) + self.rows.schema().row_bytes(size_of::<T>());
        (2 * PIECE * (row + 2 * size_of::<usize>())) as u64
    }

    fn begin_piece(&mut self) {
        self.piece.clear();
        self.matching.clear();
        (self.next, self.place) = (0, 0);
    }

    /// Goes to the next row that matches, then behind the `n`th of them, which are left in `wanted` by their distance.
    fn advance(&mut self, n: usize) -> Result<usize, Error> {
        let matching = &self.matching[self.next..self.next + n];
        let (first, last) = (matching[0], matching[n - 1]);
        self.rows.skip((first - self.place) as u64)?;
        self.wanted.clear();
        self.wanted.extend(matching.iter().map(|place| place - first));
        self.next += n;
        self.place = last + 1;
        Ok(last + 1 - first)
    }

    fn append(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut given = 0;
        while given < rows {
            let n = self.left()?.min(rows - given);
            if n == 0 {
                break;
            }
            let span = self.advance(n)?;
            if span == n {
                self.rows.fill(batch, n)?;
            } else {
                self.span.clear();
                self.rows.fill(&mut self.span, span)?;
                batch.gather(&self.span, &self.wanted);
            }
            given += n;
        }
        Ok(given)
    }
}

impl<T: Scalar> Source<T> for FilteredSource<T> {
    fn schema(&self) -> &Arc<Schema> {
        self.rows.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        self.append(batch, rows).inspect_err(|_| batch.clear())
    }

    fn cursor(&self) -> Cursor {
        Source::<T>::cursor(&self.rows)
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        Source::<T>::seek(&mut self.rows, cursor)?;
        Source::<f64>::seek(&mut self.tested, cursor)?;
        self.begin_piece();
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn memory_plan(&self) -> MemoryPlan {
        let stages = [Source::<T>::memory_plan(&self.rows), Source::<f64>::memory_plan(&self.tested)];
        let plan = stages.iter().flat_map(MemoryPlan::stages).fold(MemoryPlan::default(), |plan, stage| {
            plan.with(stage.name.as_str(), stage.detail.as_str(), stage.bytes)
        });
        plan.with("filter", format!("{PIECE} rows at a time"), self.own_bytes())
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let own = self.own_bytes();
        let below = bytes.saturating_sub(own);
        let more = |error| match error {
            Error::Budget { what, needed, advice, .. } => {
                Error::Budget { what, needed: needed.saturating_add(own), budget: bytes, advice }
            }
            other => other,
        };
        Source::<f64>::limit(&mut self.tested, below / 4).map_err(|error| more(in_all(error, below, 4.0)))?;
        let rows = Source::<T>::limit(&mut self.rows, below - below / 4);
        rows.map_err(|error| more(in_all(error, below, 4.0 / 3.0)))
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let mut passed = 0;
        while passed < rows {
            let n = (self.left()? as u64).min(rows - passed);
            if n == 0 {
                break;
            }
            let span = self.advance(n as usize)?;
            self.rows.skip(span as u64)?;
            passed += n;
        }
        Ok(passed)
    }
}

/// A second reader of the same files, at the same position.
impl<T: Scalar> Clone for FilteredSource<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.rows.clone(), self.tested.clone(), self.test.clone());
        // The condition of rows that are left of the piece is looked at again.
        let behind = Source::<T>::cursor(&self.rows);
        Source::<f64>::seek(&mut copy.tested, behind).expect("a position that it was at");
        copy
    }
}
