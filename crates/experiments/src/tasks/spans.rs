//! Stretches of a stream.

use std::path::Path;

use anyhow::Result;
use tidemill::data::Batch;
use tidemill::prelude::*;

use crate::rows;
use crate::spec::Span;

/// One span for each run of equal values of a column, labelled by the value.
pub fn by_value(path: &Path, column: &str, budget: u64, label: impl Fn(f64) -> String) -> Result<Vec<Span>> {
    let mut source = rows::open(path, &[column], None, budget, None)?;
    let mut batch: Batch<f64> = Batch::new(Source::<f64>::schema(&source).clone());
    let mut spans: Vec<Span> = Vec::new();
    let mut last = None;
    let mut row = 0;
    while source.fill(&mut batch, 4096)? > 0 {
        for &value in batch.reals(0) {
            match spans.last_mut() {
                Some(span) if last == Some(value) => span.rows.end = row + 1,
                _ => spans.push(Span { label: label(value), rows: row..row + 1 }),
            }
            last = Some(value);
            row += 1;
        }
        batch.clear();
    }
    Ok(spans)
}

/// So many spans of equal size.
pub fn equal(rows: u64, count: u64) -> Vec<Span> {
    let cut = |i: u64| (u128::from(rows) * u128::from(i) / u128::from(count)) as u64;
    (0..count).map(|i| Span { label: format!("{}/{count}", i + 1), rows: cut(i)..cut(i + 1) }).collect()
}
