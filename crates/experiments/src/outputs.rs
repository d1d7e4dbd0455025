//! The files that a comparison leaves for its readers.

use std::path::Path;

use anyhow::{Context, Result};
use tidemill::data::file;
use tidemill::parquet::{ParquetWriter, ValueType, Values};

use crate::results::Results;
use crate::{curves, report};

/// What a comparison of strategies writes.
pub(crate) const FILES: [&str; 3] = ["report.html", "results.json", "curves.parquet"];

/// Removes the files of an earlier comparison, which would be taken for those of this one.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    FILES.iter().try_for_each(|name| {
        let path = folder.join(name);
        file::remove(&path).with_context(|| path.display().to_string())
    })
}

/// Writes results, report and curves, each whole or not at all.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    replace(&folder.join("results.json"), results.to_json()?)?;
    replace(&folder.join("report.html"), report::html(results))?;
    let curves = curves::curves(results);
    let path = folder.join("curves.parquet");
    let mut writer = ParquetWriter::create(
        &path,
        [
            ("strategy", ValueType::Text),
            ("seed", ValueType::I64),
            ("rows_trained", ValueType::I64),
            ("position", ValueType::I64),
            ("seconds", ValueType::F64),
            ("loss", ValueType::F64),
            ("score", ValueType::F64),
        ],
    )?;
    let strategies: Vec<&str> = curves.strategy.iter().map(String::as_str).collect();
    let [seed, rows, position] =
        [&curves.seed, &curves.rows_trained, &curves.position].map(|c| c.iter().map(|&n| n as i64).collect::<Vec<_>>());
    writer.write(&[
        Values::Text(&strategies),
        Values::I64(&seed),
        Values::I64(&rows),
        Values::I64(&position),
        Values::F64(&curves.seconds),
        Values::F64(&curves.loss),
        Values::F64(&curves.score),
    ])?;
    Ok(writer.finish()?)
}

/// Writes a file, whole or not at all.
pub(crate) fn replace(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    file::write(path, text).with_context(|| path.display().to_string())
}
