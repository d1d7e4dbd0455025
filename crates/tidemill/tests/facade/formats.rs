//! Promise 2 across formats: the same rows as CSV, as Arrow IPC and as Parquet are the same batches and the same training,
//! bit by bit.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use tidemill::data::{Batch as Rows, Column};
use tidemill::prelude::*;
use tidemill::tensor::{Key, Scalar};

use crate::training::{bits, train};

const ROWS: usize = 300;
const REALS: [&str; 4] = ["wide", "narrow", "count", "flag"];

/// Numbers that are easily rounded wrongly, and others of any size.
fn wide(row: usize) -> Option<f64> {
    const AWKWARD: [f64; 9] = [-0.0, 0.1, 5e-324, f64::MIN_POSITIVE, f64::MAX, 1.0 / 3.0, 8.5e37, 16_777_217.0, 1e23];
    let random = Key::new(3).block(row as u64);
    let any = f64::from(random[0]) * 10f64.powi((random[1] % 40) as i32 - 20);
    (row % 11 != 4).then(|| AWKWARD.get(row).copied().unwrap_or(any))
}

fn narrow(row: usize) -> Option<f32> {
    (row % 13 != 5).then(|| (Key::new(4).block(row as u64)[0] as f32).sin())
}

/// Integers that 64 bits of floating point hold, up to the largest.
fn count(row: usize) -> Option<i64> {
    (row % 7 != 3).then(|| (1 << 53) >> (row % 54)).map(|count| if row.is_multiple_of(2) { count } else { -count })
}

fn name(row: usize) -> Option<&'static str> {
    const NAMES: [&str; 6] = ["AA", "zürich", "a, comma", "a \"quote\"", "two\nlines", " space "];
    (row % 9 != 7).then(|| NAMES[row * row % 6])
}

fn table() -> RecordBatch {
    let rows = || 0..ROWS;
    let columns: [(&str, ArrayRef); 6] = [
        ("wide", Arc::new(rows().map(wide).collect::<Float64Array>())),
        ("narrow", Arc::new(rows().map(narrow).collect::<Float32Array>())),
        ("count", Arc::new(rows().map(count).collect::<Int64Array>())),
        ("flag", Arc::new(rows().map(|row| Some(row % 3 == 0)).collect::<BooleanArray>())),
        ("gear", Arc::new(rows().map(|row| Some(row as i64 % 5)).collect::<Int64Array>())),
        ("name", Arc::new(rows().map(name).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn csv() -> String {
    fn text<V: ToString>(value: Option<V>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    let mut csv = "wide,narrow,count,flag,gear,name\n".to_owned();
    for row in 0..ROWS {
        // With exponents, which are short.
        let wide = text(wide(row).map(|value| format!("{value:e}")));
        let name = text(name(row).map(|name| format!("\"{}\"", name.replace('"', "\"\""))));
        writeln!(
            csv,
            "{wide},{},{},{},{},{name}",
            text(narrow(row).map(f64::from)),
            text(count(row)),
            row % 3 == 0,
            row % 5
        )
        .unwrap();
    }
    csv
}

/// The rows in each format, and in record batches and row groups of different lengths.
struct Files {
    csv: PathBuf,
    ipc: Vec<PathBuf>,
    parquet: PathBuf,
}

impl Files {
    fn write(folder: &Path) -> Self {
        let table = table();
        let pieces = |length: usize| (0..ROWS).step_by(length).map(move |at| (at, length.min(ROWS - at)));
        let [csv_path, file, stream, parquet] =
            ["rows.csv", "rows.arrow", "rows.arrows", "rows.parquet"].map(|name| folder.join(name));
        std::fs::write(&csv_path, csv()).unwrap();
        let mut writer = FileWriter::try_new(File::create(&file).unwrap(), &table.schema()).unwrap();
        pieces(64).for_each(|(at, n)| writer.write(&table.slice(at, n)).unwrap());
        writer.finish().unwrap();
        let zstd = IpcWriteOptions::default().try_with_compression(Some(arrow_ipc::CompressionType::ZSTD)).unwrap();
        let out = File::create(&stream).unwrap();
        let mut writer = StreamWriter::try_new_with_options(out, &table.schema(), zstd).unwrap();
        pieces(37).for_each(|(at, n)| writer.write(&table.slice(at, n)).unwrap());
        writer.finish().unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&parquet).unwrap(), table.schema(), None).unwrap();
        pieces(110).for_each(|(at, n)| {
            writer.write(&table.slice(at, n)).unwrap();
            writer.flush().unwrap();
        });
        writer.close().unwrap();
        Self { csv: csv_path, ipc: vec![file, stream], parquet }
    }

    /// A source of each, Parquet first.
    fn open<T: Scalar>(&self) -> Vec<(String, Box<dyn Source<T>>)> {
        let parquet = ParquetSource::open(&self.parquet).columns(REALS).feature("name").feature_index("gear", 5);
        let csv = CsvBuilder::file(&self.csv).columns(REALS).feature("name").feature_index("gear", 5);
        let mut all = vec![("Parquet".into(), parquet.build::<T>().unwrap().boxed())];
        all.push(("CSV".into(), csv.build::<T>().unwrap().boxed()));
        for path in &self.ipc {
            let ipc = IpcBuilder::file(path).columns(REALS).feature("name").feature_index("gear", 5);
            all.push((path.display().to_string(), ipc.build::<T>().unwrap().boxed()));
        }
        all
    }
}

/// Batches as numbers that are equal only where all bits are.
fn read<T: Scalar>(source: &mut dyn Source<T>, size: usize) -> Vec<String> {
    let shown = |batch: &Rows<T>| {
        let column = |column: &Column<T>| match column {
            Column::Real { nulls, values, .. } => {
                let value = |(row, value): (usize, &T)| (!nulls.is_null(row)).then(|| value.widen().to_bits());
                format!("{:?}", values.iter().enumerate().map(value).collect::<Vec<_>>())
            }
            Column::Index { values } => format!("{values:?}"),
            Column::Text { .. } => format!("{:?}", (0..batch.rows()).map(|row| column.text(row)).collect::<Vec<_>>()),
        };
        batch.columns().iter().map(column).collect::<Vec<_>>().join("\n")
    };
    let mut all = Vec::new();
    let mut batch = Rows::new(source.schema().clone());
    while source.fill(&mut batch, size).unwrap() > 0 {
        all.push(shown(&batch));
        batch.clear();
    }
    all
}

#[test]
fn every_format_fills_the_same_batches() {
    check_batches::<f32>();
    check_batches::<f64>();
}

fn check_batches<T: Scalar>() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::write(folder.path());
    for size in [1, 16, 1000] {
        let mut sources = files.open::<T>().into_iter();
        let want = read(&mut *sources.next().unwrap().1, size);
        assert_eq!(want.len(), ROWS.div_ceil(size));
        if size == 1000 {
            let bits = |value: Option<f64>| value.map(|value| T::of(value).widen().to_bits());
            let wide = format!("{:?}", (0..ROWS).map(|row| bits(wide(row))).collect::<Vec<_>>());
            assert_eq!(want[0].lines().next(), Some(&*wide), "the numbers are those that were written");
        }
        for (format, mut source) in sources {
            assert_eq!(source.schema().fields.len(), 6);
            let got = read(&mut *source, size);
            assert_eq!(got.len(), want.len(), "{format}, {size} rows at a time");
            for (batch, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_eq!(got, want, "{format}, batch {batch} of {size} rows");
            }
        }
    }
}

#[test]
fn every_format_trains_the_same_model() {
    check_training::<f32>();
    check_training::<f64>();
}

fn check_training<T: Scalar>() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::write(folder.path());
    let fitted = |mut source: Box<dyn Source<f64>>| {
        let builder = Encoder::builder()
            .feature("narrow", Encoding::standardize().missing(Missing::MeanWithIndicator))
            .feature("name", Encoding::category().max_categories(4))
            .feature("count", Encoding::above(0.0).missing(Missing::Constant(1.0)))
            .target("flag", Encoding::above(0.5));
        builder.fit(&mut source).unwrap().0
    };
    let mut encoders = files.open::<f64>().into_iter().map(|(format, source)| (format, fitted(source)));
    let encoder = encoders.next().unwrap().1;
    for (format, other) in encoders {
        assert_eq!(other, encoder, "fitted to {format}");
    }
    let online = Online::new().passes(2).batch_size(20);
    let trainer = crate::training::trainer::<T>(&encoder);
    let results = files.open::<f64>().into_iter().map(|(format, source)| {
        let mut source = source.encode::<T>(&encoder).unwrap();
        (format, bits(&train(&trainer, &online, &mut source)))
    });
    let results: Vec<_> = results.collect();
    let start = trainer.start_with(7, crate::training::metrics());
    assert_ne!(bits(&start), results[0].1, "it trains");
    for (format, result) in &results[1..] {
        assert!(*result == results[0].1, "trained from {format}");
    }
}
