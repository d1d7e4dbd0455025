//! Rows in the shape of the HIGGS data set: a label, and 28 numbers with a signal that is not linear.
//!
//! P. Baldi, P. Sadowski, D. Whiteson, *Searching for exotic particles in high-energy physics with deep learning*, 2014.

use std::path::Path;

use anyhow::Result;
use tidemill::parquet::{ParquetWriter, ValueType, Values};
use tidemill::tensor::Key;
use tidemill::tensor::ndarray_rand::rand::Rng;
use tidemill::tensor::ndarray_rand::rand_distr::StandardNormal;

const FEATURES: usize = 28;
/// Rows of a row group, and of what is drawn at once.
const CHUNK: usize = 65_536;

/// Writes a file of so many rows: columns `label` (0 or 1) and `f00` to `f27`.
pub(super) fn write(path: &Path, rows: usize) -> Result<()> {
    let features = (0..FEATURES).map(|i| (format!("f{i:02}"), ValueType::F32));
    let columns = [("label".to_owned(), ValueType::I64)].into_iter().chain(features);
    let mut writer = ParquetWriter::create(path, columns)?;
    for start in (0..rows).step_by(CHUNK) {
        let mut rng = Key::new(7).fold(start as u64).rng();
        let mut draw = || (0..CHUNK.min(rows - start)).map(|_| rng.sample(StandardNormal)).collect::<Vec<f32>>();
        let (noise, x): (Vec<f32>, Vec<Vec<f32>>) = (draw(), (0..FEATURES).map(|_| draw()).collect());
        let label = |row: usize| {
            let x = |feature: usize| x[feature][row];
            let signal = 0.5 * x(0) * x(1) + (x(2) - x(3)).tanh() + 0.5 * (x(4) + x(5)) - 0.3 * x(6).abs();
            i64::from(signal + 0.5 * noise[row] > 0.0)
        };
        let labels: Vec<i64> = (0..noise.len()).map(label).collect();
        let values = [Values::I64(&labels)].into_iter().chain(x.iter().map(|column| Values::F32(column)));
        writer.write(&values.collect::<Vec<_>>())?;
    }
    Ok(writer.finish()?)
}
