//! Rows of 28 numbers and a target: from memory in order and shuffled, from Parquet, and encoded.

mod common;

use std::path::Path;

use common::normal;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemill::data::{Batch, Cursor};
use tidemill::parquet::{ValueType, Values};
use tidemill::prelude::*;
use tidemill::tensor::Scalar;

const ROWS: usize = 65_536;
const WIDTH: usize = 28;
const BATCH: usize = 1024;

fn sources(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.parquet");
    write(&path).expect("a file in a temporary folder");

    let memory = MemorySource::builder().reals("x", WIDTH, normal(ROWS * WIDTH)).target(normal(ROWS));
    let memory = memory.build().expect("columns of one length");
    let raw = MemorySource::<f64>::load(open(&path), 1 << 30).expect("rows that fit");
    let (encoder, _) = names()
        .fold(Encoder::builder(), |encoder, name| encoder.feature(&name, Encoding::standardize()))
        .target("target", Encoding::above(0.0))
        .fit(&mut raw.clone())
        .expect("finite columns");

    let mut group = criterion.benchmark_group("source");
    group.throughput(Throughput::Elements(ROWS as u64));
    let mut check = |name, source: &mut dyn Source<f32>| {
        group.bench_function(name, |b| b.iter(|| epoch(source)));
    };
    check("memory in order", &mut memory.clone());
    check("memory shuffled", &mut memory.shuffled(1));
    check("parquet", &mut open::<f32>(&path));
    check("memory encoded", &mut raw.encode(&encoder).expect("the fitted columns"));
    let file: Box<dyn Source<f64>> = Box::new(open(&path));
    check("parquet encoded", &mut file.encode(&encoder).expect("the fitted columns"));
}

fn epoch<T: Scalar>(source: &mut dyn Source<T>) {
    let mut batch = Batch::new(source.schema().clone());
    source.seek(Cursor::start(0)).expect("the start exists");
    while source.fill(&mut batch, BATCH).expect("rows as declared") > 0 {
        batch.clear();
    }
}

fn names() -> impl Iterator<Item = String> {
    (0..WIDTH).map(|i| format!("x{i}"))
}

fn open<T: Scalar>(path: &Path) -> ParquetSource<T> {
    ParquetSource::open(path).columns(names()).target("target").build().expect("the file just written")
}

fn write(path: &Path) -> Result<(), tidemill::data::Error> {
    let numbers: Vec<Vec<f32>> = (0..=WIDTH).map(|_| normal(ROWS)).collect();
    let columns = names().chain(["target".into()]).map(|name| (name, ValueType::F32));
    let mut writer = ParquetWriter::create(path, columns)?;
    writer.write(&numbers.iter().map(|column| Values::F32(column)).collect::<Vec<_>>())?;
    writer.finish()
}

criterion_group! { name = all; config = common::short(); targets = sources }
criterion_main!(all);
