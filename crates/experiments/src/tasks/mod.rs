//! What can be compared: the flights that come with the program, and the user's own file.

mod baseline;
mod flights;
mod spans;
mod target;
mod user;

use std::path::Path;

use anyhow::{Context, Result};
use tidemill::prelude::*;

use crate::derived::Origin;
use crate::progress::Work;
use crate::results::{Baseline, Data, Task};
use crate::rows;
use crate::spec::Spec;

pub use flights::flights;
pub(crate) use user::training_rows;
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

/// Rewrites a file with its rows in the order of a column, unless that was done before with the same file and column.
fn in_order(input: &Path, column: &str, output: &Path, budget: u64) -> Result<()> {
    let origin = Origin::new("sorted", &[input], serde_json::json!({ "column": column }))?;
    origin.derive(output, || {
        let work = Work::new(&format!("sorting by {column}"), None);
        tidemill::parquet::sort_by_watched(input, column, output, budget, |done, all| work.reach(done, all))
            .with_context(|| format!("sorting {} by {column}", input.display()))
    })?;
    Ok(())
}

/// Fits the encoder on the training rows.
fn fit(
    source: Box<dyn Source<f64>>,
    builder: tidemill::data::EncoderBuilder,
    training_rows: u64,
) -> Result<(Encoder, tidemill::data::FitReport)> {
    let work = Work::new("fitting the encoder", Some(training_rows));
    let mut rows = rows::range(source, 0..training_rows).inspect(|rows| work.advance(rows));
    Ok(builder.fit(&mut rows)?)
}
