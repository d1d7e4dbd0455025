//! Whatever the bytes of a text: reading it gives rows or an error that names the text, within the memory that was
//! allowed, and the same rows again, from a file and from a pipe.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidemill_data::Error;
use tidemill_data_arrow::{CsvBuilder, CsvSource};
use tidemill_fuzz::{Trickle, batch_rows, check_file, check_seek, is_of_compression, read, seed, watch_panics};

/// Bytes that reading may take.
const BUDGET: u64 = 1 << 16;

fuzz_target!(init: watch_panics(), |bytes: &[u8]| check_file(bytes, BUDGET, |file| check(file, bytes)));

fn check(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    let seed = seed(bytes);
    let build = |builder: CsvBuilder| -> Result<CsvSource<f32>, Error> {
        // Types are told from few rows, so that others come behind them.
        let mut builder = builder.all_columns().budget(BUDGET).infer_rows(1 + (seed >> 4) as usize % 3);
        if seed & 2 != 0 {
            builder = builder.delimiter(b';').nulls(["NA", "-"]);
        }
        if seed & 12 == 0 {
            builder = builder.names(["a", "b"]);
        }
        builder.build()
    };
    let pipe = |size| CsvBuilder::reader(&file.to_string_lossy(), Trickle::new(bytes, size));
    let built = [build(CsvBuilder::file(file)), build(pipe(1 + seed as usize % 5000))];
    let [Ok(mut source), Ok(mut piped)] = built else {
        let [first, second] = built.map(|built| built.map(|_| ()).map_err(|error| error.to_string()));
        // Of two things that are wrong, the one is told that is met first, by how much is read at a time.
        let broken = [&first, &second].into_iter().flat_map(|built| built.as_ref().err()).any(|e| is_of_compression(e));
        let alike = first.is_err() == second.is_err();
        assert!(broken || alike, "a pipe is not opened as a file is: {first:?}, {second:?}");
        return first.map_err(|problem| Error::invalid("opening", problem));
    };
    let first = read(&mut source, batch_rows(seed), usize::MAX);
    let second = read(&mut piped, batch_rows(seed), usize::MAX);
    // Where a record is wrong, those that were read with it are not given.
    let both = first.rows.len().min(second.rows.len());
    assert_eq!(first.rows[..both], second.rows[..both], "a pipe is not read as a file is");
    assert_eq!(first.problem.is_some(), second.problem.is_some(), "{first:?}, {second:?}");
    assert!(first.problem.is_some() || first.rows.len() == second.rows.len());
    check_seek(&mut source, seed, &first)?;
    first.end()
}
