use anyhow::Result;
use tidemill::data::Batch;
use tidemill::parquet::ColumnDescription;
use tidemill::prelude::*;

use super::scan::{Scan, Seen};
use crate::progress::Work;

/// Rows that are read at a time.
const ROWS: usize = 8192;

/// What the rows of a source hold, column by column as the source has them.
///
/// # Errors
///
/// Those of the source.
pub(crate) fn survey(source: &mut dyn Source<f64>, columns: &[&ColumnDescription], work: &Work) -> Result<Vec<Seen>> {
    let mut scans: Vec<Scan> = columns.iter().map(|column| Scan::new(&column.data_type, columns.len())).collect();
    let mut batch = Batch::new(source.schema().clone());
    loop {
        batch.clear();
        let rows = source.fill(&mut batch, ROWS)?;
        if rows == 0 {
            return Ok(scans.iter().map(Scan::seen).collect());
        }
        scans.iter_mut().zip(batch.columns()).for_each(|(scan, column)| scan.observe(column));
        work.advance(rows as u64);
    }
}
