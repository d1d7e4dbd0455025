//! One number of bytes bounds reading, shuffling, reading ahead and batches, on files of any size. One test, as what it
//! counts is of the whole process.

mod counting;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use bytes::Bytes;
use counting::{LIVE, PEAK};
use parquet::arrow::ArrowWriter;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use tidemill_data::{Batch, Order, Source, SourceExt};
use tidemill_data_parquet::ParquetSource;

const COLUMNS: usize = 32;
const GROUP: usize = 65_536;
const BUDGET: u64 = 64 << 20;

fn names() -> impl Iterator<Item = String> {
    (0..COLUMNS).map(|column| format!("x{column}"))
}

/// A file of one row group of plain numbers, in memory; the first column counts its rows.
fn one_group() -> Bytes {
    let column = |column: usize| -> ArrayRef {
        let value = |row: usize| if column == 0 { row as f32 } else { ((row * 31 + column * 7) % 1009) as f32 };
        Arc::new(Float32Array::from_iter_values((0..GROUP).map(value)))
    };
    let rows = RecordBatch::try_from_iter(names().enumerate().map(|(i, name)| (name, column(i)))).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_data_page_size_limit(64 << 10);
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties.build())).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap().into()
}

/// That row group, copied as it is so many times.
fn write(path: &Path, groups: usize) {
    let one = one_group();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&one).unwrap();
    let schema = metadata.file_metadata().schema_descr().root_schema_ptr();
    let file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    for _ in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        for column in metadata.row_group(0).columns() {
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: GROUP as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            group.append_column(&one, close).unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Bytes that building the pipeline and reading an epoch take at the peak, all batches included.
fn peak(path: &Path, groups: u64, order: Order) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let source = ParquetSource::open(path).real_block("x", names()).threads(2).shuffle_blocks(7).block_rows(16_384);
    let source = source.build::<f32>().unwrap();
    assert_eq!(source.blocks().unwrap().count, 4 * groups);
    let mut feed = source.feed().batch_size(1024).order(order).budget(BUDGET).build().unwrap();
    let plan = feed.memory_plan();
    println!("{plan}");
    assert!(plan.total() <= BUDGET);
    let mut batch = Batch::new(Arc::clone(feed.schema()));
    let (mut rows, mut sum) = (0, 0);
    while feed.fill(&mut batch, 1024).unwrap() > 0 {
        rows += batch.rows() as u64;
        sum += batch.reals(0).iter().step_by(COLUMNS).map(|&row| row as u64).sum::<u64>();
        batch.clear();
    }
    let group = GROUP as u64;
    assert_eq!((rows, sum), (groups * group, groups * (group * (group - 1) / 2)));
    PEAK.load(Ordering::Relaxed) - before
}

/// The most memory that the process had, in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

#[test]
fn sixty_four_megabytes_are_enough_for_gigabytes() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("rows.parquet");
    for (groups, order) in [(16, Order::Windows(3)), (256, Order::Windows(3)), (20, Order::Exact(3))] {
        let began = std::time::Instant::now();
        write(&path, groups);
        println!("{groups} row groups written in {:?}", began.elapsed());
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert!(bytes > (groups * GROUP * COLUMNS * 4) as u64);
        let peak = peak(&path, groups as u64, order) as u64;
        println!("{order:?} over {} MiB: {} KiB held at most", bytes >> 20, peak >> 10);
        assert!(peak <= BUDGET, "{peak} bytes held over {bytes} bytes, {BUDGET} were asked for");
        assert!(peak > BUDGET / 2, "the counter counts");
    }
    let resident = resident();
    println!("{:?} MiB resident at most", resident.map(|bytes| bytes >> 20));
    // The program itself, its threads' stacks, and what was needed to write the file.
    assert!(resident.is_none_or(|bytes| bytes < BUDGET + (32 << 20)), "{resident:?} bytes were resident");
}
