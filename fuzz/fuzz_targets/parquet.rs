//! Whatever the bytes of a file: describing, opening and reading it gives rows or an error that names the file, within
//! the memory that was allowed, and the same rows again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidemill_data::Error;
use tidemill_data_parquet::{ParquetSource, Usable, describe};
use tidemill_fuzz::{BATCHES, batch_rows, check_file, check_seek, read, seed, watch_panics};

/// Bytes that reading may take.
const BUDGET: u64 = 2 << 20;

fuzz_target!(init: watch_panics(), |bytes: &[u8]| check_file(bytes, BUDGET, |file| check(file, seed(bytes))));

fn check(file: &Path, seed: u64) -> Result<(), Error> {
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
    let first = read(&mut source, batch_rows(seed), BATCHES);
    let second = read(&mut open(2)?, batch_rows(seed), BATCHES);
    assert_eq!(first, second, "two threads read what one does not");
    check_seek(&mut source, seed, &first)?;
    first.end()
}
