//! What is alive while files are read stays within the budget, whatever their size. One test, as the count is of the
//! whole process.

mod common;
mod counting;

use std::path::Path;
use std::sync::atomic::Ordering;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch};
use counting::{LIVE, PEAK};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};
use tidemill_data::{Batch, Cursor, Error, Source};
use tidemill_data_parquet::{ListAs, NullItems, ParquetSource, ParquetSourceBuilder};

/// Numbers, texts that are all different and long texts that recur, in row groups of `group` rows.
fn write(path: &Path, rows: usize, group: usize, dictionaries: bool) {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(dictionaries)
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(group))
        .set_data_page_size_limit(32 << 10)
        .set_data_page_row_count_limit(4000)
        .build();
    let chunk = |start: usize, n: usize| {
        let (mut texts, mut recurring) = (StringBuilder::new(), StringDictionaryBuilder::<Int32Type>::new());
        for i in start..start + n {
            // The texts of every tenth thousand rows are long: a mean tells little of them.
            texts.append_value(format!("{i:06}").repeat(if i / 1000 % 10 == 0 { 20 } else { 1 }));
            recurring.append_value(format!("{}", i % 7).repeat(4000));
        }
        let reals = Float32Array::from_iter_values((start..start + n).map(|i| (i as f32).sin()));
        let integers = Int64Array::from_iter((start..start + n).map(|i| (i % 3 > 0).then_some(i as i64)));
        let columns: [(&str, ArrayRef); 4] = [
            ("real", common::array(reals)),
            ("integer", common::array(integers)),
            ("text", common::array(texts.finish())),
            ("recurring", common::array(recurring.finish())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    };
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, chunk(0, 1).schema(), Some(properties)).unwrap();
    for start in (0..rows).step_by(5000) {
        writer.write(&chunk(start, 5000)).unwrap();
    }
    writer.close().unwrap();
}

/// Bytes that building and reading take at the peak, the batch not counted.
fn peak(path: &Path, columns: &[&str], budget: u64, threads: usize) -> Result<usize, Error> {
    peak_of(|| ParquetSource::open(path).columns(columns.iter().copied()).threads(threads), budget)
}

/// The same of any source; it is opened while bytes are counted.
fn peak_of(open: impl FnOnce() -> ParquetSourceBuilder, budget: u64) -> Result<usize, Error> {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut source = open().budget(budget).build()?;
    let building = PEAK.load(Ordering::Relaxed) - before;
    let mut batch = Batch::<f32>::new(source.schema().clone());
    let mut rows = 0;
    // The first epoch makes the batch as large as it gets.
    for epoch in 0..2 {
        common::seek(&mut source, Cursor::start(epoch))?;
        PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
        while source.fill(&mut batch, 64)? > 0 {
            rows += batch.rows() as u64;
            batch.clear();
        }
    }
    assert_eq!(rows, 2 * source.rows());
    Ok(building.max(PEAK.load(Ordering::Relaxed) - before - batch.bytes()))
}

#[test]
fn reading_stays_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("many", 120_000, 5000), ("few", 120_000, 60_000), ("short", 20_000, 5000)];
    let choices: [&[&str]; 3] = [&["real", "integer"], &["text"], &["real", "integer", "text", "recurring"]];
    let mut peaks = Vec::new();
    for (name, rows, group) in files {
        let path = folder.path().join(name);
        write(&path, rows, group, true);
        for columns in choices {
            let Err(Error::Budget { needed, budget: 10_000, .. }) = peak(&path, columns, 10_000, 1) else {
                panic!("10 kB are too little for {columns:?} of {name}")
            };
            let refused = peak(&path, columns, needed - 1, 1);
            assert!(matches!(refused, Err(Error::Budget { needed: n, .. }) if n == needed), "{name}, {columns:?}");
            for budget in [needed, needed * 3 / 2, needed * 4, 64 << 20] {
                let peak = peak(&path, columns, budget, 1).unwrap();
                println!("{name}, {columns:?}: budget {budget}, peak {peak}");
                assert!(peak as u64 <= budget + SLACK, "{name}, {columns:?}: budget {budget}, peak {peak}");
                peaks.push(peak);
            }
        }
    }
    plain_numbers(folder.path());
    lists(folder.path());
    // Six times the row groups take as much to read, but for the list of them.
    for (many, short) in peaks[..12].iter().zip(&peaks[24..]) {
        assert!(*many < short + 20 * GROUP, "{many} {short}");
    }
}

/// Numbers that are decoded ahead, as far as the budget allows.
fn plain_numbers(folder: &Path) {
    for (name, rows, group) in [("plain many", 120_000, 5000), ("plain few", 120_000, 60_000)] {
        let path = folder.join(name);
        write(&path, rows, group, false);
        for columns in [&["real"][..], &["integer", "real"]] {
            let Err(Error::Budget { needed, .. }) = peak(&path, columns, 10_000, 1) else {
                panic!("10 kB are too little for {columns:?} of {name}")
            };
            let refused = peak(&path, columns, needed - 1, 3);
            assert!(matches!(refused, Err(Error::Budget { needed: n, .. }) if n == needed), "{name}, threads or not");
            for budget in [needed, needed * 5 / 4, needed * 3 / 2, needed * 2, needed * 4] {
                for threads in [1, 2, 4] {
                    let peak = peak(&path, columns, budget, threads).unwrap();
                    println!("{name}, {columns:?}, {threads} threads: budget {budget}, peak {peak}");
                    assert!(peak as u64 <= budget + SLACK, "{name}, {columns:?}, {threads} threads: {budget}, {peak}");
                }
            }
        }
    }
}

/// Lists, of numbers and of texts, some thousand times as long in some rows as in others.
fn write_lists(path: &Path, rows: usize, group: usize, version: WriterVersion) {
    let properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(group))
        .set_data_page_size_limit(32 << 10)
        .set_offset_index_disabled(true)
        .build();
    let chunk = |start: usize, n: usize| {
        let mut numbers = ListBuilder::new(Float32Builder::new());
        let mut texts = ListBuilder::new(StringBuilder::new());
        for i in start..start + n {
            let length = if i % 5000 == 4999 { 5000 } else { i % 7 };
            numbers.append_value((0..length).map(|k| (k % 5 > 0).then_some((i + k) as f32)));
            texts.append_value((0..length % 100).map(|k| Some(format!("{i} {k}"))));
        }
        let columns: [(&str, ArrayRef); 2] =
            [("numbers", common::array(numbers.finish())), ("texts", common::array(texts.finish()))];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    };
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, chunk(0, 1).schema(), Some(properties)).unwrap();
    for start in (0..rows).step_by(5000) {
        writer.write(&chunk(start, 5000)).unwrap();
    }
    writer.close().unwrap();
}

fn lists(folder: &Path) {
    let sum = |source: ParquetSourceBuilder| source.feature_as("numbers", ListAs::Sum.nulls(NullItems::Skip));
    let text = |source: ParquetSourceBuilder| source.feature_as("texts", ListAs::FirstText);
    let choices: [&dyn Fn(ParquetSourceBuilder) -> ParquetSourceBuilder; 3] =
        [&sum, &text, &|source| text(sum(source))];
    for (version, name) in [(WriterVersion::PARQUET_1_0, "lists v1"), (WriterVersion::PARQUET_2_0, "lists v2")] {
        let path = folder.join(name);
        write_lists(&path, 60_000, 30_000, version);
        for (choice, columns) in choices.iter().enumerate() {
            let open = |budget| peak_of(|| columns(ParquetSource::open(&path)), budget);
            let Err(Error::Budget { needed, .. }) = open(10_000) else { panic!("10 kB are too little for {name}") };
            assert!(matches!(open(needed - 1), Err(Error::Budget { needed: n, .. }) if n == needed), "{name}");
            for budget in [needed, needed * 3 / 2, needed * 4, 64 << 20] {
                let peak = open(budget).unwrap();
                println!("{name}, choice {choice}: budget {budget}, peak {peak}");
                assert!(peak as u64 <= budget + SLACK, "{name}, choice {choice}: budget {budget}, peak {peak}");
            }
        }
    }
}

/// For what comes with the files whatever is read: the schema, several times, and the names.
const SLACK: u64 = 32 << 10;

/// What a source remembers of each row group.
const GROUP: usize = 160;
