//! Whatever the bytes of a file: describing, opening, reading, filtering and sorting it gives rows or an error that names
//! the file, within the memory that was allowed, and the same rows again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tidemill_data::{Error, Kind, Source};
use tidemill_data_parquet::{
    As, Choice, ListAs, NullItems, OnDamage, ParquetSource, ParquetSourceBuilder, Usable, describe_within, sort_by,
};
use tidemill_fuzz::{BATCHES, Outcome, batch_rows, check_file_within, check_seek, read, seed, watch_panics};

/// Bytes that reading may take.
const BUDGET: u64 = 2 << 20;

/// Bytes beside that: names and schemas several times, and the buffers of a writer.
const SLACK: usize = 2 << 20;

/// Bytes of numbers that a batch may have.
const BATCH: usize = 1 << 18;

/// Bytes of a batch of one row that has texts, in a buffer that grows: each may be as large as a page.
const TEXTS: usize = 3 * BUDGET as usize;

fuzz_target!(init: watch_panics(), |bytes: &[u8]| {
    check_file_within(bytes, BUDGET as usize + SLACK + TEXTS, |file| check(file, seed(bytes)));
});

fn check(file: &Path, seed: u64) -> Result<(), Error> {
    let mut columns: Vec<String> = Vec::new();
    let mut choices: Vec<Choice> = Vec::new();
    for column in describe_within(file, BUDGET)?.columns {
        if matches!(column.usable, Usable::Real { .. } | Usable::Text) && !columns.contains(&column.name) {
            columns.push(column.name);
        }
        choices.extend(column.choices);
    }
    sorted(file, columns.get((seed >> 16) as usize % columns.len().max(1)))?;
    let chosen = ParquetSource::open(file).budget(BUDGET);
    if !choices.is_empty() {
        // What is wrong with one choice is told by an error; the columns without any are read all the same.
        let one = &choices[(seed >> 24) as usize % choices.len()];
        let listed = choose(chosen.clone(), one, seed >> 40);
        if let Ok(mut source) = listed.build::<f32>() {
            drop(read_some(&mut source, seed));
        }
    }
    let open = |threads| chosen.clone().columns(&columns).threads(threads).build::<f32>();
    let mut source = match open(1) {
        Ok(source) => source,
        // Names that are there twice, no column that is usable: what is wrong is in the schema.
        Err(Error::Invalid { .. }) if columns.is_empty() => return Ok(()),
        Err(error) => return Err(error),
    };
    let first = read_some(&mut source, seed);
    let second = read_some(&mut open(2)?, seed);
    assert_eq!(first, second, "two threads read what one does not");
    check_seek(&mut source, seed, &first)?;
    let damaged = chosen.clone().columns(&columns).on_damage(OnDamage::Skip);
    if let Ok(mut left) = damaged.clone().build::<f32>() {
        let read = read_some(&mut left, seed);
        assert!(left.damage().is_empty() || read.rows != first.rows || first.problem.is_some());
    }
    filtered(damaged, &columns, seed);
    first.end()
}

/// Rows of a condition are among all of those that are left, in their order.
fn filtered(rows: ParquetSourceBuilder, columns: &[String], seed: u64) {
    let Some(name) = columns.get((seed >> 32) as usize % columns.len()) else { return };
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let condition = if seed & 1 == 0 { format!("{quoted} is not null") } else { format!("{quoted} > 1") };
    let Ok(condition) = condition.parse() else { return };
    let (Ok(mut all), Ok(mut some)) = (rows.clone().build::<f32>(), rows.filter(condition).build::<f32>()) else {
        return;
    };
    let (all, some) = (read_some(&mut all, seed), read_some(&mut some, seed));
    if all.problem.is_none() {
        let mut rest = all.rows.iter();
        // Rows behind the last batch were not read.
        assert!(
            some.rows.iter().all(|row| rest.any(|other| other == row) || rest.len() == 0),
            "rows that are not there"
        );
    }
}

fn sorted(file: &Path, column: Option<&String>) -> Result<(), Error> {
    let Some(column) = column else { return Ok(()) };
    let output = file.with_extension("sorted");
    let result = sort_by(file, column, &output, BUDGET);
    // Not every column has an order.
    if result.is_ok() {
        let rows = describe_within(&output, BUDGET)?.rows;
        assert_eq!(rows, describe_within(file, BUDGET)?.rows);
    }
    let _ = std::fs::remove_file(&output);
    match result {
        Err(error) if error.to_string().contains(&*file.to_string_lossy()) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Ok(()),
    }
}

fn choose(rows: ParquetSourceBuilder, choice: &Choice, number: u64) -> ParquetSourceBuilder {
    let list = |list: ListAs| list.nulls(NullItems::Skip);
    let way = choice.ways[number as usize % choice.ways.len()];
    let chosen = match way {
        "Pad" => list(ListAs::Pad { width: 3, fill: 0.5 }),
        "First" => list(ListAs::First { width: 3, fill: 0.5 }),
        "Last" => list(ListAs::Last { width: 3, fill: 0.5 }),
        "Length" => As::from(ListAs::Length),
        "Sum" => list(ListAs::Sum),
        "Mean" => list(ListAs::Mean),
        "Min" => list(ListAs::Min),
        "Max" => list(ListAs::Max),
        "Join" => list(ListAs::Join { separator: ",".into() }),
        "FirstText" => list(ListAs::FirstText),
        "Hex" => As::Hex,
        "Utf8" => As::Utf8,
        "Bytes" => As::Bytes,
        _ => return rows.feature(&choice.path),
    };
    rows.feature_as(&choice.path, chosen)
}

/// As many rows a batch as a little memory holds: the batch is the reader's own.
fn read_some(source: &mut impl Source<f32>, seed: u64) -> Outcome {
    let schema = source.schema();
    let texts = schema.fields.iter().any(|field| field.kind == Kind::Text);
    let most = if texts { 1 } else { BATCH / schema.row_bytes(4).max(1) };
    read(source, batch_rows(seed).min(most.max(1)), BATCHES)
}
