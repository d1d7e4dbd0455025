//! What is expected of columns that need a choice, by each choice.

use std::path::Path;

use serde_json::Value;
use tidemill_data::{Batch, Column};
use tidemill_data_parquet::{As, Choice, ListAs, NullItems, ParquetSource, ParquetSourceBuilder};

use crate::Mismatch;
use crate::common::read_all;

/// The values of a column, one a row.
pub struct Expected<'a> {
    pub column: &'a str,
    pub values: Vec<Value>,
}

/// What one row becomes.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Numbers(Vec<f64>),
    Text(String),
}

/// Reads a part of a column in one way, and again with nulls inside refused.
pub fn check_way(path: &Path, choice: &Choice, way: &str, expected: &Expected) -> Result<(), Mismatch> {
    let parts = choice.path.strip_prefix(expected.column).unwrap().trim_start_matches('.');
    let values: Vec<Value> = expected.values.iter().map(|value| part(value, parts)).collect();
    let name = choice.path.as_str();
    let fill = 99.0;
    // One more than any list has, as a width that is not zero.
    let width = values.iter().map(|value| items(value).len()).max().unwrap_or(0) + 1;
    let list = |list: ListAs, nulls: NullItems, row: &dyn Fn(&[Option<&Value>]) -> Cell| {
        let cells = values.iter().map(|value| if value.is_null() { Cell::Null } else { row(&items(value)) });
        check(path, name, list.clone().nulls(nulls), &cells.collect::<Vec<_>>())?;
        let holes = values.iter().any(|value| !value.is_null() && items(value).contains(&None));
        let refused = read(ParquetSource::open(path).feature_as(name, list.clone())).map(|_| ());
        let refuses = list != ListAs::Length && holes;
        match refused {
            Err(Mismatch::Refused(error)) if refuses && error.to_string().contains("null inside") => Ok(()),
            Err(mismatch) if !refuses => Err(mismatch),
            Ok(()) if !refuses => Ok(()),
            _ => Err(Mismatch::Wrong(format!("{name} as {list:?}: nulls inside are not refused"))),
        }
    };
    let there = |row: &[Option<&Value>]| row.iter().flatten().map(|value| number(value)).collect::<Vec<f64>>();
    let some = |numbers: Vec<f64>, value: &dyn Fn(&[f64]) -> f64| {
        if numbers.is_empty() { Cell::Null } else { Cell::Numbers(vec![value(&numbers)]) }
    };
    let sum = |numbers: &[f64]| numbers.iter().fold(0.0, |sum, x| sum + x);
    match way {
        "as it is" => {
            let cells: Vec<Cell> = values.iter().map(plain).collect();
            compare(name, way, &read(ParquetSource::open(path).feature(name))?, &cells)
        }
        "Pad" => list(ListAs::Pad { width, fill }, NullItems::Fill(-1.5), &|row| {
            let mut numbers: Vec<f64> = row.iter().map(|value| value.map_or(-1.5, number)).collect();
            numbers.resize(width, fill);
            Cell::Numbers(numbers)
        }),
        "First" => list(ListAs::First { width: 2, fill }, NullItems::Skip, &|row| {
            let mut numbers = there(row);
            numbers.resize(2, fill);
            Cell::Numbers(numbers)
        }),
        "Last" => list(ListAs::Last { width: 2, fill }, NullItems::Skip, &|row| {
            let numbers = [vec![fill, fill], there(row)].concat();
            Cell::Numbers(numbers[numbers.len() - 2..].to_vec())
        }),
        "Length" => {
            list(ListAs::Length, NullItems::Skip, &|row| Cell::Numbers(vec![row.iter().flatten().count() as f64]))?;
            list(ListAs::Length, NullItems::Refuse, &|row| Cell::Numbers(vec![row.len() as f64]))
        }
        "Sum" => list(ListAs::Sum, NullItems::Skip, &|row| Cell::Numbers(vec![sum(&there(row))])),
        "Mean" => list(ListAs::Mean, NullItems::Skip, &|row| some(there(row), &|x| sum(x) / x.len() as f64)),
        "Min" => {
            list(ListAs::Min, NullItems::Skip, &|row| some(there(row), &|x| x.iter().fold(x[0], |a, b| a.min(*b))))
        }
        "Max" => {
            list(ListAs::Max, NullItems::Skip, &|row| some(there(row), &|x| x.iter().fold(x[0], |a, b| a.max(*b))))
        }
        "Join" => list(ListAs::Join { separator: "|".into() }, NullItems::Skip, &|row| {
            Cell::Text(row.iter().flatten().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join("|"))
        }),
        "FirstText" => list(ListAs::FirstText, NullItems::Skip, &|row| {
            row.iter().flatten().next().map_or(Cell::Null, |value| Cell::Text(value.as_str().unwrap().into()))
        }),
        "Hex" => check(path, name, As::Hex, &values.iter().map(plain).collect::<Vec<_>>()),
        "Bytes" => {
            let row = |value: &Value| value.as_str().map_or(Cell::Null, |hex| Cell::Numbers(bytes(hex)));
            check(path, name, As::Bytes, &values.iter().map(row).collect::<Vec<_>>())
        }
        "Utf8" => {
            let text = |value: &Value| {
                let Some(hex) = value.as_str() else { return Some(Cell::Null) };
                let bytes: Vec<u8> = bytes(hex).iter().map(|&byte| byte as u8).collect();
                String::from_utf8(bytes).ok().map(Cell::Text)
            };
            match values.iter().map(text).collect::<Option<Vec<_>>>() {
                Some(cells) => check(path, name, As::Utf8, &cells),
                None => match read(ParquetSource::open(path).feature_as(name, As::Utf8)) {
                    Err(Mismatch::Refused(error)) if error.to_string().contains("no UTF-8") => Ok(()),
                    _ => Err(Mismatch::Wrong(format!("{name}: bytes are taken for text"))),
                },
            }
        }
        other => Err(Mismatch::Wrong(format!("{name}: {other} is not known to this test"))),
    }
}

fn check(path: &Path, name: &str, how: As, cells: &[Cell]) -> Result<(), Mismatch> {
    let batch = read(ParquetSource::open(path).feature_as(name, how.clone()))?;
    compare(name, &format!("{how:?}"), &batch, cells)
}

fn read(source: ParquetSourceBuilder) -> Result<Batch<f64>, Mismatch> {
    Ok(read_all(&mut source.build()?)?)
}

fn compare(name: &str, way: &str, batch: &Batch<f64>, cells: &[Cell]) -> Result<(), Mismatch> {
    for (row, want) in cells.iter().enumerate() {
        let got = match &batch.columns()[0] {
            Column::Real { nulls, .. } | Column::Text { nulls, .. } if nulls.is_null(row) => Cell::Null,
            Column::Real { width, values, .. } => Cell::Numbers(values[row * width..][..*width].to_vec()),
            column => Cell::Text(column.text(row).unwrap().to_owned()),
        };
        if got != *want || batch.rows() != cells.len() {
            return Err(Mismatch::Wrong(format!("{name} as {way}, row {row}: {got:?}, expected {want:?}")));
        }
    }
    Ok(())
}

/// What is at the end of a path; of lists, lists of that.
fn part(value: &Value, path: &str) -> Value {
    match value {
        _ if path.is_empty() => value.clone(),
        Value::Array(items) => Value::Array(items.iter().map(|item| part(item, path)).collect()),
        Value::Object(fields) => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            part(&fields[name], rest)
        }
        _ => Value::Null,
    }
}

/// All that is in a list, and in the lists inside; null lists inside are nulls.
fn items(value: &Value) -> Vec<Option<&Value>> {
    let Value::Array(list) = value else { return Vec::new() };
    let inside = |item| match item {
        &Value::Array(_) => items(item),
        &Value::Null => vec![None],
        value => vec![Some(value)],
    };
    list.iter().flat_map(inside).collect()
}

fn plain(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::String(text) => Cell::Text(text.clone()),
        Value::Array(list) => Cell::Numbers(list.iter().map(number).collect()),
        one => Cell::Numbers(vec![number(one)]),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        value => value.as_f64().unwrap_or_else(|| panic!("{value} is no number")),
    }
}

fn bytes(hex: &str) -> Vec<f64> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap().into()).collect()
}
