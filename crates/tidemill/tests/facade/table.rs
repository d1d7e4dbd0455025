//! A made-up table, in memory and in files: numbers of several types, texts, missing values.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tidemill::prelude::*;
use tidemill::tensor::Key;

/// The columns, in the order of [`Table::write`].
pub const COLUMNS: [&str; 7] = ["distance", "speed", "hour", "carrier", "weekend", "delay", "weight"];

/// The columns of a table; a delay is NaN where it is missing.
#[derive(Clone)]
pub struct Table {
    pub distance: Vec<f64>,
    pub speed: Vec<f32>,
    pub hour: Vec<i64>,
    pub carrier: Vec<&'static str>,
    pub weekend: Vec<bool>,
    pub delay: Vec<f64>,
    pub weight: Vec<f32>,
}

impl Table {
    /// Rows in which the delay follows from the rest, more or less. Every 19th has none.
    pub fn new(rows: usize) -> Self {
        const CARRIERS: [&str; 6] = ["AA", "B6", "Ørsted", "", "UA", "a longer name than fits in twelve bytes"];
        let random = |column: u64, row: usize| f64::from(Key::new(5).fold(column).block(row as u64)[0]) / 2f64.powi(32);
        let pick = |column, row, n: usize| (random(column, row) * n as f64) as usize;
        let mut table = Self {
            distance: (0..rows).map(|row| 100.0 + 2400.0 * random(0, row)).collect(),
            speed: (0..rows).map(|row| random(1, row) as f32 - 0.5).collect(),
            hour: (0..rows).map(|row| pick(2, row, 24) as i64).collect(),
            carrier: (0..rows).map(|row| CARRIERS[pick(3, row, 6).min(pick(4, row, 6))]).collect(),
            weekend: (0..rows).map(|row| random(5, row) < 2.0 / 7.0).collect(),
            delay: Vec::new(),
            weight: (0..rows).map(|row| 0.5 * pick(6, row, 4) as f32).collect(),
        };
        let delay = (0..rows).map(|row| match row % 19 {
            11 => f64::NAN,
            _ => {
                let known = 30.0 * f64::from(table.speed[row]) + table.hour[row] as f64 + 0.005 * table.distance[row];
                known - 10.0 * f64::from(u8::from(table.weekend[row])) + 10.0 * random(7, row) - 5.0
            }
        });
        table.delay = delay.collect();
        table
    }

    pub fn rows(&self) -> usize {
        self.distance.len()
    }

    /// Raw rows in memory.
    pub fn memory(&self) -> MemorySource<f64> {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        MemorySource::builder()
            .reals("distance", 1, self.distance.clone())
            .reals("speed", 1, widen(&self.speed))
            .reals("hour", 1, self.hour.iter().map(|&v| v as f64).collect())
            .texts("carrier", self.carrier.iter().map(|&text| Some(text)))
            .reals("weekend", 1, self.weekend.iter().map(|&v| f64::from(u8::from(v))).collect())
            .reals("delay", 1, self.delay.clone())
            .reals("weight", 1, widen(&self.weight))
            .build()
            .unwrap()
    }

    /// Writes some rows as a file, in pieces of uneven length.
    pub fn write(&self, path: &Path, rows: Range<usize>) {
        const TYPES: [ValueType; 7] = [
            ValueType::F64,
            ValueType::F32,
            ValueType::I64,
            ValueType::Text,
            ValueType::Bool,
            ValueType::F64,
            ValueType::F32,
        ];
        let mut writer = ParquetWriter::create(path, COLUMNS.into_iter().zip(TYPES)).unwrap();
        let (mut start, mut length) = (rows.start, 1);
        while start < rows.end {
            let piece = start..rows.end.min(start + length);
            let columns = [
                Values::F64(&self.distance[piece.clone()]),
                Values::F32(&self.speed[piece.clone()]),
                Values::I64(&self.hour[piece.clone()]),
                Values::Text(&self.carrier[piece.clone()]),
                Values::Bool(&self.weekend[piece.clone()]),
                Values::F64(&self.delay[piece.clone()]),
                Values::F32(&self.weight[piece.clone()]),
            ];
            writer.write(&columns).unwrap();
            (start, length) = (piece.end, 2 * length + 1);
        }
        writer.finish().unwrap();
    }

    /// Writes a folder of files that are cut after so many rows each, the last one taking the rest.
    pub fn folder(&self, parent: &Path, name: &str, lengths: &[usize]) -> PathBuf {
        let folder = parent.join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut start = 0usize;
        for (file, &length) in lengths.iter().chain([&usize::MAX]).enumerate() {
            let end = self.rows().min(start.saturating_add(length));
            self.write(&folder.join(format!("part-{file:02}.parquet")), start..end);
            start = end;
        }
        folder
    }
}

/// Raw rows of files.
pub fn open(path: &Path) -> impl Source<f64> + Clone + use<> {
    ParquetSource::open(path).columns(COLUMNS).build().unwrap()
}
