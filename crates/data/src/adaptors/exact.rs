use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tidemill_tensor::{Key, Scalar};

use super::{limit_below, unwrap, wrap};
use crate::{Batch, Cursor, Error, Interrupt, Kind, MemoryPlan, Permutation, Schema, Source};

/// Most rows of the inner source that are read, or of a window that are given, at once.
const PIECE: usize = 1024;

/// Scans an epoch that are thought worth their time.
const MOST_SCANS: u64 = 256;

/// Bytes that a row of a window takes beside itself: which row it is, and where it lies.
const INDEX_BYTES: u64 = 8 + 4;

/// Bytes that a text is thought to have, until some turn out longer.
const TEXT_BYTES: u64 = 16;

/// Another source's rows in an order drawn from all that there are; made by
/// [`shuffle_exactly`](crate::SourceExt::shuffle_exactly).
///
/// Rows are given out of windows that are held in memory. For each window, the inner source is read once in its own order,
/// and the rows that the permutation of all rows puts there are kept. How large windows are, and where they begin, changes
/// how often the source is read, but no row's place.
#[derive(Clone, Debug)]
pub struct ExactShuffle<S, T> {
    inner: S,
    seed: u64,
    epoch: u64,
    order: Permutation,
    /// The next row's place in the epoch.
    position: u64,
    budget: u64,
    /// Bytes that texts may have in each column, a row in the mean.
    text_bytes: u64,
    /// Rows of a window.
    size: u64,
    window: Window<T>,
    piece: Batch<T>,
    chosen: Vec<usize>,
}

/// The rows that are held, in the inner source's order.
#[derive(Clone, Debug)]
struct Window<T> {
    rows: Batch<T>,
    /// The place of its first row in the epoch.
    start: u64,
    /// The rows' numbers in the inner source.
    numbers: Vec<u64>,
    /// Where the row of each place lies.
    slots: Vec<u32>,
}

impl<T> Window<T> {
    fn places(&self) -> Range<u64> {
        self.start..self.start + self.slots.len() as u64
    }
}

/// Whether there was room for the texts.
enum Texts {
    Fit,
    TooLong,
}

impl<T: Scalar, S: Source<T>> ExactShuffle<S, T> {
    pub(super) fn new(inner: S, seed: u64, budget: u64) -> Result<Self, Error> {
        let Some(rows) = inner.rows() else {
            let problem = "the source does not know how many rows it has, as one that drops rows does not; shuffle before \
                           rows are dropped, or within a window";
            return Err(Error::invalid("shuffle exactly", problem));
        };
        let empty = || Batch::new(Arc::clone(inner.schema()));
        let window = Window { rows: empty(), start: 0, numbers: Vec::new(), slots: Vec::new() };
        let (order, piece) = (Permutation::new(rows, Key::new(seed)), empty());
        let mut shuffle = Self {
            inner,
            seed,
            epoch: 0,
            order,
            position: 0,
            budget,
            text_bytes: TEXT_BYTES,
            size: 0,
            window,
            piece,
            chosen: Vec::new(),
        };
        shuffle.size = shuffle.fitting()?;
        shuffle.enter(shuffle.inner.cursor().epoch);
        Ok(shuffle)
    }

    /// Rows that are held at a time, at most.
    pub fn window(&self) -> u64 {
        self.size
    }

    /// How many times the inner source is read in an epoch.
    pub fn scans(&self) -> u64 {
        self.order.len().div_ceil(self.size.max(1))
    }

    /// The most rows of a window that the budget has room for.
    fn fitting(&self) -> Result<u64, Error> {
        let (rows, per_row) = (self.order.len(), self.row_bytes() + INDEX_BYTES);
        let fixed = self.piece_bytes();
        let size = (self.budget.saturating_sub(fixed) / per_row).min(rows).min(u64::from(u32::MAX));
        let least = rows.min(rows.div_ceil(MOST_SCANS).max(PIECE as u64));
        if size >= least {
            return Ok(size);
        }
        let needed = fixed.saturating_add(least.saturating_mul(per_row));
        Err(Error::Budget {
            what: format!("shuffling {rows} rows exactly, in {} scans of them", rows.div_ceil(least.max(1))),
            needed,
            budget: self.budget,
            advice: format!("allow it {needed} bytes, or shuffle blocks and windows"),
        })
    }

    /// Bytes of the rows that are read at once, and of the list of those that are chosen.
    fn piece_bytes(&self) -> u64 {
        self.order.len().min(PIECE as u64) * (self.row_bytes() + size_of::<usize>() as u64)
    }

    fn own_bytes(&self) -> u64 {
        self.piece_bytes().saturating_add(self.size.saturating_mul(self.row_bytes() + INDEX_BYTES))
    }

    /// Bytes of a row in a batch.
    fn row_bytes(&self) -> u64 {
        let schema = self.inner.schema();
        let texts = schema.fields.iter().filter(|field| field.kind == Kind::Text).count() as u64;
        schema.row_bytes(size_of::<T>()) as u64 + texts * (self.text_bytes + 8 - Schema::TEXT_BYTES as u64)
    }

    fn enter(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.order = Permutation::new(self.order.len(), Key::new(self.seed).fold(epoch));
        self.forget();
    }

    fn forget(&mut self) {
        self.window.rows.clear();
        self.window.slots.clear();
    }

    /// Holds the rows from the position on.
    fn read_window(&mut self) -> Result<(), Error> {
        self.forget();
        while let Texts::TooLong = self.gather()? {
            self.text_bytes *= 2;
            self.size = self.fitting()?;
        }
        let Window { start, numbers, slots, .. } = &mut self.window;
        slots.resize(numbers.len(), 0);
        for (slot, &number) in numbers.iter().enumerate() {
            slots[(self.order.place_of(number) - *start) as usize] = slot as u32;
        }
        Ok(())
    }

    /// Reads the inner source, and keeps the rows of the window.
    fn gather(&mut self) -> Result<Texts, Error> {
        self.make_room();
        self.inner.seek(Cursor::start(self.epoch))?;
        let Window { rows, numbers, .. } = &mut self.window;
        let end = numbers.last().map_or(0, |last| last + 1);
        let (mut row, mut kept) = (0, 0);
        while kept < numbers.len() {
            let gap = numbers[kept] - row;
            // What is near is read along.
            if gap >= PIECE as u64 {
                row += self.inner.skip(gap)?;
            }
            self.piece.clear();
            let n = self.inner.fill(&mut self.piece, (end - row).min(PIECE as u64) as usize)? as u64;
            if n == 0 {
                let problem = format!("it ended after {row} rows, {} were announced", self.order.len());
                return Err(Error::invalid("the source that is shuffled exactly", problem));
            }
            self.chosen.clear();
            let here = numbers[kept..].iter().take_while(|&&number| number < row + n);
            self.chosen.extend(here.map(|number| (number - row) as usize));
            if !has_room(rows, &self.piece, &self.chosen) {
                return Ok(Texts::TooLong);
            }
            rows.gather(&self.piece, &self.chosen);
            kept += self.chosen.len();
            row += n;
        }
        Ok(Texts::Fit)
    }

    /// Lists the rows of the window that begins at the position, and makes room for them.
    fn make_room(&mut self) {
        let places = self.position..self.order.len().min(self.position + self.size);
        let Window { rows, start, numbers, slots } = &mut self.window;
        let n = (places.end - places.start) as usize;
        *start = places.start;
        rows.clear();
        self.piece.make_room(self.order.len().min(PIECE as u64) as usize);
        self.chosen.reserve_exact(PIECE.saturating_sub(self.chosen.len()));
        numbers.clear();
        numbers.reserve_exact(n);
        slots.reserve_exact(n);
        numbers.extend(places.map(|place| self.order.at(place)));
        numbers.sort_unstable();
        for column in 0..rows.columns().len() {
            rows.reserve_exact(column, n, n * self.text_bytes as usize, self.piece.columns()[column].keeps_digits());
        }
    }
}

/// Whether the chosen texts of a piece have room behind those of the rows.
fn has_room<T: Scalar>(rows: &Batch<T>, piece: &Batch<T>, chosen: &[usize]) -> bool {
    rows.columns().iter().zip(piece.columns()).all(|(to, from)| {
        let room = to.text_room();
        room == usize::MAX || chosen.iter().map(|&row| from.text_row(row).len()).sum::<usize>() <= room
    })
}

impl<T: Scalar, S: Source<T>> Source<T> for ExactShuffle<S, T> {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < rows && self.position < self.order.len() {
            if !self.window.places().contains(&self.position) {
                let read = self.read_window();
                read.inspect_err(|_| {
                    self.forget();
                    batch.clear();
                })?;
            }
            let next = (self.position - self.window.start) as usize..self.window.slots.len();
            let next = next.start..next.end.min(next.start + (rows - taken).min(PIECE));
            self.chosen.clear();
            self.chosen.extend(self.window.slots[next].iter().map(|&slot| slot as usize));
            batch.gather(&self.window.rows, &self.chosen);
            taken += self.chosen.len();
            self.position += self.chosen.len() as u64;
        }
        Ok(taken)
    }

    fn cursor(&self) -> Cursor {
        wrap(Cursor::start(self.epoch), self.position)
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (position, below) = unwrap(cursor);
        if !below.is_start() {
            return Err(Error::seek(cursor, "it belongs to another source; an exact shuffle has one integer"));
        }
        if position > self.order.len() {
            return Err(Error::seek(cursor, format!("there are {} rows", self.order.len())));
        }
        if cursor.epoch != self.epoch {
            self.enter(cursor.epoch);
        }
        self.position = position;
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        Some(self.order.len())
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let passed = rows.min(self.order.len() - self.position);
        self.position += passed;
        Ok(passed)
    }

    fn memory_plan(&self) -> MemoryPlan {
        let window = format!("window of {} rows, {} scans an epoch", self.size, self.scans());
        self.inner.memory_plan().with("exact shuffle", window, self.own_bytes())
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
