//! What the targets share: a file for the bytes, what reading gave, and a bound of the memory.

mod counting;

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::panic;
use std::path::{Path, PathBuf};

use tidemill_data::{Batch, Column, Cursor, Error, Source};

/// Bytes beyond the budget: the batches, where a row of text may take as much as the budget, and what is small.
const SLACK: usize = 64 << 20;

/// Rows a batch.
const ROWS: [usize; 2] = [7, 300];

/// Batches that are enough, where a small file may hold rows without end.
pub const BATCHES: usize = 40;

thread_local! {
    static FILE: RefCell<PathBuf> = RefCell::new({
        let folder = PathBuf::from("/dev/shm");
        let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
        folder.join(format!("tidemill-fuzz-{}", std::process::id()))
    });
}

/// Writes bytes to a file and checks what becomes of it, which may take `budget` bytes and what batches take, and must
/// name the file if it is an error.
pub fn check_file(bytes: &[u8], budget: u64, check: impl Fn(&Path) -> Result<(), Error>) {
    check_file_within(bytes, budget as usize + SLACK, check);
}

/// The same with all that may be in use, beside a few times the bytes themselves.
pub fn check_file_within(bytes: &[u8], limit: usize, check: impl Fn(&Path) -> Result<(), Error>) {
    FILE.with_borrow(|file| {
        std::fs::write(file, bytes).expect("a temporary file can be written");
        let outcome = counting::limited(limit + 8 * bytes.len(), || check(file));
        if let Err(error) = outcome {
            let said = error.to_string();
            assert!(said.contains(&*file.to_string_lossy()), "the error does not name the file: {said}");
        }
    });
}

/// What to choose by, different for different bytes.
pub fn seed(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}

/// Rows a batch, by a seed.
pub fn batch_rows(seed: u64) -> usize {
    ROWS[(seed % 2) as usize]
}

/// What reading gave: the rows, told apart by hashes of their bits, and how it ended.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub rows: Vec<u64>,
    pub problem: Option<String>,
}

impl Outcome {
    /// How reading ended, as an error.
    pub fn end(self) -> Result<(), Error> {
        self.problem.map_or(Ok(()), |problem| Err(Error::invalid("reading", problem)))
    }
}

/// Whether reading ended where compressed bytes are broken. The decompressor says so sooner or later, as many bytes are
/// asked for at a time; what it gave before may be refused for another reason.
pub fn is_of_compression(problem: &str) -> bool {
    problem.contains("cannot be decompressed")
}

/// Reads so many rows a batch, and no more batches than those.
pub fn read(source: &mut impl Source<f32>, rows: usize, batches: usize) -> Outcome {
    let mut outcome = Outcome { rows: Vec::new(), problem: None };
    for _ in 0..batches {
        match read_one(source, rows) {
            Ok(batch) if batch.is_empty() => break,
            Ok(batch) => outcome.rows.extend(batch),
            Err(error) => {
                outcome.problem = Some(error.to_string());
                break;
            }
        }
    }
    outcome
}

/// Goes to a row that was read before and reads on from there.
pub fn check_seek(source: &mut impl Source<f32>, seed: u64, first: &Outcome) -> Result<(), Error> {
    if first.rows.is_empty() {
        return Ok(());
    }
    let from = (seed >> 8) as usize % first.rows.len();
    let cursor = if from == 0 { Cursor::start(0) } else { Cursor::start(0).push(from as u64) };
    source.seek(cursor)?;
    if let Ok(again) = read_one(source, batch_rows(seed)) {
        let both = again.len().min(first.rows.len() - from);
        assert!(both > 0, "no row at {from} after a seek");
        assert_eq!(again[..both], first.rows[from..from + both], "rows from {from} on differ after a seek");
    }
    Ok(())
}

fn read_one(source: &mut impl Source<f32>, rows: usize) -> Result<Vec<u64>, Error> {
    let mut batch = Batch::new(source.schema().clone());
    let filled = source.fill(&mut batch, rows)?;
    assert!(filled == batch.rows() && filled <= rows);
    Ok((0..filled).map(|row| hash(&batch, row)).collect())
}

fn hash(batch: &Batch<f32>, row: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for column in batch.columns() {
        match column {
            Column::Real { width, values, nulls, .. } => {
                nulls.is_null(row).hash(&mut hasher);
                let values = &values[row * width..(row + 1) * width];
                values.iter().for_each(|value| value.to_bits().hash(&mut hasher));
            }
            Column::Index { values } => values[row].hash(&mut hasher),
            Column::Text { .. } => column.text(row).hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// Bytes that come a few at a time.
pub struct Trickle(pub io::Cursor<Vec<u8>>, pub usize);

impl Trickle {
    pub fn new(bytes: &[u8], size: usize) -> Self {
        Self(io::Cursor::new(bytes.to_vec()), size)
    }
}

impl Read for Trickle {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = into.len().min(self.1);
        self.0.read(&mut into[..n])
    }
}

/// The decoder's own panics are caught and become errors; those of this project's code are found even there.
pub fn watch_panics() {
    let _ = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let own = info.location().is_some_and(|place| !place.file().contains("/registry/src/"));
        if own {
            eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }));
}
