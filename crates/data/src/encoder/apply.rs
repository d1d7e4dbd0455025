use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::Scalar;

use super::indices::IndexWriter;
use super::reals::{Block, RealWriter};
use super::screen::{Policy, Screen, Screened};
use super::{Encoder, FittedColumn, Slot, fit};
use crate::adaptors::{limit_below, unwrap, wrap};
use crate::{Batch, Column, Cursor, Error, Interrupt, MemoryPlan, Role, Schema, Source};

/// Most raw rows that are encoded at once: what is written in strides stays in the cache.
const PIECE: usize = 4096;

/// Raw rows, encoded; made by [`encode`](crate::SourceExt::encode).
///
/// Batches are full although rows may be dropped: the raw source is asked again for as many as are lacking. It is never
/// read further than that, so nothing is held between calls.
#[derive(Clone, Debug)]
pub struct Encode<S, T> {
    inner: S,
    schema: Arc<Schema>,
    raw: Batch<f64>,
    screen: Screen,
    writers: Vec<(Slot, Writer)>,
    scalar: std::marker::PhantomData<T>,
}

#[derive(Clone, Debug)]
enum Writer {
    Reals(RealWriter),
    Indices(IndexWriter),
}

impl<S: Source<f64>, T: Scalar> Encode<S, T> {
    pub(crate) fn new(inner: S, encoder: &Encoder) -> Result<Self, Error> {
        let raw = Arc::clone(inner.schema());
        let (schema, slots) = encoder.outputs();
        let (mut screened, mut writers) = (Vec::new(), Vec::new());
        for ((role, column), slot) in encoder.columns().zip(slots) {
            let place = fit::find(&raw, &column.source)?;
            column.check_raw(&raw.fields[place])?;
            screened.push(Screened::new(&column.source, place, column.policy()));
            writers.push((slot, Writer::new(role, column)?));
        }
        Ok(Self {
            inner,
            schema: Arc::new(schema),
            raw: Batch::new(raw),
            screen: Screen::new(screened),
            writers,
            scalar: std::marker::PhantomData,
        })
    }

    /// Rows that were dropped for a missing value, since this source was made.
    pub fn dropped(&self) -> u64 {
        self.screen.columns().iter().map(|column| column.dropped).sum()
    }

    /// Rows that were dropped on account of each raw column, since this source was made; where several columns would
    /// have dropped a row, the first declared.
    pub fn dropped_by_column(&self) -> impl Iterator<Item = (&str, u64)> {
        self.screen.columns().iter().map(|column| (column.name.as_str(), column.dropped))
    }

    /// Bytes of the raw rows that are encoded at once, and of the list of those that are kept.
    fn own_bytes(&self) -> u64 {
        (PIECE * (self.inner.schema().row_bytes(size_of::<f64>()) + size_of::<usize>())) as u64
    }

    fn append(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < rows {
            let wanted = (rows - taken).min(PIECE);
            let n = self.read(wanted)?;
            let kept = self.screen.kept();
            batch.append(kept, |columns| self.write(columns))?;
            taken += kept;
            // Fewer rows than asked for came late, or are the last: whoever has some need not wait for more.
            if n == 0 || n < wanted && taken > 0 {
                break;
            }
        }
        Ok(taken)
    }

    /// Reads raw rows, at most `wanted`, and says how many there were.
    fn read(&mut self, wanted: usize) -> Result<usize, Error> {
        self.raw.clear();
        self.raw.make_room(wanted);
        let n = self.inner.fill(&mut self.raw, wanted)?;
        self.screen.read(&self.raw)?;
        Ok(n)
    }

    fn write(&self, columns: &mut [Column<T>]) -> Result<(), Error> {
        let kept = self.screen.kept();
        for column in &mut *columns {
            if let Column::Real { width, values, .. } = column {
                values.resize(values.len() + kept * *width, T::zero());
            }
        }
        for (column, (slot, writer)) in self.writers.iter().enumerate() {
            let rows = self.screen.rows(column);
            let raw = &self.raw.columns()[self.screen.columns()[column].place];
            match (writer, &mut columns[slot.column]) {
                (Writer::Reals(writer), Column::Real { width, values, .. }) => {
                    let start = values.len() - kept * *width;
                    let block = Block { values: &mut values[start..], width: *width, at: slot.offset };
                    writer.write(raw, &rows, block)?;
                }
                (Writer::Indices(writer), Column::Index { values }) => writer.write(raw, &rows, values)?,
                _ => return Err(Error::invalid("batch", "it is not of this source's schema")),
            }
        }
        Ok(())
    }
}

impl Writer {
    fn new(role: Role, column: &FittedColumn) -> Result<Self, Error> {
        let reals = RealWriter::new(role, column).map(Self::Reals);
        reals.or_else(|| IndexWriter::new(column).map(Self::Indices)).ok_or_else(|| {
            Error::invalid(format!("column {}", column.source), "its encoding makes neither numbers nor an index")
        })
    }
}

impl<S: Source<f64>, T: Scalar> Source<T> for Encode<S, T> {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        self.append(batch, rows).inspect_err(|_| batch.clear())
    }

    fn cursor(&self) -> Cursor {
        wrap(self.inner.cursor(), self.screen.passed())
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (row, below) = unwrap(cursor);
        self.inner.seek(below)?;
        self.screen.seek(row);
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        let drops = self.screen.columns().iter().any(|column| column.policy == Policy::Drop);
        if drops { None } else { self.inner.rows() }
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let mut passed = 0;
        while passed < rows {
            let wanted = (rows - passed).min(PIECE as u64) as usize;
            let n = match self.read(wanted) {
                Err(Error::Interrupted) if passed > 0 => break,
                other => other?,
            };
            passed += self.screen.kept() as u64;
            if n == 0 {
                break;
            }
        }
        Ok(passed)
    }

    fn memory_plan(&self) -> MemoryPlan {
        self.inner.memory_plan().with("encode", format!("{PIECE} raw rows at a time"), self.own_bytes())
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let own = self.own_bytes();
        limit_below(&mut self.inner, own, bytes)
    }

    fn watch(&mut self, interrupt: &Interrupt) {
        self.inner.watch(interrupt);
    }

    fn blocked(&self) -> Duration {
        self.inner.blocked()
    }
}
