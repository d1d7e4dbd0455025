use std::fs;

use super::*;
use crate::{ParquetWriter, ValueType, Values};

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

/// Whatever bit of a file is wrong, both ways give the same numbers or the same error.
#[test]
fn broken_files_are_the_same_to_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.parquet");
    let mut writer = ParquetWriter::create(&path, [("x", ValueType::F32), ("y", ValueType::F64)]).unwrap();
    let numbers: Vec<f32> = (0..40u8).map(|i| f32::from(i) / 8.0).collect();
    let doubles: Vec<f64> = numbers.iter().map(|&x| f64::from(x).sqrt()).collect();
    writer.write(&[Values::F32(&numbers), Values::F64(&doubles)]).unwrap();
    writer.finish().unwrap();
    let whole = fs::read(&path).unwrap();
    assert_eq!(read(&path, 1, false), read(&path, 1, true));
    let (mut same, mut errors) = (0, 0);
    for bit in (8 * 4..8 * whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let [plain, ahead, arrow] = [(1, false), (3, false), (1, true)].map(|(n, alone)| read(&path, n, alone));
        assert!(plain == arrow, "bit {bit}: {plain:?}\n{arrow:?}");
        assert!(ahead == arrow, "bit {bit}, decoded ahead: {ahead:?}\n{arrow:?}");
        *if arrow.is_ok() { &mut same } else { &mut errors } += 1;
    }
    assert!(same > 100 && errors > 100, "{same} files were read, {errors} were refused");
}
