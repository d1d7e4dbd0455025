use std::sync::Arc;

use tidemill_data::{Batch, Cursor, Encoder, Encoding, Error, MemorySource, Missing, Schema, Source, SourceExt};

use crate::check::{check_source, epoch, rows};
use crate::memory::mixed;
use crate::unknown::Unknown;

fn numbers(n: usize) -> MemorySource<f64> {
    MemorySource::builder().reals("row", 1, (0..n).map(|row| row as f64).collect()).build().unwrap()
}

/// Bytes for windows of so many rows of [`numbers`], pieces of 1024 rows included.
fn room(window: u64) -> u64 {
    1024 * (8 + 8) + window * (8 + 12)
}

#[test]
fn any_cursor_is_exact() {
    for n in [0, 1, 2, 7, 24, 37] {
        check_source(|| mixed(n).shuffle_exactly(5, 1 << 20).unwrap());
        check_source(|| mixed(n).skip_rows(3).shuffle_exactly(5, 1 << 20).unwrap().shuffle(4, 1).unwrap());
    }
}

#[test]
fn the_order_is_that_of_memory_whatever_the_window() {
    let n = 3000;
    let shuffled: Vec<_> = (0..3).map(|number| epoch(&mut numbers(n).shuffled(7), number)).collect();
    for (window, scans) in [(1024, 3), (1025, 3), (1500, 2), (2999, 2), (3000, 1), (9000, 1)] {
        let mut source = numbers(n).shuffle_exactly(7, room(window)).unwrap();
        assert_eq!((source.window(), source.scans()), (window.min(3000), scans));
        for number in [0, 2, 1, 0] {
            assert_eq!(epoch(&mut source, number), shuffled[number as usize], "epoch {number}, window of {window}");
        }
        for place in [0, 1, 1023, 1024, 1500, 2998, 2999, 3000] {
            source.seek(Cursor::start(1).push(place)).unwrap();
            assert_eq!(crate::check::read(&mut source, 700).0, shuffled[1][place as usize..], "from {place} on");
        }
    }
    let mut mixed_kinds = mixed(2000).shuffle_exactly(3, 1 << 18).unwrap();
    assert!(mixed_kinds.scans() > 1);
    assert_eq!(epoch(&mut mixed_kinds, 4), epoch(&mut mixed(2000).shuffled(3), 4));
}

/// Counts how often it is read from the start.
struct Counted(MemorySource<f64>, u64);

impl Source<f64> for Counted {
    fn schema(&self) -> &Arc<Schema> {
        self.0.schema()
    }

    fn fill(&mut self, batch: &mut Batch<f64>, rows: usize) -> Result<usize, Error> {
        self.0.fill(batch, rows)
    }

    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        assert!(cursor.is_start());
        self.1 += 1;
        self.0.seek(cursor)
    }

    fn rows(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

#[test]
fn scans_are_as_many_as_announced() {
    for (window, scans) in [(1024, 5), (2048, 3), (5000, 1)] {
        let mut counted = Counted(numbers(5000), 0);
        let mut source = (&mut counted).shuffle_exactly(1, room(window)).unwrap();
        assert_eq!(source.scans(), scans);
        epoch(&mut source, 3);
        assert_eq!(counted.1, scans, "windows of {window} rows");
    }
}

#[test]
fn long_texts_make_shorter_windows_of_the_same_rows() {
    let texts: Vec<String> = (0..3000).map(|row| format!("row {row} ").repeat(row % 40)).collect();
    let source =
        || MemorySource::<f64>::builder().texts("text", texts.iter().map(|text| Some(&**text))).build().unwrap();
    let mut shuffled = source().shuffle_exactly(2, 700_000).unwrap();
    let before = shuffled.window();
    assert_eq!(epoch(&mut shuffled, 1), epoch(&mut source().shuffled(2), 1));
    assert!(before == 3000 && shuffled.window() < 3000, "{} rows", shuffled.window());
    // How long texts are is found by reading them, so more may be asked for again.
    let mut budget = 100_000;
    let rows = loop {
        let mut tight = source().shuffle_exactly(2, budget).unwrap();
        let mut batch = Batch::new(Arc::clone(tight.schema()));
        match tight.fill(&mut batch, 3000) {
            Ok(_) => break rows(&batch),
            Err(Error::Budget { needed, .. }) if needed > budget => budget = needed,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(batch.rows(), 0);
    };
    assert!(budget > 100_000, "texts of 16 bytes");
    assert_eq!(rows, epoch(&mut source().shuffled(2), 0));
}

#[test]
fn the_smallest_budget_works_and_less_is_refused() {
    for n in [1, 500, 3000, 1_000_000] {
        let Err(Error::Budget { needed, budget: 0, .. }) = numbers(n).shuffle_exactly(1, 0) else {
            panic!("no bytes are too few")
        };
        let source = numbers(n).shuffle_exactly(1, needed).unwrap();
        assert!(source.scans() <= 256, "{} scans", source.scans());
        let refused = numbers(n).shuffle_exactly(1, needed - 1);
        assert!(matches!(refused, Err(Error::Budget { needed: n, .. }) if n == needed));
    }
    let unknown = Unknown(numbers(5)).shuffle_exactly(1, 1 << 20).err().unwrap().to_string();
    assert!(unknown.contains("does not know how many rows it has"), "{unknown}");
    let target = Encoding::real().missing(Missing::DropRow);
    let (encoder, _) = Encoder::builder().feature("maybe", target).fit(&mut mixed(20)).unwrap();
    assert!(mixed(20).encode::<f32>(&encoder).unwrap().shuffle_exactly(1, 1 << 20).is_err());
}

/// Announces more rows than it has.
struct Short(MemorySource<f64>);

impl Source<f64> for Short {
    fn schema(&self) -> &Arc<Schema> {
        self.0.schema()
    }

    fn fill(&mut self, batch: &mut Batch<f64>, rows: usize) -> Result<usize, Error> {
        self.0.fill(batch, rows)
    }

    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        self.0.seek(cursor)
    }

    fn rows(&self) -> Option<u64> {
        Some(self.0.len() as u64 + 2000)
    }
}

#[test]
fn rows_that_were_announced_and_do_not_come_are_an_error() {
    let mut source = Short(numbers(3000)).shuffle_exactly(1, 1 << 20).unwrap();
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let error = source.fill(&mut batch, 10).unwrap_err().to_string();
    assert_eq!(error, "the source that is shuffled exactly: it ended after 3000 rows, 5000 were announced");
}
