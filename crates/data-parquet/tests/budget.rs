//! Whatever is done with a file: what is alive stays within the budget and a little. One test, as the count is of the
//! whole process.

mod common;
mod counting;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, StringArray};
use counting::{LIVE, PEAK};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use tidemill_data::{Batch, Error, Source};
use tidemill_data_parquet::{OnDamage, ParquetSource, describe_within, sort_by};

/// Beside the budget: names and schemas several times, what a writer holds before its first page.
const SLACK: usize = 2 << 20;

/// A window of brotli's decoder, of the size that writers choose.
const WINDOW: u64 = 4 << 20;

const MIB: u64 = 1 << 20;

/// What something gives, and the bytes that it takes at the peak.
fn peak<R>(what: impl FnOnce() -> R) -> (R, usize) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = what();
    (result, PEAK.load(Ordering::Relaxed) - before)
}

/// Does something within a budget and [`SLACK`].
fn within<R>(budget: u64, name: &str, what: impl FnOnce() -> R) -> R {
    let (result, peak) = peak(what);
    println!("{name}: budget {budget}, peak {peak}");
    assert!(peak <= budget as usize + SLACK, "{name}: budget {budget}, peak {peak}");
    result
}

fn write(path: &Path, rows: &RecordBatch, properties: WriterPropertiesBuilder) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties.build())).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

fn refused<R>(result: Result<R, Error>) -> u64 {
    match result {
        Err(Error::Budget { needed, budget, .. }) if needed > budget => needed,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("no error"),
    }
}

/// As pandas and pyarrow write it: dictionaries that grow to a megabyte, pages of one, one row group.
fn like_pandas(columns: usize, rows: usize) -> RecordBatch {
    let column = |c: usize| {
        let values = (0..rows).map(move |row| ((row * 31 + c * 7919) % 1_000_003) as f64 * 0.25 - c as f64);
        (format!("c{c}"), common::array(Float64Array::from_iter_values(values)))
    };
    RecordBatch::try_from_iter((0..columns).map(column)).unwrap()
}

fn check_rows(path: &Path, table: &RecordBatch, budget: u64, size: usize) {
    let names: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    let expected =
        |column: usize, row: usize| table.column(column).as_any().downcast_ref::<Float64Array>().unwrap().value(row);
    let source = within(budget, "build", || ParquetSource::open(path).columns(&names).budget(budget).build::<f64>());
    let mut source = source.unwrap();
    let mut batch = Batch::new(source.schema().clone());
    source.fill(&mut batch, size).unwrap();
    let mut row = 0;
    common::seek(&mut source, tidemill_data::Cursor::start(0)).unwrap();
    let mut read = 0;
    within(budget, "read", || {
        loop {
            batch.clear();
            let filled = source.fill(&mut batch, size).unwrap();
            for column in 0..names.len() {
                let values = batch.reals(column);
                assert!((0..filled).all(|i| values[i] == expected(column, row + i)), "column {column} from row {row}");
            }
            (row, read) = (row + filled, read + filled);
            if filled == 0 {
                break;
            }
        }
    });
    assert_eq!(read, table.num_rows());
    // A row in the midst, and one in front of it.
    for row in [table.num_rows() * 2 / 3, 5] {
        common::seek(&mut source, tidemill_data::Cursor::start(0).push(row as u64)).unwrap();
        batch.clear();
        assert_eq!(source.fill(&mut batch, 3).unwrap(), 3);
        assert!((0..names.len()).all(|column| batch.reals(column)[2] == expected(column, row + 2)));
    }
}

#[test]
fn cases_budgets_hold_on_every_path() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);

    // A page that is said to have a gigabyte, or honest texts of 800 MB: to sort, to read, to verify, to filter.
    for name in ["bomb-brotli.parquet", "sort-wide-text.parquet"] {
        let path = case(name);
        let is_bomb = name.starts_with("bomb");
        for budget in [16 * MIB, 2 * MIB] {
            let sorted = within(budget + WINDOW, "sort", || sort_by(&path, "k", at("out"), budget));
            // A page of a kilobyte, by its header, that holds a gigabyte.
            match sorted {
                Err(error) if is_bomb => {
                    assert!(error.to_string().contains("a page of 1000 bytes holds more"), "{error}")
                }
                other => assert!(refused(other) > 800_000_000),
            }
            assert!(!at("out").exists());
        }
        // Its pages of 16 MB need as much: a filter has a quarter of its budget for the columns of the condition.
        let budget = if is_bomb { 16 * MIB } else { 256 * MIB };
        let open = || ParquetSource::open(&path).columns(["k", "s"]).budget(budget);
        let condition = || "s != 'a'".parse().unwrap();
        if is_bomb {
            let read = within(budget, "read", || common::read_all(&mut open().build::<f64>().unwrap()).map(|_| ()));
            assert!(read.unwrap_err().to_string().contains("holds more"));
            let left = within(budget, "verify", || open().on_damage(OnDamage::Skip).build::<f64>()).unwrap();
            assert_eq!((left.rows(), left.damage().rows), (0, 32));
            let skipping = open().on_damage(OnDamage::Skip).filter(condition());
            let left = within(budget, "filter", || skipping.build::<f64>()).unwrap();
            assert_eq!((left.rows_to_look_at(), left.damage().rows), (0, 32));
            continue;
        }
        within(budget, "verify", || open().on_damage(OnDamage::Skip).build::<f64>()).unwrap();
        let count = within(budget, "filter", || {
            let rows = ParquetSource::open(&path).columns(["k"]).budget(budget);
            let mut source = rows.filter(condition()).build::<f64>().unwrap();
            let mut batch = Batch::new(source.schema().clone());
            while source.fill(&mut batch, 500).unwrap() > 0 {}
            batch.rows()
        });
        assert_eq!(count, 8000);
    }

    // What fits is sorted within its budget, long texts by a dictionary and plain ones too.
    let rows = 6000;
    let mut recurring = StringDictionaryBuilder::<Int32Type>::new();
    (0..rows).for_each(|i| recurring.append_value(format!("{}", i % 5).repeat(700)));
    let texts =
        StringArray::from_iter_values((0..rows).map(|i| format!("{i:05}").repeat(if i % 50 == 0 { 300 } else { 3 })));
    let keys = Int64Array::from_iter_values((0..rows as i64).map(|i| i * 7919 % 6007));
    let table = common::table([
        ("k", common::array(keys)),
        ("t", common::array(texts)),
        ("r", common::array(recurring.finish())),
    ]);
    let zstd = || WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    write(&at("sorts"), &table, zstd());
    let mut budget = MIB;
    // As it is told, until it is enough.
    for _ in 0..6 {
        match within(budget, "sort", || sort_by(at("sorts"), "k", at("sorted"), budget)) {
            Ok(()) => break,
            error => budget = refused(error),
        }
    }
    assert!(budget < 32 * MIB, "{budget}");
    let mut source = ParquetSource::open(at("sorted")).columns(["k", "t", "r"]).build::<f64>().unwrap();
    let batch = common::read_all(&mut source).unwrap();
    assert!(batch.reals(0).is_sorted() && batch.rows() == rows);
    assert!((0..rows).all(|row| {
        let i = (0..rows as i64).find(|i| (i * 7919 % 6007) as f64 == batch.reals(0)[row]).unwrap() as usize;
        let of = format!("{i:05}").repeat(if i.is_multiple_of(50) { 300 } else { 3 });
        batch.columns()[1].text(row) == Some(&of) && batch.columns()[2].text(row).is_some_and(|t| t.len() == 700)
    }));

    // A footer that is said to have two gigabytes, and one of elements that are far larger when they are decoded.
    let file = std::fs::File::create(at("long")).unwrap();
    file.set_len(2200 * MIB).unwrap();
    let tail = [&(2100u32 << 20).to_le_bytes()[..], b"PAR1"].concat();
    std::os::unix::fs::FileExt::write_all_at(&file, &tail, 2200 * MIB - 8).unwrap();
    assert!(refused(within(4 * MIB, "describe", || describe_within(at("long"), 4 * MIB))) > 2000 * MIB);
    let open = || ParquetSource::open(at("long")).columns(["x"]).budget(4 * MIB).build::<f64>();
    refused(within(4 * MIB, "read", open));
    let elements = 3_000_000u32;
    let varint = [0, 7, 14, 21].map(|shift| (elements >> shift & 0x7f) as u8 | if shift < 21 { 0x80 } else { 0 });
    for field in [2u8, 4, 5] {
        let list = [&[field << 4 | 9, 0xfc][..], &varint, &vec![0; elements as usize], &[0]].concat();
        let size = (list.len() as u32).to_le_bytes();
        std::fs::write(at("many"), [b"PAR1", &list[..], &size, b"PAR1"].concat()).unwrap();
        refused(within(8 * MIB, "describe", || describe_within(at("many"), 8 * MIB)));
    }
    drop(table);

    // Honest files whose pages do not fit together are read a few columns at a time.
    let table = like_pandas(11, 140_000);
    let properties = || {
        WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
    };
    write(&at("pandas"), &table, properties());
    for (budget, size) in [(32 * MIB, 1000), (8 * MIB, 32), (6 * MIB, 1000)] {
        check_rows(&at("pandas"), &table, budget, size);
    }
    let table = like_pandas(2000, 600);
    write(&at("wide"), &table, properties());
    for budget in [32 * MIB, 16 * MIB] {
        check_rows(&at("wide"), &table, budget, 40);
    }
    for compression in [Compression::GZIP(Default::default()), Compression::LZ4_RAW] {
        let table = like_pandas(11, 60_000);
        write(&at("others"), &table, properties().set_compression(compression));
        check_rows(&at("others"), &table, 6 * MIB, 500);
    }
    // What cannot be is told with what would do.
    let open = |budget| ParquetSource::open(at("wide")).all_columns().budget(budget).build::<f64>();
    let needed = refused(open(6 * MIB));
    assert!(open(needed).is_ok() && refused(open(needed - 1)) == needed);
    let advice = open(6 * MIB).map(|_| ()).unwrap_err().to_string();
    assert!(advice.contains("set a budget of") && advice.contains(&needed.to_string()), "{advice}");
}
