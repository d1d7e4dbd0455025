use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tidemill::data::Summary;
use tidemill::prelude::{Predicate, Source};

use super::{Effort, Prepared, baseline, columns, fit, in_order, spans};
use crate::progress::Work;
use crate::results::{Data, Task, TaskKind};
use crate::spec::{self, Span, Spec};

/// The user's own file, and what to learn from it.
#[derive(Clone, Debug)]
pub struct UserData {
    /// The file.
    pub file: PathBuf,
    /// The column to predict.
    pub target: String,
    /// What it is; told from the data when absent.
    pub task: Option<TaskKind>,
    /// The column that says in which order the rows came; the file's own order when absent.
    pub order: Option<String>,
    /// The condition that rows must meet to count; all do when absent.
    pub filter: Option<String>,
    /// Bytes that sorting, and batch training, may take.
    pub budget: u64,
}

/// Spans of a stream that has no months.
const SPANS: u64 = 12;
/// How many of them are trained on.
const TRAINING: usize = 9;

/// The same comparison on the user's own file: the last quarter of the rows is held out.
pub fn user(data: &UserData, folder: &Path, effort: Effort, threads: usize) -> Result<Prepared> {
    let description = tidemill::parquet::describe(&data.file)?;
    let rows = match &data.filter {
        Some(condition) => matching(&data.file, condition)?,
        None => description.rows,
    };
    if rows < SPANS * 2 {
        bail!("{}: {rows} rows are too few to compare on", data.file.display());
    }
    let path = match &data.order {
        Some(column) => {
            if !description.columns.iter().any(|c| c.name == *column) {
                bail!("{}: there is no column {column} to order by", data.file.display());
            }
            let sorted = folder.join("in-order.parquet");
            in_order(&data.file, column, &sorted, data.budget)?;
            sorted
        }
        None => data.file.canonicalize().with_context(|| data.file.display().to_string())?,
    };
    let (kind, encoding) = columns::target(&path, &description, &data.target, data.task, data.filter.as_deref())?;
    let chosen = columns::choose(&description, &data.target, data.order.as_deref());
    if chosen.raw.is_empty() {
        bail!("{}: no column is left to learn from; left out are {}", path.display(), chosen.left_out.join(", "));
    }
    let spans: Vec<Span> = spans::equal(rows, SPANS);
    let training_rows = spans[TRAINING - 1].rows.end;
    let mut raw = chosen.raw.clone();
    raw.push(data.target.clone());
    let builder = chosen.builder.target(data.target.as_str(), encoding);
    let (encoder, report) = fit(&path, builder, &raw, data.filter.as_deref(), training_rows)?;
    let loss_scale = match (kind, report.columns.iter().find(|c| c.name == data.target).map(|c| c.summary)) {
        (TaskKind::Regression, Some(Summary::Numbers { std, .. })) if std > 0.0 => std,
        _ => 1.0,
    };
    let mut spec = Spec {
        data: path,
        filter: data.filter.clone(),
        task: kind,
        encoder,
        variant: None,
        spans,
        training_spans: TRAINING,
        warm_spans: 3,
        hidden: vec![64, 32],
        batch_size: 128,
        epochs: if effort == Effort::Quick { 1 } else { 4 },
        learning_rate: 1e-3,
        threads,
        target_loss: None,
        loss_scale,
        budget: data.budget,
        curve_points: if effort == Effort::Quick { 6 } else { 12 },
    };
    let (baseline, counts) = baseline::baseline(&spec)?;
    spec.target_loss = Some(0.95 * baseline.held_out.loss).filter(|loss| loss.is_finite());
    let mut notes = vec![
        "The target loss is 95 % of what a prediction that learns nothing from the features scores.".to_owned(),
        "Means, standard deviations and categories come from the training rows, for every strategy alike.".to_owned(),
        match &data.order {
            Some(column) => format!("Rows are sorted by {column}, which is no feature."),
            None => "Rows are in the file's order.".to_owned(),
        },
    ];
    if let Some(condition) = &data.filter {
        notes.push(format!("Only rows where {condition}."));
    }
    if !chosen.left_out.is_empty() {
        notes.push(format!("Columns left out: {}.", chosen.left_out.join(", ")));
    }
    let name = data.file.file_stem().map_or_else(|| "data".into(), |stem| stem.to_string_lossy().into_owned());
    Ok(Prepared {
        title: format!("Batch or online? {name}"),
        task: Task { kind, target: data.target.clone(), description: format!("the column {}", data.target) },
        data: Data {
            name,
            rows: counts.training + counts.held_out,
            training_rows: counts.training,
            held_out_rows: counts.held_out,
            features: chosen.raw.len() as u64,
            segment: "twelfth of the rows".into(),
            source: data.file.display().to_string(),
        },
        baseline,
        notes,
        spec,
    })
}

/// How many rows meet a condition.
fn matching(file: &Path, condition: &str) -> Result<u64> {
    let parsed: Predicate = condition.parse().with_context(|| format!("--where {condition:?}"))?;
    let columns: Vec<String> = parsed.columns().into_iter().map(str::to_owned).collect();
    let work = Work::new("counting rows", None);
    let mut rows = spec::open(file, columns, Some(condition))?;
    let mut count = 0;
    loop {
        let n = rows.skip(1 << 16)?;
        if n == 0 {
            return Ok(count);
        }
        count += n;
        work.advance(n);
    }
}
