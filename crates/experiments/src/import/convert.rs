//! CSV and Arrow IPC as a Parquet file: all columns, with the types that they have.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tidemill::arrow::{CsvHeader, CsvNote, CsvType, Table};
use tidemill::data::Interrupt;
use tidemill::parquet::{ParquetWriter, PathKeys};
use tidemill::prelude::*;

use super::{CsvOptions, Delimiter, Format};
use crate::printable::option;
use crate::progress::Work;

/// Least and most bytes that reading takes, of a budget that writing takes the rest of.
const LEAST: u64 = 64 << 10;
const MOST: u64 = 256 << 20;

/// Most bytes that are held of a row group.
const ROW_GROUP: u64 = 128 << 20;

/// Writes the rows of some files, with the keys in the paths that they were found at; gives what is to be known of them.
pub(super) fn convert(
    files: &[PathBuf],
    keys: &PathKeys,
    format: Format,
    options: &CsvOptions,
    output: &Path,
    budget: u64,
    stop: &Interrupt,
) -> Result<Vec<String>> {
    let table = match format {
        Format::Csv => csv(files, options, budget, stop),
        _ => IpcBuilder::files(files).budget(budget.max(LEAST)).watch(stop).table().map_err(Into::into),
    };
    let mut table = table.map_err(|error| advised(error, budget))?;
    let mut notes: Vec<String> = table.notes().iter().map(advice).collect();
    let unsupported = ParquetWriter::unsupported(table.schema());
    let kept: Vec<usize> = (0..table.schema().fields().len()).filter(|column| !unsupported.contains(column)).collect();
    let schema = keys.schema(&table.schema().project(&kept)?);
    if kept.is_empty() {
        bail!("{}: no column has a type that can be read", files[0].display());
    }
    for &column in &unsupported {
        let field = table.schema().field(column);
        notes.push(format!("column {} is left out: {} cannot be read", field.name(), field.data_type()));
    }
    let mut writer = ParquetWriter::of_schema(output, &schema, (budget / 4).clamp(LEAST, ROW_GROUP))?;
    let work = Work::new("importing", table.rows());
    while let Some(rows) = table.next_batch().map_err(|error| advised(error.into(), budget))? {
        writer.write_batch(&keys.add(table.file(), &rows.project(&kept)?)?)?;
        work.advance(rows.num_rows() as u64);
    }
    writer.finish()?;
    Ok(notes)
}

fn csv(files: &[PathBuf], options: &CsvOptions, budget: u64, stop: &Interrupt) -> Result<Table> {
    let mut builder = CsvBuilder::files(files).budget((budget / 4).clamp(LEAST, MOST)).watch(stop);
    if let Some(delimiter) = &options.delimiter {
        builder = builder.delimiter(delimiter.0);
    }
    if options.no_header {
        builder = builder.header(CsvHeader::Absent);
    } else if options.header {
        builder = builder.header(CsvHeader::Present);
    }
    if !options.missing.is_empty() {
        builder = builder.nulls(options.missing.iter().map(String::as_str));
    }
    if let Some(Delimiter(byte)) = options.decimal {
        builder = builder.decimal(byte);
    }
    if let Some(Delimiter(byte)) = options.thousands {
        builder = builder.thousands(byte);
    }
    for column in &options.text {
        builder = builder.column_type(column.as_str(), CsvType::Text);
    }
    let work = Work::new("telling types", None);
    let mut before = 0;
    let table = builder.table(|rows| work.advance(rows - std::mem::replace(&mut before, rows)));
    table.context("reading CSV")
}

/// A note with the option that helps.
fn advice(note: &CsvNote) -> String {
    let advice = match note {
        CsvNote::OneColumn => "if another character does, say so by --delimiter",
        CsvNote::Delimiter(_) => "say otherwise by --delimiter",
        CsvNote::NoHeader => "--no-header says the same, --header the contrary",
        CsvNote::NumbersInHeader { .. } => "if it is a row, say --no-header",
        CsvNote::FewTexts { example, is_whole: true, .. } => {
            let option = option("--missing", example);
            return format!(
                "{note}; say that it is a missing value by {option}, and say NA and its like by --missing as well"
            );
        }
        CsvNote::NumbersAsText { example, .. } if example.contains(|c| "$€£¥%()".contains(c)) => {
            "write them without currencies, percent signs and brackets"
        }
        CsvNote::NumbersAsText { .. } => {
            "say what marks decimals by --decimal, and what marks thousands by --thousands"
        }
        CsvNote::ZerosLost { column } => return format!("{note}; keep them by --text {column}"),
        _ => return note.to_string(),
    };
    format!("{note}; {advice}")
}

/// An error of too small a budget with the option that helps.
fn advised(error: anyhow::Error, budget: u64) -> anyhow::Error {
    match error.downcast_ref() {
        Some(tidemill::data::Error::Budget { what, needed, .. }) => {
            let mebibytes = needed.saturating_mul(4).div_ceil(1 << 20);
            let given = budget >> 20;
            anyhow::anyhow!("{what} needs {needed} bytes, a quarter of --budget {given}: give --budget {mebibytes}")
        }
        _ => error,
    }
}
