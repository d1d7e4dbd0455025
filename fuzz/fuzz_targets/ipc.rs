//! Whatever the bytes of a file or a stream of Arrow IPC: reading it gives rows or an error that names it, within the
//! memory that was allowed, and the same rows again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidemill_data::Error;
use tidemill_data_arrow::{As, IpcBuilder, IpcSource, ListAs, NullItems};
use tidemill_fuzz::{
    BATCHES, Outcome, Trickle, batch_rows, check_file, check_seek, is_of_compression, read, seed, watch_panics,
};

/// Bytes that reading may take.
const BUDGET: u64 = 1 << 18;

fuzz_target!(init: watch_panics(), |bytes: &[u8]| check_file(bytes, BUDGET, |file| check(file, bytes)));

/// Columns by the names that they have in the corpus.
fn choose(builder: IpcBuilder, number: u64) -> IpcBuilder {
    let list = |list: ListAs| list.nulls(NullItems::Skip);
    match number {
        0 => builder.columns(["a"]),
        1 => builder.feature_as("l", list(ListAs::Sum)).feature_as("l2", list(ListAs::Length)),
        2 => builder.feature_as("l", ListAs::Last { width: 3, fill: -1.0 }.nulls(NullItems::Fill(0.5))),
        3 => builder.feature_as("t", list(ListAs::Join { separator: ",".into() })),
        4 => builder.feature_as("b", As::Hex).feature_as("c", As::Utf8),
        5 => builder.feature_as("f", As::Bytes).feature_index("i", 3),
        6 => builder.columns(["s.x", "s.y"]).feature_as("m.value", list(ListAs::Max)),
        _ => builder.all_columns(),
    }
}

fn check(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    let seed = seed(bytes);
    check_columns(file, bytes, seed, u64::MAX)?;
    check_columns(file, bytes, seed, (seed >> 32) % 7)
}

fn check_columns(file: &Path, bytes: &[u8], seed: u64, columns: u64) -> Result<(), Error> {
    let build = |builder: IpcBuilder| -> Result<IpcSource<f32>, Error> {
        let builder = if seed & 4 == 0 { builder.unmarked_end() } else { builder };
        choose(builder, columns).budget(BUDGET).build()
    };
    let pipe = |size| IpcBuilder::reader(&file.to_string_lossy(), Trickle::new(bytes, size));
    let outcomes = [1 + seed as usize % 100, 1 << 16].map(|size| match build(pipe(size)) {
        Ok(mut source) => Ok(read(&mut source, batch_rows(seed), BATCHES)),
        Err(error) => Err(error.to_string()),
    });
    let problem = |outcome: &Result<Outcome, String>| match outcome {
        Ok(outcome) => outcome.problem.clone(),
        Err(problem) => Some(problem.clone()),
    };
    let broken = outcomes.iter().filter_map(problem).any(|problem| is_of_compression(&problem));
    assert!(broken || outcomes[0] == outcomes[1], "a stream that comes in pieces is read otherwise: {outcomes:?}");
    let mut source = build(IpcBuilder::file(file))?;
    let first = read(&mut source, batch_rows(seed), BATCHES);
    assert_eq!(
        first,
        read(&mut build(IpcBuilder::file(file))?, batch_rows(seed), BATCHES),
        "a file is read otherwise again"
    );
    check_seek(&mut source, seed, &first)?;
    first.end()
}
