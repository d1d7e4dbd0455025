//! What is alive while an object of a store is read stays within the budget. One test, as the count is of the whole
//! process, the server's connections among it.

mod common;
mod counting;
mod server;

use std::path::Path;
use std::sync::atomic::Ordering;

use arrow_array::{Float64Array, Int64Array, StringArray};
use common::{array, seek, table};
use counting::{LIVE, PEAK};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use server::Server;
use tidemill_data::{Batch, Cursor, Error, Source};
use tidemill_data_parquet::ParquetSource;

const ROWS: usize = 120_000;

/// Numbers and texts, in row groups of 60,000 rows.
fn write(path: &Path) {
    let rows = || 0..ROWS;
    let table = table([
        ("plain", array(Float64Array::from_iter_values(rows().map(|i| (i as f64).sin())))),
        ("recurring", array(Int64Array::from_iter(rows().map(|i| (i % 9 > 0).then_some(i as i64 * 7 % 501))))),
        ("text", array(StringArray::from_iter_values(rows().map(|i| format!("{}", i * 7919 % 50_021))))),
    ]);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(60_000))
        .set_data_page_size_limit(32 << 10)
        .set_data_page_row_count_limit(4000)
        .set_column_dictionary_enabled("plain".into(), false)
        .set_column_dictionary_enabled("text".into(), false)
        .build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), table.schema(), Some(properties)).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
}

/// Bytes that building and reading take at the peak, the batch not counted.
fn peak(url: &str, columns: &[&str], budget: u64, threads: usize) -> Result<u64, Error> {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let source = ParquetSource::open(url).columns(columns.iter().copied()).threads(threads);
    let mut source = source.budget(budget).build::<f32>()?;
    let mut batch = Batch::<f32>::new(source.schema().clone());
    let mut rows = 0;
    for epoch in 0..2 {
        seek(&mut source, Cursor::start(epoch))?;
        while source.fill(&mut batch, 500)? > 0 {
            rows += batch.rows();
            batch.clear();
        }
    }
    assert_eq!(rows, 2 * ROWS);
    Ok((PEAK.load(Ordering::Relaxed) - before - batch.bytes()) as u64)
}

/// For what comes with the file whatever is read, and for a server and its connections.
const SLACK: u64 = 256 << 10;

#[test]
fn reading_stays_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path);
    let server = Server::start();
    server.put("/a.parquet", &path, Some("first"));
    let url = server.url("/a.parquet");
    // What the runtime and the client take is made once.
    peak(&url, &["plain"], 64 << 20, 2).unwrap();
    for columns in [&["plain"][..], &["plain", "recurring"], &["plain", "recurring", "text"]] {
        let Err(Error::Budget { needed, .. }) = peak(&url, columns, 10_000, 1) else {
            panic!("10 kB are too little for {columns:?}")
        };
        for budget in [needed, needed * 3 / 2, needed * 4, 64 << 20] {
            for threads in [1, 2] {
                let peak = peak(&url, columns, budget, threads).unwrap();
                println!("{columns:?}, {threads} threads: budget {budget}, peak {peak}");
                assert!(peak <= budget + SLACK, "{columns:?}, {threads} threads: budget {budget}, peak {peak}");
            }
        }
    }
}
