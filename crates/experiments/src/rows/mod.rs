//! The rows of a file, read within a budget, as a comparison takes them.

mod budget;
mod checked;

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tidemill::data::Take;
use tidemill::prelude::*;

use crate::columns::Unseen;

pub use budget::{advised, mebibytes};
use checked::Checked;

/// Bytes that reading takes where they suffice: more are taken, up to the budget, by files that need them.
const READING: u64 = 64 << 20;

/// What a target must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    /// Its column.
    pub column: String,
    /// The values that were trained on.
    pub known: Known,
    /// What happens to others.
    pub unseen: Unseen,
}

/// Values of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Any number.
    All,
    /// Two numbers, with all their digits.
    Numbers([String; 2]),
    /// Those of the encoder's classes.
    Classes,
}

/// A source that was opened, and the bytes that it may take.
pub struct Opened<S> {
    /// The rows.
    pub source: S,
    /// Bytes that reading them may take.
    pub budget: u64,
}

/// Opens files within a budget: in few bytes where these suffice, else in as many as are needed.
///
/// # Errors
///
/// When more than the budget is needed, and those of `build`.
pub fn open_within<S>(
    budget: u64,
    mut build: impl FnMut(u64) -> Result<S, tidemill::data::Error>,
) -> Result<Opened<S>, tidemill::data::Error> {
    let mut reading = READING.min(budget);
    loop {
        match build(reading) {
            Err(tidemill::data::Error::Budget { needed, .. }) if needed > reading && needed <= budget => {
                reading = needed;
            }
            Err(tidemill::data::Error::Budget { what, needed, advice, .. }) => {
                return Err(tidemill::data::Error::Budget { what, needed, budget, advice });
            }
            built => return Ok(Opened { source: built?, budget: reading }),
        }
    }
}

/// Opens some columns of a file as they are, with the rows that meet a condition.
///
/// # Errors
///
/// When the file or a column is missing or cannot be read, by name, the condition cannot be read, or reading takes more
/// than the budget.
pub fn open_raw<N: Into<String> + Clone>(
    path: &Path,
    columns: &[N],
    filter: Option<&str>,
    budget: u64,
) -> Result<Box<dyn Source<f64>>, tidemill::data::Error> {
    let opened = open_within(budget, |reading| {
        let rows = ParquetSource::open(path).columns(columns.iter().cloned()).budget(reading);
        Ok(match filter {
            None => rows.build::<f64>()?.boxed(),
            Some(condition) => rows.filter(condition.parse()?).build::<f64>()?.boxed(),
        })
    });
    Ok(opened?.source)
}

/// Opens some columns of a file, with the rows that meet a condition. Infinite numbers are missing, as NaN is; targets
/// are checked.
///
/// # Errors
///
/// Those of [`open_raw`].
pub fn open<N: Into<String> + Clone>(
    path: &Path,
    columns: &[N],
    filter: Option<&str>,
    budget: u64,
    targets: Option<(&Targets, &Encoder)>,
) -> Result<Box<dyn Source<f64>>, tidemill::data::Error> {
    let source = open_raw(path, columns, filter, budget)?;
    let name = path.display().to_string();
    Ok(Checked::new(source, name, filter.is_some(), targets)?.boxed())
}

/// Some rows of a source.
pub fn range<S: Source<f64>>(source: S, rows: Range<u64>) -> Take<Take<S>> {
    let len = rows.end - rows.start;
    source.skip_rows(rows.start).take(len)
}
