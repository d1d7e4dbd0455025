//! What is alive while CSV and Arrow IPC are read stays within the budget, whatever their size. One test, as the count
//! is of the whole process.

#[path = "../../data-parquet/tests/counting/mod.rs"]
mod counting;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use counting::{LIVE, PEAK};
use tidemill_data::{Batch, Error, Source};
use tidemill_data_arrow::{CsvBuilder, IpcBuilder};

fn text(row: usize) -> String {
    format!("text {row:06}").repeat(if (row / 1000).is_multiple_of(10) { 6 } else { 1 })
}

fn write_csv(path: &Path, rows: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "real,count,text").unwrap();
    for row in 0..rows {
        writeln!(file, "{},{},{}", (row as f64).sin(), row, text(row)).unwrap();
    }
}

fn records(rows: std::ops::Range<usize>) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("real", Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| (row as f64).sin())))),
        ("count", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64)))),
        ("text", Arc::new(StringArray::from_iter_values(rows.map(text)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write_ipc(path: &Path, rows: usize, size: usize, is_stream: bool) {
    let (file, schema) = (File::create(path).unwrap(), records(0..0).schema());
    let starts = (0..rows).step_by(size);
    if is_stream {
        let mut writer = StreamWriter::try_new(file, &schema).unwrap();
        starts.for_each(|start| writer.write(&records(start..start + size)).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &schema).unwrap();
        starts.for_each(|start| writer.write(&records(start..start + size)).unwrap());
        writer.finish().unwrap();
    }
}

/// Bytes that building and reading take at the peak, the batch not counted.
fn peak<S: Source<f64>>(build: impl FnOnce() -> Result<S, Error>, rows: usize) -> Result<usize, Error> {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut source = build()?;
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let (mut read, mut largest) = (0, 0);
    loop {
        batch.clear();
        match source.fill(&mut batch, 64)? {
            0 => break,
            n => read += n,
        }
        largest = largest.max(batch.bytes());
    }
    assert_eq!(read, rows);
    Ok(PEAK.load(Ordering::Relaxed) - before - largest)
}

const ROWS: usize = 200_000;
const COLUMNS: [&str; 3] = ["real", "count", "text"];

/// For what does not depend on the rows: thread, schema, names.
const SLACK: usize = 64 << 10;

#[test]
fn reading_stays_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    large_record_batches_are_refused(folder.path());
    write_csv(&path("rows.csv"), ROWS);
    write_ipc(&path("rows.arrows"), ROWS, 500, true);
    write_ipc(&path("rows.arrow"), ROWS, 500, false);
    for budget in [256 << 10, 1 << 20, 16 << 20] {
        let csv = || CsvBuilder::file(path("rows.csv")).columns(COLUMNS).budget(budget).build();
        let stream = || IpcBuilder::file(path("rows.arrows")).columns(COLUMNS).budget(budget).build();
        let file = || IpcBuilder::file(path("rows.arrow")).columns(COLUMNS).budget(budget).build();
        for (name, peak) in [("CSV", peak(csv, ROWS)), ("stream", peak(stream, ROWS)), ("file", peak(file, ROWS))] {
            let peak = peak.unwrap_or_else(|error| panic!("{name}, {budget} bytes: {error}"));
            println!("{name}: budget {budget}, peak {peak}");
            assert!(peak as u64 <= budget + SLACK as u64, "{name}: budget {budget}, peak {peak}");
        }
    }
}

/// A record batch that is too large is refused before there is room for it.
fn large_record_batches_are_refused(folder: &Path) {
    let path = folder.join("large.arrows");
    write_ipc(&path, 50_000, 50_000, true);
    let build = || IpcBuilder::file(&path).columns(COLUMNS).budget(1 << 20).build::<f64>();
    let read = build().and_then(|mut source| {
        let mut batch = Batch::new(Arc::clone(source.schema()));
        source.fill(&mut batch, 10)
    });
    let error = read.unwrap_err().to_string();
    assert!(error.contains("large.arrows") && error.contains("bytes"), "{error}");
}
