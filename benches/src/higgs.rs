//! Rows in the shape of the HIGGS data set: a label, and 28 numbers with a signal that is not linear.
//!
//! # References
//!
//! P. Baldi, P. Sadowski, D. Whiteson, *Searching for exotic particles in high-energy physics with deep learning*, 2014.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tidemill::prelude::*;
use tidemill::tensor::Key;
use tidemill::tensor::ndarray_rand::rand::Rng;
use tidemill::tensor::ndarray_rand::rand_distr::StandardNormal;

use crate::progress::Progress;

/// Numbers in a row, beside its label.
pub const FEATURES: usize = 28;

/// Rows of a row group, and of what is drawn at once.
const CHUNK: usize = 65_536;

/// `f00` to `f27`.
pub fn names() -> impl Iterator<Item = String> {
    (0..FEATURES).map(|i| format!("f{i:02}"))
}

/// Writes a Parquet file of so many rows: columns `label` and [`names`], zstd, row groups of 65,536 rows.
///
/// # Errors
///
/// When there are no rows, or the file cannot be written.
pub fn write(path: &Path, rows: usize) -> Result<()> {
    ensure!(rows > 0, "rows: 0; a file needs 1 or more");
    let columns = ["label".to_owned()].into_iter().chain(names()).map(|name| (name, ValueType::F32));
    let mut writer = ParquetWriter::create(path, columns)?;
    let mut progress = Progress::new("writing rows", rows);
    for start in (0..rows).step_by(CHUNK) {
        let columns = columns_of(start, rows);
        writer.write(&columns.iter().map(|column| Values::F32(column)).collect::<Vec<_>>())?;
        progress.reached(start + columns[0].len());
    }
    Ok(writer.finish()?)
}

/// The rows that [`write`] would write, in memory.
///
/// # Errors
///
/// When there are none.
pub fn memory(rows: usize) -> Result<MemorySource<f32>> {
    ensure!(rows > 0, "rows: 0; expected 1 or more");
    let (mut x, mut y) = (Vec::with_capacity(rows * FEATURES), Vec::with_capacity(rows));
    for start in (0..rows).step_by(CHUNK) {
        let columns = columns_of(start, rows);
        y.extend(&columns[0]);
        x.extend((0..columns[0].len()).flat_map(|row| columns[1..].iter().map(move |column| column[row])));
    }
    Ok(MemorySource::builder().reals("x", FEATURES, x).target(y).build()?)
}

/// A source over a file of such rows: one feature `x` of 28 numbers, and the label; decoded by so many threads.
///
/// # Errors
///
/// When there is no such file, it is of another shape, or the budget (in bytes) is too small.
pub fn open(path: &Path, budget: Option<u64>, threads: usize) -> Result<ParquetSource<f32>> {
    let builder = ParquetSource::open(path).real_block("x", names()).target("label").threads(threads);
    let builder = budget.into_iter().fold(builder, |builder, bytes| builder.budget(bytes));
    builder.build().with_context(|| "expected a file with the columns label and f00 to f27".to_owned())
}

/// The chunk that begins at a row: the label, then each feature. A function of the row, not of what was drawn before.
fn columns_of(start: usize, rows: usize) -> Vec<Vec<f32>> {
    let rows = CHUNK.min(rows - start);
    let mut rng = Key::new(7).fold(start as u64).rng();
    let mut draw = || (0..rows).map(|_| rng.sample(StandardNormal)).collect::<Vec<f32>>();
    // The noise first; the label takes its place.
    let mut columns: Vec<Vec<f32>> = (0..=FEATURES).map(|_| draw()).collect();
    let label = |row: usize| {
        let x = |feature: usize| columns[1 + feature][row];
        let signal = 0.5 * x(0) * x(1) + (x(2) - x(3)).tanh() + 0.5 * (x(4) + x(5)) - 0.3 * x(6).abs();
        f32::from(signal + columns[0][row] > 0.0)
    };
    columns[0] = (0..rows).map(label).collect();
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill::data::Batch;

    fn rows(source: &mut dyn Source<f32>, rows: usize) -> Batch<f32> {
        let mut batch = Batch::new(source.schema().clone());
        source.fill(&mut batch, rows).unwrap();
        batch
    }

    #[test]
    fn a_file_holds_the_rows_of_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("higgs.parquet");
        write(&path, CHUNK + 3).unwrap();
        let mut file = open(&path, None, 2).unwrap();
        assert_eq!(file.rows(), (CHUNK + 3) as u64);
        let (file, memory) = (rows(&mut file, CHUNK + 3), rows(&mut memory(CHUNK + 3).unwrap(), CHUNK + 3));
        assert_eq!((file.reals(0), file.reals(1)), (memory.reals(0), memory.reals(1)));
        let mean = f64::from(memory.reals(1).iter().sum::<f32>()) / memory.rows() as f64;
        assert!((0.3..0.7).contains(&mean), "labels are mixed: {mean}");
    }

    #[test]
    fn what_is_no_such_file_is_refused_by_name() {
        assert!(memory(0).unwrap_err().to_string().contains("rows: 0"));
        let error = format!("{:#}", open(Path::new("no-such-file.parquet"), None, 1).err().unwrap());
        assert!(error.contains("label and f00 to f27") && error.contains("no-such-file.parquet"), "{error}");
    }
}
