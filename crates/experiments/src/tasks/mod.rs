//! What can be compared: the flights that come with the program, and the user's own file.

mod baseline;
mod columns;
mod flights;
mod spans;
mod user;

use std::path::Path;

use anyhow::{Context, Result};
use tidemill::prelude::*;

use crate::progress::Work;
use crate::results::{Baseline, Data, Task};
use crate::spec::{self, Spec};

pub use flights::flights;
pub use user::{UserData, user};

/// A comparison, ready to run.
pub struct Prepared {
    /// What the runs need to know.
    pub spec: Spec,
    /// Heading of the report.
    pub title: String,
    /// What is learnt.
    pub task: Task,
    /// From which rows.
    pub data: Data,
    /// What a prediction that learns nothing scores.
    pub baseline: Baseline,
    /// What readers should know.
    pub notes: Vec<String>,
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The whole comparison.
    Full,
    /// A short trial: one seed, one epoch.
    Quick,
}

/// Rewrites a file with its rows in the order of a column, unless that was done before.
fn in_order(input: &Path, column: &str, output: &Path, budget: u64) -> Result<()> {
    let newer = |a: &Path, b: &Path| Some(a.metadata().ok()?.modified().ok()? >= b.metadata().ok()?.modified().ok()?);
    if newer(output, input) == Some(true) {
        return Ok(());
    }
    let work = Work::new(&format!("sorting by {column}"), None);
    tidemill::parquet::sort_by_watched(input, column, output, budget, |done, all| work.reach(done, all))
        .with_context(|| format!("sorting {} by {column}", input.display()))
}

/// Fits the encoder on the training rows.
fn fit(
    path: &Path,
    builder: tidemill::data::EncoderBuilder,
    raw: &[String],
    filter: Option<&str>,
    training_rows: u64,
) -> Result<(Encoder, tidemill::data::FitReport)> {
    let source = spec::open(path, raw.iter().cloned(), filter)?;
    let work = Work::new("fitting the encoder", Some(training_rows));
    let mut rows = spec::range(source, 0..training_rows).inspect(|rows| work.advance(rows));
    Ok(builder.fit(&mut rows)?)
}
