//! How to train on some files: which columns, which way, which command.

use std::fmt::Write;

use serde::Serialize;
use tidemill::parquet::Usable;

use super::{Column, Options, TargetRows, is_target};
use crate::columns::{self, Choice, Facts, Fill, LeftOut, Rule, Seen, Target, Used, Way};
use crate::format;
use crate::printable::{option, printable, quoted};
use crate::results::TaskKind;
use crate::rows::mebibytes;
use crate::tasks::LEAST_ROWS;

/// What to do with some files.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestion {
    /// Columns to learn from.
    pub used: Vec<Used>,
    /// Columns to do without.
    pub left_out: Vec<LeftOut>,
    /// `batch` or `online`.
    pub strategy: String,
    /// Why that.
    pub why: String,
    /// Rows a step.
    pub batch_size: u64,
    /// Bytes that reading takes.
    pub read_budget: u64,
    /// A command that compares the ways to train on these rows; none where that is not possible.
    pub command: Option<String>,
    /// Why it is not.
    pub obstacle: Option<String>,
    /// How a program begins.
    pub rust: String,
}

/// What the suggestion is made from, beside the columns.
pub(super) struct Basis<'a> {
    pub rows: u64,
    pub row_groups: u64,
    /// Bytes of all rows in memory.
    pub memory: u64,
    pub read_budget: u64,
    /// What the rows hold that a comparison trains on, where that is known apart.
    pub trained: Option<&'a [(String, Seen)]>,
    pub target: Option<&'a TargetRows>,
}

pub(super) fn suggest(options: &Options, columns: &[Column], basis: &Basis<'_>) -> Suggestion {
    let trained = |name: &str| {
        let (_, seen) = basis.trained?.iter().find(|(column, _)| column == name)?;
        Some(seen)
    };
    let facts: Vec<Facts<'_>> = columns
        .iter()
        .map(|column| Facts {
            name: &column.name,
            data_type: &column.data_type,
            usable: column.usable,
            choices: &column.choices,
            nulls: column.stated_nulls,
            seen: trained(&column.name).or(column.seen.as_ref()),
        })
        .collect();
    let target = options.target.as_deref();
    let order = options.is_one_file().then(|| columns::order(&facts, target)).flatten();
    let choice = columns::choose(&facts, target, order, &[]);
    // The rows of training, and a second copy while they are held with what was read.
    let fits = basis.memory.saturating_mul(2) <= options.budget;
    let (memory, budget) = (format::bytes(basis.memory as f64), format::bytes(options.budget as f64));
    let (strategy, why) = if fits {
        ("batch", format!("all rows take {memory} in memory, of {budget} that they may take; compare with online"))
    } else {
        ("online", format!("all rows take {memory} in memory, more than half of the {budget} that they may take"))
    };
    let batch_size = (basis.rows / 2000).next_power_of_two().clamp(32, 1024);
    let mut targets = facts.iter().filter(|column| target == Some(column.name));
    let (target, is_twice) = (targets.next(), targets.next().is_some());
    let decided = basis.target.filter(|rows| rows.trained.distinct() > 1).zip(options.target.as_deref());
    let decided = decided.map(|(rows, name)| rows.trained.target(name, None));
    let obstacle = obstacle(options, &choice, target, is_twice, order, basis);
    let obstacle = obstacle.or_else(|| decided.clone()?.err());
    let unseen = basis.target.is_some_and(|rows| {
        let is_class = !matches!(&decided, Some(Ok(Target { kind: TaskKind::Regression, .. })));
        is_class && (order.is_some() || !rows.all || rows.known < rows.held_out)
    });
    Suggestion {
        command: obstacle.is_none().then(|| command(options, order, unseen)),
        obstacle,
        rust: rust(options, &choice, &target_encoding(target, decided), basis, strategy, batch_size),
        used: choice.used,
        left_out: choice.left_out,
        strategy: strategy.into(),
        why,
        batch_size,
        read_budget: basis.read_budget,
    }
}

/// What stands in the way of a comparison, as far as the rows tell.
fn obstacle(
    options: &Options,
    choice: &Choice,
    target: Option<&Facts<'_>>,
    is_twice: bool,
    order: Option<&str>,
    basis: &Basis<'_>,
) -> Option<String> {
    if basis.rows < LEAST_ROWS {
        let rows = if basis.rows == 1 { "is 1 row".into() } else { format!("are {} rows", basis.rows) };
        return Some(format!("there {rows}; a comparison takes {LEAST_ROWS} or more"));
    }
    if options.data().is_none() {
        return Some("a comparison takes one file, or all files of one folder".into());
    }
    let target = target?;
    let name = printable(target.name);
    if is_twice {
        return Some(format!("several columns have the name {name}, which --target gives; rename them"));
    }
    if !is_target(target.usable) {
        return Some(format!("the target {name} is {}; expected one number or one text a row", target.data_type));
    }
    if choice.used.is_empty() {
        return Some("there is no column to learn from".into());
    }
    let rows = basis.target.filter(|rows| rows.trained.rows > 0)?;
    // In another order, other rows are held out.
    let is_known = rows.all && order.is_none();
    match (rows.trained.present(), rows.trained.distinct()) {
        (0, _) => Some(format!("no row trained on has a value in the target {name}")),
        (_, 1) => Some(format!("all rows trained on have the same value in the target {name}")),
        _ if is_known && rows.held_out == 0 => Some(format!("no row held out has a value in the target {name}")),
        _ if is_known && rows.known == 0 && rows.trained.target(target.name, None).is_ok_and(|t| t.is_class()) => {
            Some(format!("no row held out has a value in the target {name} that was trained on"))
        }
        _ => None,
    }
}

/// The target's encoding, as a program says it.
fn target_encoding(column: Option<&Facts<'_>>, decided: Option<Result<Target, String>>) -> String {
    let is_text = column.is_some_and(|column| column.usable == Usable::Text);
    let way = match decided {
        Some(Ok(target)) => target.rule.way,
        _ if is_text => Way::Class,
        _ => Way::Standardize,
    };
    let missing = column
        .is_some_and(|column| column.nulls != Some(0) || column.seen.is_some_and(|seen| seen.present() < seen.rows));
    Rule { way, fill: if missing { Fill::DropRow } else { Fill::Category } }.to_string()
}

fn command(options: &Options, order: Option<&str>, unseen: bool) -> String {
    let mut command = "tidemill-experiments experiment".to_owned();
    let data = options.data().unwrap_or_default();
    let _ = write!(command, " {}", option("--data", &data.display().to_string()));
    options.arguments.iter().for_each(|argument| command += &format!(" {}", quoted(argument)));
    match &options.target {
        Some(target) => command += &format!(" {}", option("--target", target)),
        None => command += " --target COLUMN",
    }
    if let Some(order) = order {
        let _ = write!(command, " {}", option("--order", order));
    }
    if let Some(filter) = &options.filter {
        let _ = write!(command, " {}", option("--where", filter));
    }
    if unseen {
        command += " --unseen skip";
    }
    let _ = write!(command, " --budget {}", options.budget >> 20);
    command
}

fn rust(
    options: &Options,
    choice: &Choice,
    target: &str,
    basis: &Basis<'_>,
    strategy: &str,
    batch_size: u64,
) -> String {
    let columns = choice.columns();
    let mut columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let target_name = options.target.as_deref().unwrap_or("COLUMN");
    columns.push(target_name);
    let files: Vec<String> = options.files.iter().map(|file| format!("{:?}", file.display().to_string())).collect();
    let files = if let [one] = &files[..] { one.clone() } else { format!("[{}]", files.join(", ")) };
    let mut lines = vec![
        "use tidemill::prelude::*;".to_owned(),
        String::new(),
        format!("let rows = ParquetSource::open({files})"),
        "    .columns([".to_owned(),
    ];
    let names: Vec<String> = columns.iter().map(|column| format!("{column:?},")).collect();
    lines.extend(format::wrapped(&names.join(" "), 80).into_iter().map(|line| format!("        {line}")));
    lines.push("    ])".into());
    if strategy == "online" && basis.row_groups > 1 {
        lines.push("    .shuffle_blocks(1) // leave this out where the order of the rows tells something".into());
    }
    lines.push(format!("    .budget({} << 20)", mebibytes(basis.read_budget)));
    if let Some(filter) = &options.filter {
        lines.push(format!("    .filter({filter:?}.parse()?)"));
    }
    lines.push("    .build::<f64>()?;".into());
    lines.push(r#"let split = Split::by_row(1, [("train", 0.8), ("test", 0.2)])?;"#.into());
    lines.push(r#"let mut train = rows.clone().part(&split, "train")?;"#.into());
    lines.push("let (encoder, report) = Encoder::builder()".into());
    if choice.block() != "x" {
        lines.push(format!("    .block_name({:?})", choice.block()));
    }
    for Used { column, feature, encoding, .. } in &choice.used {
        lines.push(match feature == column {
            true => format!("    .feature({column:?}, Encoding::{encoding})"),
            false => format!("    .feature_from({feature:?}, {column:?}, Encoding::{encoding})"),
        });
    }
    lines.push(format!("    .target({target_name:?}, Encoding::{target})"));
    lines.push("    .fit(&mut train)?;".into());
    lines.push(match strategy {
        "batch" => {
            format!("let strategy = Batch::new(4).batch_size({batch_size}).budget({} << 20);", options.budget >> 20)
        }
        _ => format!("let strategy = Online::new().batch_size({batch_size});"),
    });
    lines.join("\n") + "\n"
}
