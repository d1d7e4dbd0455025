//! Promise 6: memory is bounded by what was asked. One test, because it counts what the whole process holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicIsize, Ordering};

use tidemill::prelude::*;
use tidemill::strategies::Strategy;
use tidemill::tensor::Key;

/// Counts the bytes that are held, and the most that were.
struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);

fn hold(bytes: isize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: all calls go to the system's allocator as they come; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size() as isize);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there while one is copied to the other.
        hold(size as isize);
        hold(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were held at once while `run` ran, beside those held before.
fn most_held<R>(run: impl FnOnce() -> R) -> (R, u64) {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let result = run();
    (result, (MOST.load(Ordering::Relaxed) - before).max(0) as u64)
}

const NUMBERS: usize = 8;
/// What a decoded row takes: the numbers and the target in `f64`, a text of 8 bytes and where it ends.
const ROW_BYTES: u64 = 8 * (NUMBERS as u64 + 1) + 16;
const BUDGET: u64 = 3 << 20;

/// Files of row groups of 65,536 rows, the last one of what is left.
fn write(folder: &Path, files: usize, rows: usize) -> PathBuf {
    std::fs::create_dir(folder).unwrap();
    let names: Vec<String> = (0..NUMBERS).map(|i| format!("x{i}")).collect();
    let numbers = names.iter().map(|name| (name.as_str(), ValueType::F64));
    for file in 0..files {
        let columns = numbers.clone().chain([("origin", ValueType::Text), ("y", ValueType::F64)]);
        let mut writer = ParquetWriter::create(folder.join(format!("{file}.parquet")), columns).unwrap();
        for start in (0..rows).step_by(10_000) {
            let piece = start..rows.min(start + 10_000);
            let random = |column: usize, row: usize| Key::new(column as u64).block((file * rows + row) as u64)[0];
            let value = |column, row| f64::from(random(column, row) % 997) / 997.0;
            let columns: Vec<Vec<f64>> =
                (0..=NUMBERS).map(|column| piece.clone().map(|row| value(column, row)).collect()).collect();
            let origins: Vec<&str> = piece.map(|row| ["Aberdeen", "Bordeaux", "Cuxhaven"][row % 3]).collect();
            let mut values: Vec<Values<'_>> = columns[..NUMBERS].iter().map(|column| Values::F64(column)).collect();
            values.extend([Values::Text(&origins), Values::F64(&columns[NUMBERS])]);
            writer.write(&values).unwrap();
        }
        writer.finish().unwrap();
    }
    folder.to_owned()
}

fn open(path: &Path) -> impl Source<f64> + use<> {
    let numbers = (0..NUMBERS).map(|i| format!("x{i}"));
    ParquetSource::open(path).columns(numbers).feature("origin").feature("y").budget(BUDGET).build().unwrap()
}

/// Fits an encoder and trains, reading the files twice; gives the rows trained on.
fn train(path: &Path, strategy: &impl Strategy<f32>) -> Result<u64, tidemill::strategies::Error> {
    let mut builder = Encoder::builder();
    for i in 0..NUMBERS {
        builder = builder.feature(&format!("x{i}"), Encoding::standardize());
    }
    let builder = builder.feature("origin", Encoding::category()).target("y", Encoding::above(0.5));
    let (encoder, _) = builder.fit(&mut open(path))?;
    let program = Program::build(|graph| {
        let x = Features::new().reals("x", NUMBERS).category("origin", 4, 2).declare(graph)?;
        let logit = Dense::new(1).apply(graph, x)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, logit)
    });
    let trainer = Trainer::new(program?, sgd(0.01))?;
    let mut state = trainer.start_with(1, Metrics::new().with(Accuracy::binary(0.5)?).with(RocAuc::binned(512)?));
    let mut source = open(path).encode::<f32>(&encoder)?.shuffle(2_048, 5)?.prefetch(3, 256)?;
    Ok(trainer.run(strategy, &mut state, &mut source, &mut ())?.rows)
}

#[test]
fn memory_is_bounded_by_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let small = write(&folder.path().join("small"), 1, 70_000);
    let large = write(&folder.path().join("large"), 2, 170_000);
    let online = Online::new().batch_size(256);

    let (rows, held_by_small) = most_held(|| train(&small, &online).unwrap());
    assert_eq!(rows, 70_000);
    let (rows, held) = most_held(|| train(&large, &online).unwrap());
    assert_eq!(rows, 340_000);
    let decoded = rows * ROW_BYTES;
    println!("online: {held} bytes held at most over {decoded} bytes of rows, {held_by_small} over a fifth of them");
    assert!(held < BUDGET + (1 << 19), "{held} bytes held, {BUDGET} for reading were asked for");
    assert!(10 * held < decoded, "{held} bytes held, not well below the {decoded} of the rows");
    assert!(held < held_by_small + held_by_small / 8, "{held} bytes held, {held_by_small} over fewer rows");

    // Batch training holds the rows: 40 bytes a row, as long as it may.
    let encoded = 340_000 * (4 * NUMBERS as u64 + 4 + 4);
    let (rows, loaded) = most_held(|| train(&large, &Batch::new(1).batch_size(8_192).budget(encoded)).unwrap());
    assert_eq!(rows, 340_000);
    assert!(loaded > encoded, "the counter counts: {loaded} bytes for {encoded} of rows");
    let (result, refused) = most_held(|| train(&large, &Batch::new(1).budget(encoded - 1)));
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("holding 340000 rows in memory needs 13600000 bytes, the budget is 13599999 bytes"),
        "{error}"
    );
    assert!(refused < BUDGET + (1 << 19), "{refused} bytes held before saying no");
}
