use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tidemill::data::Summary;
use tidemill::parquet::{Description, Usable};
use tidemill::prelude::{Predicate, Source};

use super::target::{self, Found};
use super::{Effort, Prepared, baseline, fit, in_order, spans};
use crate::columns::{self, Choice, Facts, Unseen};
use crate::format;
use crate::progress::Work;
use crate::results::{Data, Task, TaskKind};
use crate::rows;
use crate::spec::Spec;

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
    /// Columns that are no features, beside those that cannot be.
    pub except: Vec<String>,
    /// What happens to held-out rows whose target is none of those trained on.
    pub unseen: Unseen,
    /// Bytes that sorting, reading, and the rows of batch training may take.
    pub budget: u64,
}

/// Spans of a stream that has no months.
const SPANS: u64 = 12;
/// Fewest rows that can be compared on.
pub(crate) const LEAST_ROWS: u64 = 2 * SPANS;
/// How many of them are trained on, and on how many of these the warm start is trained first.
const TRAINING: usize = 9;
const WARM: usize = 3;

/// The rows that are trained on, of so many: the first three quarters.
pub(crate) fn training_rows(rows: u64) -> u64 {
    spans::equal(rows, SPANS)[TRAINING - 1].rows.end
}

/// The same comparison on the user's own file: the last quarter of the rows is held out.
///
/// # Errors
///
/// When the file cannot be read, or there is nothing to learn or to test: in the words of whoever asked.
pub fn user(data: &UserData, folder: &Path, effort: Effort, threads: usize) -> Result<Prepared> {
    let file = data.file.display();
    let description = tidemill::parquet::describe(&data.file)?;
    let target_column = check_names(data, &description)?;
    if let Some(order) = &data.order
        && data.file.is_dir()
    {
        bail!("{file}: rows of several files are not sorted; write one file, or leave --order {order} out");
    }
    // All that will be read at once: that the budget is too small is said before anything is done.
    let all = columns::usable(&description.columns).map(|column| column.name.as_str());
    let all: Vec<&str> = all.filter(|name| !data.except.iter().any(|except| except == name)).collect();
    if let Some(condition) = &data.filter {
        let _: Predicate = condition.parse().with_context(|| format!("--where {condition:?}"))?;
    }
    rows::open_raw(&data.file, &all, data.filter.as_deref(), data.budget)?;
    let rows = match &data.filter {
        Some(condition) => matching(data, condition)?,
        None => description.rows,
    };
    if rows < LEAST_ROWS {
        let of = if data.filter.is_some() { " that meet --where" } else { "" };
        let counted = if rows == 1 { "1 row".into() } else { format!("{rows} rows") };
        bail!("{file}: it has {counted}{of}, too few to compare on: expected {LEAST_ROWS} or more");
    }
    let path = match &data.order {
        Some(column) => {
            let sorted = folder.join("in-order.parquet");
            in_order(&data.file, column, &sorted, data.budget)?;
            sorted
        }
        None => data.file.canonicalize().with_context(|| file.to_string())?,
    };
    let spans = spans::equal(rows, SPANS);
    let is_text = target_column == Usable::Text;
    let found = target::look(data, &path, is_text, &spans, TRAINING)?;
    let (spans, training_spans) = target::joined(&spans, &found.usable, TRAINING);
    let training_rows = spans[training_spans - 1].rows.end;

    let choice = choose(data, &path, &description, training_rows)?;
    let mut raw = choice.columns();
    raw.push(data.target.clone());
    let builder = choice.builder().target(data.target.as_str(), found.target.rule.encoding());
    let source = rows::open(&path, &raw, data.filter.as_deref(), data.budget, None)?;
    let (encoder, report) = fit(source, builder, training_rows)?;
    let kind = found.target.kind;
    let loss_scale = match (kind, report.columns.iter().rfind(|c| c.name == data.target).map(|c| c.summary)) {
        (TaskKind::Regression, Some(Summary::Numbers { std, .. })) if std > 0.0 => std,
        _ => 1.0,
    };
    let mut spec = Spec {
        data: path,
        filter: data.filter.clone(),
        task: kind,
        encoder,
        targets: found.targets.clone(),
        variant: None,
        spans,
        training_spans,
        warm_spans: WARM.min(training_spans),
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
    let name = data.file.file_stem().map_or_else(|| "data".into(), |stem| stem.to_string_lossy().into_owned());
    Ok(Prepared {
        title: format!("Batch or online? {name}"),
        task: Task { kind, target: data.target.clone(), description: format!("the column {}", data.target) },
        data: Data {
            name,
            rows: counts.training + counts.held_out,
            training_rows: counts.training,
            held_out_rows: counts.held_out,
            features: choice.columns().len() as u64,
            segment: "twelfth of the rows".into(),
            source: file.to_string(),
        },
        baseline,
        notes: notes(data, &description, &found, &choice),
        spec,
    })
}

/// Whether all columns that were asked for are there; what the target can serve as.
fn check_names(data: &UserData, description: &Description) -> Result<Usable> {
    let file = data.file.display();
    if data.except.contains(&data.target) {
        bail!("--except {}: it is the --target, which is learnt; leave one of the two out", data.target);
    }
    if description.columns.is_empty() {
        bail!("{file}: it has no columns");
    }
    let names = || description.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let asked = data.order.iter().map(|name| ("--order", name));
    let asked = asked.chain([("--target", &data.target)]).chain(data.except.iter().map(|name| ("--except", name)));
    for (option, name) in asked {
        if !description.columns.iter().any(|column| column.name == *name) {
            bail!("{file}: there is no column {name}, which {option} names; it has {}", names());
        }
    }
    for (option, name) in data.order.iter().map(|name| ("--order", name)).chain([("--target", &data.target)]) {
        if description.columns.iter().filter(|column| column.name == *name).count() > 1 {
            bail!("{file}: several columns have the name {name}, which {option} gives; rename them");
        }
    }
    let target = description.columns.iter().find(|column| column.name == data.target);
    let target = target.with_context(|| format!("{file}: there is no column {}", data.target))?;
    match target.usable {
        Usable::Text | Usable::Real { width: 1 } => Ok(target.usable),
        _ => bail!(
            "{file}: column {} is {}; a target is one number or one text a row. Choose another --target",
            target.name,
            target.data_type
        ),
    }
}

/// What all training rows hold, and what is made of it.
fn choose(data: &UserData, path: &Path, description: &Description, training_rows: u64) -> Result<Choice> {
    let is_feature = |name: &str| name != data.target && !data.except.iter().any(|except| except == name);
    let read: Vec<_> = columns::usable(&description.columns).filter(|column| is_feature(&column.name)).collect();
    let names: Vec<&str> = read.iter().map(|column| column.name.as_str()).collect();
    let seen = if names.is_empty() {
        Vec::new()
    } else {
        let source = rows::open_raw(path, &names, data.filter.as_deref(), data.budget)?;
        let work = Work::new("looking at the columns", Some(training_rows));
        columns::survey(&mut rows::range(source, 0..training_rows), &read, &work)?
    };
    let choices: Vec<Vec<String>> =
        description.columns.iter().map(|column| column.choices.iter().map(ToString::to_string).collect()).collect();
    let facts = description.columns.iter().zip(&choices).map(|(column, choices)| Facts {
        name: &column.name,
        data_type: &column.data_type,
        usable: column.usable,
        choices,
        nulls: column.nulls,
        seen: names.iter().position(|name| *name == column.name).map(|place| &seen[place]),
    });
    let facts: Vec<Facts<'_>> = facts.collect();
    let choice = columns::choose(&facts, Some(&data.target), data.order.as_deref(), &data.except);
    if choice.used.is_empty() {
        let why = if choice.left_out.is_empty() {
            format!("it has none beside {}", data.target)
        } else {
            let reasons: Vec<String> =
                choice.left_out.iter().map(|left_out| format!("{} ({})", left_out.column, left_out.why)).collect();
            format!("left out are {}", reasons.join(", "))
        };
        bail!("{}: there is no column to learn from; {why}", data.file.display());
    }
    Ok(choice)
}

/// What readers should know.
fn notes(data: &UserData, description: &Description, found: &Found, choice: &Choice) -> Vec<String> {
    let mut notes = vec![
        "The target loss is 95 % of what a prediction that learns nothing from the features scores.".to_owned(),
        "Means, standard deviations and categories come from the training rows, for every strategy alike.".to_owned(),
        match &data.order {
            Some(column) => format!("Rows are sorted by {column}."),
            None => "Rows are in the file's order.".to_owned(),
        },
    ];
    if let Some(condition) = &data.filter {
        notes.push(format!("Only rows where {condition}."));
    }
    notes.extend(description.undescribed.iter().map(|column| format!("{}.", format::capitalized(&column.to_string()))));
    let missing = |scan: &columns::TargetScan| scan.nulls + scan.infinite;
    if missing(&found.training) + missing(&found.held_out) > 0 {
        notes.push(format!(
            "Rows left out because {} is null, NaN or infinite: {} of {} training rows, {} of {} held-out rows.",
            data.target,
            format::exact(missing(&found.training)),
            format::exact(found.training.rows),
            format::exact(missing(&found.held_out)),
            format::exact(found.held_out.rows)
        ));
    }
    if found.unseen > 0 {
        notes.push(format!(
            "Held-out rows left out because {} is none of the values trained on ({}): {} of {}.",
            data.target,
            found.training.values(),
            format::exact(found.unseen),
            format::exact(found.held_out.rows)
        ));
    }
    if found.target.kind == TaskKind::Binary && found.held_out.distinct() == 1 {
        notes.push(format!(
            "All held-out rows have the same value of {}, {}: the ROC AUC of one class is not defined.",
            data.target,
            found.held_out.values()
        ));
    }
    notes.push(
        "Null, NaN and infinity are missing values: a number that is missing becomes the mean of the training rows, with \
         a further number that says so where training rows lack some; a text or time that is missing is a category."
            .into(),
    );
    let infinite: Vec<String> = choice.used.iter().filter(|used| used.infinite > 0).map(infinite).collect();
    if !infinite.is_empty() {
        notes.push(format!("Infinite values in training rows: {}.", infinite.join(", ")));
    }
    let used = choice.used.iter().map(|used| format!("{} {}", used.column, used.encoding));
    notes.push(format!("Columns used: {}.", used.collect::<Vec<_>>().join(", ")));
    if !choice.left_out.is_empty() {
        let left_out = choice.left_out.iter().map(|left_out| format!("{} ({})", left_out.column, left_out.why));
        notes.push(format!("Columns left out: {}.", left_out.collect::<Vec<_>>().join(", ")));
    }
    notes
}

fn infinite(used: &columns::Used) -> String {
    format!("{} in {}", format::exact(used.infinite), used.column)
}

/// How many rows meet a condition.
fn matching(data: &UserData, condition: &str) -> Result<u64> {
    let parsed: Predicate = condition.parse().with_context(|| format!("--where {condition:?}"))?;
    let columns: Vec<String> = parsed.columns().into_iter().map(str::to_owned).collect();
    let work = Work::new("counting rows", None);
    let mut rows = rows::open_raw(&data.file, &columns, Some(condition), data.budget)?;
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
