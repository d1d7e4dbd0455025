//! Whatever the bytes of a file: describing, opening and reading it gives rows or an error that names the file, within
//! the memory that was allowed, and the same rows again.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::panic;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;
use tidemill_data::{Batch, Column, Cursor, Error, Source};
use tidemill_data_parquet::{ParquetSource, Usable, describe};

/// Bytes that reading may take.
const BUDGET: u64 = 2 << 20;

/// Bytes beyond those: the batches, where a row of text may take as much as the budget, and what is small.
const SLACK: usize = 64 << 20;

/// Rows a batch, and batches: a small file may hold rows without end.
const ROWS: [usize; 2] = [7, 300];
const BATCHES: usize = 40;

fuzz_target!(init: watch_panics(), |bytes: &[u8]| {
    FILE.with_borrow_mut(|file| {
        std::fs::write(&*file, bytes).expect("a temporary file can be written");
        let before = Counting::in_use();
        LIMIT.store(before + BUDGET as usize + 8 * bytes.len() + SLACK, Ordering::Relaxed);
        let outcome = check(file, bytes);
        LIMIT.store(usize::MAX, Ordering::Relaxed);
        if let Err(error) = outcome {
            let said = error.to_string();
            assert!(said.contains(&*file.to_string_lossy()), "the error does not name the file: {said}");
        }
    });
});

thread_local! {
    static FILE: RefCell<PathBuf> = RefCell::new({
        let folder = PathBuf::from("/dev/shm");
        let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
        folder.join(format!("tidemill-fuzz-{}.parquet", std::process::id()))
    });
}

fn check(file: &PathBuf, bytes: &[u8]) -> Result<(), Error> {
    let mut columns: Vec<String> = Vec::new();
    for column in describe(file)?.columns {
        if matches!(column.usable, Usable::Real { .. } | Usable::Text) && !columns.contains(&column.name) {
            columns.push(column.name);
        }
    }
    let open = |threads| ParquetSource::open(file).columns(&columns).budget(BUDGET).threads(threads).build::<f32>();
    let mut source = match open(1) {
        Ok(source) => source,
        // Names that are there twice, no column that is usable: what is wrong is in the schema.
        Err(Error::Invalid { .. }) if columns.is_empty() => return Ok(()),
        Err(error) => return Err(error),
    };
    let seed = bytes.iter().fold(0u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let rows = ROWS[(seed % 2) as usize];
    let first = read(&mut source, rows);
    let second = read(&mut open(2)?, rows);
    assert_eq!(first, second, "two threads read what one does not");
    let known: usize = first.batches.iter().map(|batch| batch.rows).sum();
    if known > 0 {
        let from = (seed >> 8) as usize % known;
        source.seek(Cursor::start(0).push((from - from % rows) as u64))?;
        let again = read_one(&mut source, rows);
        let there = &first.batches[from / rows];
        if let Ok(again) = again {
            assert_eq!(&again, there, "rows from {} on differ after a seek", from - from % rows);
        }
    }
    first.problem.map_or(Ok(()), |problem| Err(Error::invalid("reading", problem)))
}

/// What reading gave.
#[derive(Debug, PartialEq)]
struct Outcome {
    batches: Vec<Print>,
    problem: Option<String>,
}

/// A batch, told apart by a hash of its bits.
#[derive(Debug, PartialEq)]
struct Print {
    rows: usize,
    hash: u64,
}

fn read(source: &mut ParquetSource<f32>, rows: usize) -> Outcome {
    let mut outcome = Outcome { batches: Vec::new(), problem: None };
    for _ in 0..BATCHES {
        match read_one(source, rows) {
            Ok(Print { rows: 0, .. }) => break,
            Ok(print) => outcome.batches.push(print),
            Err(error) => {
                outcome.problem = Some(error.to_string());
                break;
            }
        }
    }
    outcome
}

fn read_one(source: &mut ParquetSource<f32>, rows: usize) -> Result<Print, Error> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut batch = Batch::new(source.schema().clone());
    let filled = source.fill(&mut batch, rows)?;
    assert!(filled == batch.rows() && filled <= rows);
    let mut hasher = DefaultHasher::new();
    for column in batch.columns() {
        match column {
            Column::Real { values, .. } => values.iter().for_each(|value| value.to_bits().hash(&mut hasher)),
            Column::Index { values } => values.hash(&mut hasher),
            Column::Text { bytes, ends, .. } => (bytes, ends).hash(&mut hasher),
        }
    }
    Ok(Print { rows: filled, hash: hasher.finish() })
}

/// The decoder's own panics are caught and become errors; those of this project's code are found even there.
fn watch_panics() {
    let _ = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let own = info.location().is_some_and(|place| !place.file().contains("/registry/src/"));
        if own {
            eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }));
}

/// Counts the bytes in use, and ends the process where there are more than allowed.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn in_use() -> usize {
        IN_USE.load(Ordering::Relaxed)
    }

    fn add(bytes: usize) {
        let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = LIMIT.load(Ordering::Relaxed);
        if in_use > limit {
            LIMIT.store(usize::MAX, Ordering::Relaxed);
            eprintln!(
                "{bytes} bytes more make {in_use}, {limit} are allowed\n{}",
                std::backtrace::Backtrace::force_capture()
            );
            std::process::abort();
        }
    }

    fn sub(bytes: usize) {
        IN_USE.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::sub(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::add(size);
        Self::sub(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
