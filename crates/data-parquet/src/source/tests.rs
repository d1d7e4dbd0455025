use std::fs;

use arrow_array::{Float32Array, Float64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::*;

/// Rows, or what the error says.
fn read(path: &Path, threads: usize, arrow_alone: bool) -> Result<Vec<u32>, String> {
    let open = || {
        let mut source = ParquetSource::open(path).columns(["x", "y"]).threads(threads).build::<f32>()?;
        Arc::get_mut(&mut source.plan).expect("nobody else has it").arrow_alone = arrow_alone;
        let mut batch = Batch::new(Arc::clone(source.schema()));
        source.fill(&mut batch, 1000)?;
        Ok(batch.reals(0).iter().chain(batch.reals(1)).map(|x| x.to_bits()).collect())
    };
    open().map_err(|error: Error| error.to_string())
}

/// How the file is written whose bits are flipped.
fn check(columns: [arrow_array::ArrayRef; 2], properties: WriterProperties) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.parquet");
    let [x, y] = columns;
    let rows = RecordBatch::try_from_iter_with_nullable([("x", x, true), ("y", y, true)]).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let whole = fs::read(&path).unwrap();
    assert_eq!(read(&path, 1, false), read(&path, 1, true));
    let (mut same, mut errors) = (0, 0);
    for bit in (8 * 4..8 * whole.len()).step_by(19) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let [plain, ahead, arrow] = [(1, false), (3, false), (1, true)].map(|(n, alone)| read(&path, n, alone));
        assert!(plain == arrow, "bit {bit}: {plain:?}\n{arrow:?}");
        assert!(ahead == arrow, "bit {bit}, decoded ahead: {ahead:?}\n{arrow:?}");
        *if arrow.is_ok() { &mut same } else { &mut errors } += 1;
    }
    assert!(same > 20 && errors > 20, "{same} files were read, {errors} were refused");
}

fn numbers(is_there: impl Fn(usize) -> bool) -> [arrow_array::ArrayRef; 2] {
    let x = (0..40).map(|i| is_there(i).then_some((i * i % 7) as f32 / 8.0));
    let y = (0..40).map(|i| is_there(i + 1).then_some((i as f64).sqrt()));
    [Arc::new(Float32Array::from_iter(x)), Arc::new(Float64Array::from_iter(y))]
}

/// Whatever bit of a file is wrong, both ways give the same numbers or the same error.
#[test]
fn broken_files_are_the_same_to_both_ways() {
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for (dictionary, nulls) in [(false, false), (false, true), (true, false), (true, true)] {
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_dictionary_enabled(dictionary)
                .set_data_page_row_count_limit(15)
                .set_write_batch_size(15)
                .set_compression(Compression::ZSTD(ZstdLevel::default()));
            check(numbers(|i| !(nulls && i % 5 == 1)), properties.build());
        }
    }
}
