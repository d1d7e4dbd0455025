//! Rows of files for which a condition is true.

use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Error, MemoryPlan, Predicate, RowTest, Schema, Source};

use crate::{DamageReport, ParquetSource, ParquetSourceBuilder, PassedOver};

/// Rows of which the condition is looked at together, at most.
const PIECE: usize = 1024;

/// The share of the budget for rows that are looked at and not given: one part in so many.
const SHARE: u64 = 8;

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
    /// An eighth of the budget is for rows that are looked at, and a quarter of the rest for the columns of the condition,
    /// which are read apart, as `f64`. A row group that is [broken](ParquetSourceBuilder::on_damage) in any column, of
    /// the condition or chosen, is skipped as a whole.
    ///
    /// # Errors
    ///
    /// As [`ParquetSourceBuilder::build`]; and when the condition reads a column that is missing or of a type that cannot
    /// serve, or compares numbers with texts.
    pub fn build<T: Scalar>(self) -> Result<FilteredSource<T>, Error> {
        let Self { rows, condition } = self;
        let budget = rows.budget;
        let shares = Shares::of(budget);
        let tested = rows.clone().with_columns(condition.columns()).budget(shares.tested);
        let mut both = tested.plan::<f64>(Some(&condition), None).map_err(|error| shares.in_all(error))?;
        let rows = rows.budget(shares.rows);
        let chosen = rows.plan::<T>(Some(&condition), Some(&both));
        let mut chosen = chosen.map_err(|error| shares.in_all(error))?;
        both.join(&mut chosen);
        let (rows, tested) = (rows.source::<T>(chosen), tested.source::<f64>(both));
        let test = condition.bind(tested.schema())?;
        Ok(FilteredSource::new(rows, tested, test, shares))
    }
}

/// How a budget is shared.
#[derive(Clone, Copy)]
struct Shares {
    budget: u64,
    tested: u64,
    rows: u64,
    pieces: u64,
}

impl Shares {
    fn of(budget: u64) -> Self {
        let pieces = budget / SHARE;
        let tested = (budget - pieces) / 4;
        Self { budget, tested, rows: budget - pieces - tested, pieces }
    }

    /// A share that is too small, told as the whole of which it would be enough.
    fn in_all(&self, error: Error) -> Error {
        let Error::Budget { what, needed, budget: share, .. } = error else { return error };
        let times = if share == self.tested { 4.0 } else { 4.0 / 3.0 } * SHARE as f64 / (SHARE - 1) as f64;
        // Shares are rounded, so some bytes more.
        let needed = ((needed as f64 * times).ceil() as u64).saturating_add(16);
        let advice = format!("set a budget of {needed} bytes, choose fewer columns, or leave the condition out");
        Error::Budget { what, needed, budget: self.budget, advice }
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
    shares: Shares,
}

/// The chosen columns have the rows that the condition was looked at for.
fn all_there(rows: u64, wanted: usize) -> Result<(), Error> {
    if rows == wanted as u64 {
        return Ok(());
    }
    let problem = format!("{wanted} rows follow by the columns of the condition, {rows} by the chosen ones");
    Err(Error::invalid("filter", problem))
}

impl<T: Scalar> FilteredSource<T> {
    fn new(rows: ParquetSource<T>, tested: ParquetSource<f64>, test: RowTest, shares: Shares) -> Self {
        let (piece, span) = (Batch::new(Arc::clone(tested.schema())), Batch::new(Arc::clone(rows.schema())));
        let (matching, wanted) = (Vec::new(), Vec::new());
        Self { rows, tested, test, piece, matching, next: 0, place: 0, span, wanted, read: 0, taken: 0, shares }
    }

    /// What was [skipped](ParquetSourceBuilder::on_damage) because it is broken, in a column of the condition or a
    /// chosen one.
    pub fn damage(&self) -> &DamageReport {
        self.rows.damage()
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
            self.pass(rest)?;
            self.begin_piece();
            let (rows, bytes) = (self.piece_rows(), self.text_bytes());
            let n = self.tested.fill_within(&mut self.piece, rows, bytes)?;
            self.test.select(&self.piece, &mut self.matching);
            self.read += n as u64;
            self.taken += self.matching.len() as u64;
            if n == 0 {
                break;
            }
        }
        Ok(self.matching.len() - self.next)
    }

    /// Bytes of a row in a piece of both sources, in buffers that grow, and in the lists of its rows.
    fn row_bytes(&self) -> usize {
        let row = self.tested.schema().row_bytes(size_of::<f64>()) + self.rows.schema().row_bytes(size_of::<T>());
        2 * (row + 2 * size_of::<usize>())
    }

    fn piece_rows(&self) -> usize {
        // A quarter is for texts.
        let pieces = self.shares.pieces - self.shares.pieces / 4;
        ((pieces / self.row_bytes() as u64) as usize).clamp(1, PIECE)
    }

    /// Bytes that the texts of a piece may take, in one of two buffers that grow.
    fn text_bytes(&self) -> u64 {
        self.shares.pieces / 16
    }

    fn own_bytes(&self) -> u64 {
        (self.piece_rows() * self.row_bytes()) as u64 + self.shares.pieces / 4
    }

    /// Passes over rows of the chosen columns.
    fn pass(&mut self, rows: usize) -> Result<(), Error> {
        let passed = self.rows.skip(rows as u64)?;
        all_there(passed, rows)
    }

    fn begin_piece(&mut self) {
        self.piece.clear();
        self.matching.clear();
        (self.next, self.place) = (0, 0);
    }

    /// Goes to the next row that matches, and says how many rows there are from it to the `n`th that does.
    fn reach(&mut self, n: usize) -> Result<usize, Error> {
        let (first, last) = (self.matching[self.next], self.matching[self.next + n - 1]);
        self.pass(first - self.place)?;
        self.place = first;
        Ok(last + 1 - first)
    }

    /// Leaves `rows` behind, of the chosen columns by now, and says how many of them matched: `wanted` has their
    /// distances from the first.
    fn leave(&mut self, rows: usize) -> usize {
        let (first, end) = (self.place, self.place + rows);
        let matching = self.matching[self.next..].iter().take_while(|&&place| place < end);
        self.wanted.clear();
        self.wanted.extend(matching.map(|place| place - first));
        self.next += self.wanted.len();
        self.place = end;
        self.wanted.len()
    }

    fn append(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut given = 0;
        while given < rows {
            let n = self.left()?.min(rows - given);
            if n == 0 {
                break;
            }
            let span = self.reach(n)?;
            if span == n {
                let filled = self.rows.fill(batch, n)?;
                all_there(filled as u64, n)?;
                given += self.leave(filled);
            } else {
                self.span.clear();
                let bytes = self.text_bytes();
                let filled = self.rows.fill_within(&mut self.span, span, bytes)?;
                all_there(filled as u64, filled.max(1))?;
                given += self.leave(filled);
                batch.gather(&self.span, &self.wanted);
            }
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
        plan.with("filter", format!("{} rows at a time", self.piece_rows()), self.own_bytes())
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let shares = Shares::of(bytes);
        Source::<f64>::limit(&mut self.tested, shares.tested).map_err(|error| shares.in_all(error))?;
        Source::<T>::limit(&mut self.rows, shares.rows).map_err(|error| shares.in_all(error))?;
        if bytes < self.shares.budget {
            self.shares = shares;
            // Buffers of larger pieces are freed; the condition of rows that are left is looked at again.
            self.piece = Batch::new(Arc::clone(self.tested.schema()));
            self.span = Batch::new(Arc::clone(self.rows.schema()));
            let here = Source::<T>::cursor(&self.rows);
            Source::<f64>::seek(&mut self.tested, here)?;
            self.begin_piece();
        }
        Ok(())
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let mut passed = 0;
        while passed < rows {
            let n = (self.left()? as u64).min(rows - passed);
            if n == 0 {
                break;
            }
            let span = self.reach(n as usize)?;
            self.pass(span)?;
            passed += self.leave(span) as u64;
        }
        Ok(passed)
    }
}

/// A second reader of the same files, at the same position.
impl<T: Scalar> Clone for FilteredSource<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.rows.clone(), self.tested.clone(), self.test.clone(), self.shares);
        // The condition of rows that are left of the piece is looked at again.
        let behind = Source::<T>::cursor(&self.rows);
        Source::<f64>::seek(&mut copy.tested, behind).expect("a position that it was at");
        copy
    }
}
