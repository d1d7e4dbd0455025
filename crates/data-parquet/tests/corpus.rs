//! Files by other writers hold the values that other readers found in them.
//!
//! `TIDEMILL_PARQUET_CORPUS` names another folder of the same layout as `tests/corpus`.

#[path = "corpus_chosen/mod.rs"]
mod chosen;
mod common;

use std::fs;
use std::path::{Path, PathBuf};

use chosen::{Expected, check_way};
use common::read_all;
use serde_json::Value;
use tidemill_data::{Batch, Column, Error};
use tidemill_data_parquet::{ColumnDescription, ParquetSource, Usable, describe};

fn corpus() -> PathBuf {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    std::env::var_os("TIDEMILL_PARQUET_CORPUS").map_or_else(|| own.into(), PathBuf::from)
}

fn json(path: PathBuf) -> Value {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn corpus_files_hold_the_expected_values() {
    let folder = corpus();
    let index = json(folder.join("files.json"));
    let mut failures = Vec::new();
    let (mut checked, mut read, mut refused) = (0, 0, 0);
    for file in index["files"].as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let table = file["table"].as_str().unwrap();
        let expected = json(folder.join(index["tables"][table].as_str().unwrap()));
        let path = folder.join(name);
        match check_file(&path, file, &expected) {
            Ok(columns) => {
                checked += columns;
                read += usize::from(file["level"] == "exotic");
            }
            Err(Mismatch::Refused(error)) if file["level"] == "exotic" => {
                println!("{name}: refused: {error}");
                refused += 1;
            }
            Err(Mismatch::Refused(error)) => failures.push(error.to_string()),
            Err(Mismatch::Wrong(problem)) => failures.push(format!("{name}: {problem}")),
        }
    }
    println!("{checked} columns are as expected; of the exotic files, {read} are read and {refused} refused");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(checked > 100, "the corpus has only {checked} columns");
}

enum Mismatch {
    Refused(Error),
    Wrong(String),
}

impl From<Error> for Mismatch {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<String> for Mismatch {
    fn from(problem: String) -> Self {
        Self::Wrong(problem)
    }
}

/// Compares all columns, those that need a choice by each choice that there is, and gives how many they are.
fn check_file(path: &Path, file: &Value, expected: &Value) -> Result<usize, Mismatch> {
    let description = describe(path)?;
    let rows = [0, 1].map(|i| file["rows"][i].as_u64().unwrap() as usize);
    let count = rows[1] - rows[0];
    if description.rows != count as u64 || file["row_groups"] != description.row_groups {
        return Err(format!("{} rows in {} row groups", description.rows, description.row_groups).into());
    }
    let as_it_is = |c: &&ColumnDescription| matches!(c.usable, Usable::Real { .. } | Usable::Text);
    let (usable, others): (Vec<_>, Vec<_>) = description.columns.iter().partition(as_it_is);
    for column in &others {
        if column.choices.is_empty() {
            return Err(format!("column {} of type {} is not usable", column.name, column.data_type).into());
        }
    }
    for column in &description.columns {
        let values = (rows[0]..rows[1]).map(|row| expected_value(&expected["columns"], &column.name, row)).collect();
        let expected = Expected { column: &column.name, values };
        for choice in &column.choices {
            for way in &choice.ways {
                check_way(path, choice, way, &expected)?;
            }
        }
    }
    if usable.is_empty() {
        return Ok(others.len());
    }
    let mut source = ParquetSource::open(path).columns(usable.iter().map(|c| &c.name)).build()?;
    let batch: Batch<f64> = read_all(&mut source)?;
    if batch.rows() != count {
        return Err(format!("{} rows instead of {count}", batch.rows()).into());
    }
    for (column, read) in usable.iter().zip(batch.columns()) {
        let nullable = source.schema().fields[source.schema().position(&column.name).unwrap()].nullable;
        for row in 0..count {
            let want = want(&expected["columns"], &column.name, rows[0] + row);
            let alike = match &want {
                Want::Value(value) => matches_value(read, row, value),
                Want::Text { length, last } => {
                    read.text(row).is_some_and(|text| text.len() == *length && text.ends_with(last))
                }
            };
            let null = matches!(&want, Want::Value(Value::Null));
            if !alike || null && !nullable {
                return Err(format!("column {}, row {row}: expected {want:?}", column.name).into());
            }
        }
    }
    check_block(path, &usable, &batch)?;
    Ok(description.columns.len())
}

#[derive(Debug)]
enum Want {
    Value(Value),
    /// Of long texts, the corpus has the length and the end.
    Text {
        length: usize,
        last: String,
    },
}

fn want(columns: &Value, name: &str, row: usize) -> Want {
    let Some(column) = columns.get(name) else {
        // The wide table: column fNNN holds N, N + 0.5, null, -N.
        let n: f64 = name[1..].parse().unwrap();
        return Want::Value([n.into(), (n + 0.5).into(), Value::Null, (-n).into()][row].clone());
    };
    match column.get("lengths") {
        None => Want::Value(column["values"][row].clone()),
        Some(lengths) if lengths[row].is_null() => Want::Value(Value::Null),
        Some(lengths) => {
            let last = column["last_char"][row].as_str().unwrap().to_owned();
            Want::Text { length: lengths[row].as_u64().unwrap() as usize, last }
        }
    }
}

/// A value of a column that needs a choice; others have no choices to check.
fn expected_value(columns: &Value, name: &str, row: usize) -> Value {
    columns.get(name).and_then(|column| column.get("values")).map_or(Value::Null, |values| values[row].clone())
}

fn matches_value(column: &Column<f64>, row: usize, want: &Value) -> bool {
    match column {
        Column::Text { nulls, .. } => nulls.is_null(row) == want.is_null() && column.text(row) == want.as_str(),
        Column::Real { width, values, nulls, .. } => {
            let values = &values[row * width..][..*width];
            if want.is_null() || nulls.is_null(row) {
                return want.is_null() && nulls.is_null(row) && values.iter().all(|&v| v == 0.0);
            }
            match want {
                Value::Array(items) => {
                    items.len() == *width && items.iter().zip(values).all(|(want, &v)| matches_number(want, v))
                }
                one => matches_number(one, values[0]),
            }
        }
        Column::Index { .. } => false,
    }
}

fn matches_number(want: &Value, got: f64) -> bool {
    let want = match want {
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Number(n) => n.as_f64().unwrap(),
        Value::String(s) if s == "NaN" => return got.is_nan(),
        Value::String(s) => s.replace("Infinity", "inf").parse().unwrap(),
        _ => return false,
    };
    want.to_bits() == got.to_bits()
}

/// All columns of one number as one block hold the same.
fn check_block(path: &Path, usable: &[&ColumnDescription], batch: &Batch<f64>) -> Result<(), Mismatch> {
    let single = |c: &&ColumnDescription| c.usable == Usable::Real { width: 1 };
    let places: Vec<usize> = (0..usable.len()).filter(|&i| single(&usable[i])).collect();
    if places.is_empty() {
        return Ok(());
    }
    let names = places.iter().map(|&i| &usable[i].name);
    let mut source = ParquetSource::open(path).real_block("all of them", names).build()?;
    let block: Batch<f64> = read_all(&mut source)?;
    for (lane, &place) in places.iter().enumerate() {
        let alone = batch.reals(place);
        let beside = block.reals(0).iter().skip(lane).step_by(places.len());
        if !alone.iter().map(|v| v.to_bits()).eq(beside.map(|v| v.to_bits())) {
            return Err(format!("column {} differs in a block", usable[place].name).into());
        }
    }
    Ok(())
}
