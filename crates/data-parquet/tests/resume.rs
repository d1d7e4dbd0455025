//! Stopped after any batch and gone on, once or twice, by as many workers or others: no row lost, none twice, the same
//! batches.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Float64Array, StringArray};
use common::{array, table, write_groups};
use tidemill_data::{Batch, Cursor, Encoder, Encoding, Error, ExactShuffle, MemorySource, Missing, Source, SourceExt};
use tidemill_data_parquet::ParquetSource;

/// Row groups of one row, of seven, of a thousand, of none; `missing` is null in every ninth row.
const GROUPS: [&[usize]; 4] = [&[1, 7, 0], &[1000, 1], &[], &[7, 7, 30]];
const ROWS: u64 = 1053;

fn files(folder: &Path) -> PathBuf {
    let mut start = 0;
    for (file, groups) in GROUPS.iter().enumerate() {
        let range = start..start + groups.iter().sum::<usize>();
        start = range.end;
        let missing = range.clone().map(|row| (row % 9 != 4).then_some(row as f64 / 4.0));
        let rows = table([
            ("id", array(Float64Array::from_iter_values(range.clone().map(|row| row as f64)))),
            ("missing", array(Float64Array::from_iter(missing))),
            ("name", array(StringArray::from_iter_values(range.map(|row| ["AA", "B6", "UA"][row % 3])))),
        ]);
        write_groups(&folder.join(format!("{file}.parquet")), &rows, groups);
    }
    folder.to_owned()
}

/// What a pipeline is made of: the opened files, and an encoder that drops rows.
struct Parts {
    path: PathBuf,
    encoder: Encoder,
}

impl Parts {
    fn new(folder: &Path) -> Self {
        let path = files(folder);
        let mut raw = ParquetSource::open(&path).columns(["id", "missing", "name"]).build::<f64>().unwrap();
        let declared = Encoder::builder()
            .feature("id", Encoding::real())
            .feature("name", Encoding::category())
            .target("missing", Encoding::real().missing(Missing::DropRow));
        Self { path, encoder: declared.fit(&mut raw).unwrap().0 }
    }

    fn raw(&self, threads: usize) -> ParquetSource<f64> {
        ParquetSource::open(&self.path).columns(["id", "missing", "name"]).threads(threads).build().unwrap()
    }

    fn blocks(&self, threads: usize) -> ParquetSource<f64> {
        let source = ParquetSource::open(&self.path).columns(["id", "missing", "name"]).threads(threads);
        source.shuffle_blocks(5).block_rows(100).build().unwrap()
    }
}

/// In as little memory as works, so that it takes more than one scan.
fn exactly(open: impl Fn() -> ParquetSource<f64>, seed: u64) -> ExactShuffle<ParquetSource<f64>, f64> {
    match open().shuffle_exactly(seed, 0) {
        Err(Error::Budget { needed, .. }) => open().shuffle_exactly(seed, needed).unwrap(),
        made => made.unwrap(),
    }
}

type Open<'a> = &'a dyn Fn() -> Box<dyn Source<f32>>;

type Make = fn(&Parts, usize) -> Box<dyn Source<f32>>;

/// With the rows of an epoch.
const PIPELINES: [(&str, Make, u64); 5] = [
    ("in order", |parts, threads| parts.raw(threads).encode(&parts.encoder).unwrap().boxed(), ROWS - 117),
    (
        "blocks, windows, encoded",
        |parts, threads| parts.blocks(threads).shuffle(250, 1).unwrap().encode(&parts.encoder).unwrap().boxed(),
        ROWS - 117,
    ),
    (
        "blocks, encoded, windows",
        |parts, threads| parts.blocks(threads).encode(&parts.encoder).unwrap().shuffle(170, 1).unwrap().boxed(),
        ROWS - 117,
    ),
    (
        "exactly, encoded",
        |parts, threads| exactly(|| parts.raw(threads), 3).encode(&parts.encoder).unwrap().boxed(),
        ROWS - 117,
    ),
    (
        "blocks, encoded, taken, windows",
        |parts, threads| {
            parts.blocks(threads).encode(&parts.encoder).unwrap().take(900).shuffle(64, 2).unwrap().boxed()
        },
        900,
    ),
];

const BATCH: usize = 24;

/// The next batch, and where the source is then.
fn step(source: &mut dyn Source<f32>, rows: usize) -> (Batch<f32>, Cursor) {
    let mut batch = Batch::new(Arc::clone(source.schema()));
    source.fill(&mut batch, rows).unwrap();
    (batch, source.cursor())
}

/// All batches of an epoch from a cursor on, and the cursor before each and at the end.
fn batches(source: &mut dyn Source<f32>, from: Cursor) -> (Vec<Batch<f32>>, Vec<Cursor>) {
    source.seek(from).unwrap();
    let (mut all, mut cursors) = (Vec::new(), vec![from]);
    loop {
        let (batch, cursor) = step(source, BATCH);
        if batch.rows() == 0 {
            return (all, cursors);
        }
        all.push(batch);
        cursors.push(cursor);
    }
}

#[test]
fn a_source_goes_on_from_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::new(folder.path());
    for (name, make, rows) in PIPELINES {
        let (whole, _) = batches(&mut *make(&parts, 1), Cursor::start(1));
        let mut ids: Vec<u32> = whole.iter().flat_map(|batch| batch.reals(0).to_vec()).map(|id| id as u32).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len() as u64, rows, "{name}: each row once");
        let ahead = |threads| make(&parts, threads).prefetch(3, BATCH).unwrap().boxed();
        let variants: [(&str, Open); 3] =
            [("alone", &|| make(&parts, 1)), ("three threads", &|| make(&parts, 3)), ("ahead", &|| ahead(2))];
        for (how, open) in variants {
            let (found, cursors) = batches(&mut *open(), Cursor::start(1));
            assert!(found == whole, "{name}, {how}");
            let (mut second, mut third) = (open(), open());
            for (stop, &cursor) in cursors.iter().enumerate() {
                // One more step by a source that was elsewhere, then the rest by another.
                second.seek(cursor).unwrap();
                let (batch, next) = step(&mut *second, BATCH);
                assert!(whole.get(stop).is_none_or(|expected| *expected == batch), "{name}, {how}, step {stop}");
                if stop % 5 < 2 {
                    let (rest, _) = batches(&mut *third, next);
                    assert!(
                        rest == whole[(stop + 1).min(whole.len())..],
                        "{name}, {how}, stopped after {stop} and one more"
                    );
                }
            }
        }
    }
}

#[test]
fn other_numbers_of_workers_go_on_from_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::new(folder.path());
    for (name, make, _) in PIPELINES {
        let (whole, _) = batches(&mut *make(&parts, 1), Cursor::start(2));
        let mut teams: Vec<Vec<_>> = (1..=4)
            .map(|count| (0..count).map(|index| make(&parts, 2).shard(index, count).unwrap()).collect())
            .collect();
        // The number of workers changes with every step, in all ways from one to another.
        let changes = [1, 2, 1, 3, 1, 4, 2, 3, 2, 4, 3, 4, 4, 1, 1, 2, 2, 3, 3];
        let mut cursor = Cursor::start(2);
        for (number, batch) in whole.iter().enumerate() {
            let workers = &mut teams[changes[number % changes.len()] - 1];
            let count = workers.len();
            let parts: Vec<_> = workers
                .iter_mut()
                .map(|worker| {
                    worker.seek(cursor).unwrap();
                    step(worker, BATCH / count)
                })
                .collect();
            let mut together = Batch::new(Arc::clone(batch.schema()));
            for row in 0..batch.rows() {
                together.push_row(&parts[row % count].0, row / count);
            }
            assert!(together == *batch, "{name}: batch {number} by {count} workers");
            assert_eq!(parts.iter().map(|(part, _)| part.rows()).sum::<usize>(), batch.rows());
            cursor = parts[0].1;
            assert!(parts.iter().all(|part| part.1 == cursor), "{name}: one cursor for {count} workers");
        }
        let last = batches(&mut *make(&parts, 1).shard(0, 1).unwrap().boxed(), cursor);
        assert!(last.0.is_empty(), "{name}: the epoch is over");
    }
}

/// The exact order is that of rows in memory.
#[test]
fn exact_shuffles_of_files_are_those_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::new(folder.path());
    let loaded = MemorySource::load(parts.raw(1), 1 << 20).unwrap();
    let read = |source: &mut dyn Source<f64>| {
        source.seek(Cursor::start(4)).unwrap();
        let mut batch = Batch::new(Arc::clone(source.schema()));
        while source.fill(&mut batch, 100).unwrap() > 0 {}
        batch
    };
    let mut exact = exactly(|| parts.raw(2), 9);
    assert_eq!(exact.scans(), 2);
    assert!(read(&mut exact) == read(&mut loaded.shuffled(9)));
}
