use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidemill_data::{Batch, Cursor, Error, MemorySource, Schema, Source, SourceExt};

use crate::check::{check_source, epoch, read};
use crate::memory::mixed;

#[test]
fn any_cursor_is_exact() {
    for n in [0, 1, 7, 24, 37] {
        check_source(|| mixed(n).prefetch(1, 1).unwrap());
        check_source(|| mixed(n).prefetch(3, 8).unwrap());
        check_source(|| mixed(n).shuffled(4).prefetch(2, 100).unwrap());
        check_source(|| mixed(n).shuffle(6, 1).unwrap().prefetch(2, 5).unwrap().take(20));
    }
}

#[test]
fn the_rows_are_those_of_the_source() {
    for (batches, rows) in [(1, 1), (2, 7), (5, 64), (1, 1000)] {
        let mut source = mixed(500).shuffled(9).prefetch(batches, rows).unwrap();
        assert_eq!(source.rows(), Some(500));
        for e in [0, 1, 0] {
            assert_eq!(epoch(&mut source, e), epoch(&mut mixed(500).shuffled(9), e));
        }
    }
}

#[test]
fn whole_batches_are_swapped() {
    let mut source = mixed(40).prefetch(2, 8).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let mut buffers = std::collections::BTreeSet::new();
    for _ in 0..5 {
        batch.clear();
        assert_eq!(source.fill(&mut batch, 8).unwrap(), 8);
        buffers.insert(batch.reals(0).as_ptr() as usize);
    }
    assert!(buffers.len() > 1, "the batch kept its buffer");
}

/// A source that does as told at row 16, and tells when it is dropped.
struct Trap {
    inner: MemorySource<f64>,
    row: u64,
    act: fn() -> Result<(), Error>,
    dropped: Arc<AtomicBool>,
    fills: Arc<AtomicUsize>,
}

impl Trap {
    fn new(act: fn() -> Result<(), Error>) -> Self {
        Self { inner: mixed(40), row: 0, act, dropped: Arc::default(), fills: Arc::default() }
    }
}

impl Source<f64> for Trap {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<f64>, rows: usize) -> Result<usize, Error> {
        self.fills.fetch_add(1, Ordering::SeqCst);
        if self.row == 16 {
            (self.act)()?;
        }
        let n = self.inner.fill(batch, rows)?;
        self.row += n as u64;
        Ok(n)
    }

    fn cursor(&self) -> Cursor {
        self.inner.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        self.inner.seek(cursor)?;
        self.row = cursor.pop().map_or(0, |(row, _)| row);
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        self.inner.rows()
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

#[test]
fn an_error_comes_where_the_source_gave_it() {
    let mut source = Trap::new(|| Err(Error::invalid("row 16", "is bad"))).prefetch(4, 8).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    for _ in 0..2 {
        for _ in 0..2 {
            batch.clear();
            assert_eq!(source.fill(&mut batch, 8).unwrap(), 8);
        }
        assert_eq!(source.fill(&mut batch, 8).unwrap_err().to_string(), "row 16: is bad");
        assert_eq!(batch.rows(), 0);
        source.seek(Cursor::start(0)).unwrap();
    }
    source.seek(Cursor::start(0).push(24).push(0)).unwrap();
    assert_eq!(read(&mut source, 8).0.len(), 16);
}

#[test]
fn a_seek_that_fails_is_reported_and_the_next_works() {
    let mut source = mixed(20).prefetch(3, 4).unwrap();
    for _ in 0..3 {
        assert!(matches!(source.seek(Cursor::start(0).push(21).push(0)), Err(Error::Seek { .. })));
        assert_eq!(epoch(&mut source, 0), epoch(&mut mixed(20), 0));
    }
}

#[test]
fn a_panic_of_the_thread_is_an_error() {
    let mut source = Trap::new(|| panic!("broken at row {}", 16)).prefetch(4, 8).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    for _ in 0..2 {
        batch.clear();
        assert_eq!(source.fill(&mut batch, 8).unwrap(), 8);
    }
    for _ in 0..2 {
        let error = source.fill(&mut batch, 8).unwrap_err();
        assert_eq!(error.to_string(), "prefetch: the thread that reads ahead panicked: broken at row 16");
    }
    assert!(source.seek(Cursor::start(0)).is_err());
}

#[test]
fn dropping_ends_the_thread_and_the_source() {
    let trap = Trap::new(|| Ok(()));
    let (dropped, fills) = (Arc::clone(&trap.dropped), Arc::clone(&trap.fills));
    let source = trap.prefetch(3, 2).unwrap();
    drop(source);
    assert!(dropped.load(Ordering::SeqCst));
    assert!(fills.load(Ordering::SeqCst) <= 3, "it read further than asked");
}
