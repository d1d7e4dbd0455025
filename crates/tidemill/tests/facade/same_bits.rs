//! Promise 2, where files take part: the same rows in memory and in files, cut in whatever way, are the same batches and
//! the same training, bit by bit.

use std::path::{Path, PathBuf};

use tidemill::data::{Batch as Rows, Column};
use tidemill::prelude::*;
use tidemill::strategies::Strategy;
use tidemill::tensor::Scalar;

use crate::table::{Table, open};
use crate::training::{bits, encoder, train, trainer};

const ROWS: usize = 211;

/// The table as one file, and as several: without rows, with one, with many.
fn files(table: &Table, folder: &Path) -> Vec<PathBuf> {
    let one = folder.join("one.parquet");
    table.write(&one, 0..table.rows());
    vec![one, table.folder(folder, "ragged", &[0, 1, 64, 3]), table.folder(folder, "small", &[16; 12])]
}

/// What can be made of raw rows on their way to a model.
fn pipelines<T: Scalar, S: Source<f64> + Clone + 'static>(
    raw: &S,
    encoder: &Encoder,
) -> Vec<(&'static str, Box<dyn Source<T>>)> {
    let raw = || raw.clone();
    let encoded = |source: S| source.encode::<T>(encoder).unwrap();
    let split = Split::by_key("carrier", 3, [("train", 0.7)]).unwrap();
    let drawn = raw().part(&split, "train").unwrap().encode::<T>(encoder).unwrap();
    vec![
        ("encode", encoded(raw()).boxed()),
        ("encode, prefetch", encoded(raw()).prefetch(3, 20).unwrap().boxed()),
        ("encode, shuffle", encoded(raw()).shuffle(50, 9).unwrap().boxed()),
        ("shuffle, encode", raw().shuffle(50, 9).unwrap().encode::<T>(encoder).unwrap().boxed()),
        ("encode, shard", encoded(raw()).shard(1, 3).unwrap().boxed()),
        ("skip, take, encode", raw().skip_rows(30).take(100).encode::<T>(encoder).unwrap().boxed()),
        ("split, encode, shuffle, prefetch", drawn.shuffle(40, 2).unwrap().prefetch(2, 16).unwrap().boxed()),
    ]
}

/// All batches of some epochs.
fn batches<T: Scalar>(source: &mut dyn Source<T>, size: usize) -> Vec<Rows<T>> {
    let mut all = Vec::new();
    for epoch in [0, 1, 0] {
        source.seek(Cursor::start(epoch)).unwrap();
        loop {
            let mut batch = Rows::new(source.schema().clone());
            if source.fill(&mut batch, size).unwrap() == 0 {
                break;
            }
            all.push(batch);
        }
    }
    all
}

#[test]
fn files_fill_the_batches_that_memory_fills() {
    let (table, folder) = (Table::new(ROWS), tempfile::tempdir().unwrap());
    let encoder = encoder(&mut table.memory());
    for path in files(&table, folder.path()) {
        assert_eq!(crate::training::encoder(&mut open(&path)), encoder, "fitted to {}", path.display());
        for size in [1, 20, 1000] {
            let memory = pipelines::<f32, _>(&table.memory(), &encoder);
            for ((what, mut memory), (_, mut file)) in memory.into_iter().zip(pipelines(&open(&path), &encoder)) {
                let (want, got) = (batches(&mut *memory, size), batches(&mut *file, size));
                assert!(want.iter().map(Rows::rows).sum::<usize>() > 100, "{what}: rows worth comparing");
                assert!(got == want, "{what}, batches of {size} rows from {}", path.display());
            }
        }
    }
}

#[test]
fn files_train_as_memory_does() {
    check_training::<f32>();
    check_training::<f64>();
}

fn check_training<T: Scalar>() {
    let (table, folder) = (Table::new(ROWS), tempfile::tempdir().unwrap());
    let encoder = encoder(&mut table.memory());
    let strategies: [(&str, Box<dyn Strategy<T>>); 4] = [
        ("batch", Box::new(Batch::new(2))),
        ("batch, in order", Box::new(Batch::new(2).in_order().batch_size(20))),
        ("full batch", Box::new(Batch::new(4).full_batch())),
        ("online", Box::new(Online::new().passes(2).batch_size(20))),
    ];
    let paths = files(&table, folder.path());
    for (name, strategy) in strategies {
        let parallel = DataParallel::new(2).shards(3);
        let result = |source: &mut dyn Source<T>| bits(&train(&trainer(&encoder).engine(parallel), &*strategy, source));
        for (i, (what, mut memory)) in pipelines::<T, _>(&table.memory(), &encoder).into_iter().enumerate() {
            let want = result(&mut *memory);
            for path in &paths {
                let mut file = pipelines::<T, _>(&open(path), &encoder).swap_remove(i).1;
                assert!(result(&mut *file) == want, "{name} over {what} from {}", path.display());
            }
        }
    }
}

/// Loaded first, or read as it trains: no difference to the strategy that goes over rows in order.
#[test]
fn loading_a_file_first_changes_nothing() {
    let (table, folder) = (Table::new(ROWS), tempfile::tempdir().unwrap());
    let encoder = encoder(&mut table.memory());
    let path = table.folder(folder.path(), "ragged", &[0, 1, 64, 3]);
    let streamed = || open(&path).encode::<f32>(&encoder).unwrap();
    let mut loaded = MemorySource::load(streamed(), 1 << 20).unwrap();
    let trainer = || trainer::<f32>(&encoder);

    let online = Online::new().passes(2).batch_size(20);
    let want = train(&trainer(), &online, &mut streamed());
    assert_eq!(bits(&train(&trainer(), &online, &mut loaded.clone())), bits(&want));

    let in_order = Batch::new(2).in_order().batch_size(20);
    let batch = train(&trainer(), &in_order, &mut loaded);
    assert_eq!((batch.params, batch.optimizer), (want.params, want.optimizer), "batch in order and online");
}

/// A file of two row groups and a file of one, each longer than what is decoded at a time.
#[test]
fn row_groups_and_files_leave_no_seam() {
    let (table, folder) = (Table::new(80_000), tempfile::tempdir().unwrap());
    let path = table.folder(folder.path(), "large", &[70_001]);
    let columns = ["distance", "speed", "hour", "weekend", "weight"];
    let mut source = ParquetSource::open(&path).columns(columns).feature("carrier").build().unwrap();
    let loaded = MemorySource::<f64>::load(source.clone(), 1 << 30).unwrap();
    let (loaded, memory) = (loaded.data(), table.memory());
    for field in &loaded.schema().fields {
        let place = |rows: &Rows<f64>| rows.schema().position(&field.name).unwrap();
        let (got, want) = (place(loaded), place(memory.data()));
        let same = match (&loaded.columns()[got], &memory.data().columns()[want]) {
            // What else is known of its numbers, such as that they are whole, only the file says.
            (Column::Real { values, nulls, .. }, Column::Real { values: others, nulls: absent, .. }) => {
                values == others && nulls == absent
            }
            (column, other) => column == other,
        };
        assert!(same, "column {}", field.name);
    }

    for row in [0, 1, 8_191, 8_192, 65_535, 65_536, 70_000, 70_001, 79_999, 80_000] {
        Source::<f64>::seek(&mut source, Cursor::start(0).push(row)).unwrap();
        let mut batch = Rows::new(source.schema().clone());
        source.fill(&mut batch, 300).unwrap();
        let mut want = Rows::new(loaded.schema().clone());
        want.push_rows(loaded, row as usize..loaded.rows().min(row as usize + 300));
        assert!(batch == want, "300 rows from row {row} on");
    }
}
