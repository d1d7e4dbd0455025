//! How to train on some files: which columns, which way, which command.

use std::fmt::Write;

use serde::Serialize;
use tidemill::parquet::Usable;

use super::{Column, Options};
use crate::columns::{self, Choice, Facts, Fill, LeftOut, Rule, Seen, Used, Way};
use crate::format;
use crate::printable::option;
use crate::rows::mebibytes;

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
    /// A command that compares the ways to train on these rows.
    pub command: String,
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
}

/// Whole numbers of at most so many different values are classes, when they are the target.
const CLASSES: u64 = 20;

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
    let target = facts.iter().find(|column| target == Some(column.name));
    Suggestion {
        command: command(options, order),
        rust: rust(options, &choice, target, basis, strategy, batch_size),
        used: choice.used,
        left_out: choice.left_out,
        strategy: strategy.into(),
        why,
        batch_size,
        read_budget: basis.read_budget,
    }
}

/// The target's encoding.
fn target_encoding(column: &Facts<'_>) -> String {
    let way = match column.seen.map(|seen| (seen, &seen.numbers)) {
        _ if column.usable == Usable::Text => Way::Class,
        Some((seen, Some(numbers))) if seen.distinct == 2 => Way::Above(numbers.min),
        Some((seen, Some(numbers))) if numbers.whole && seen.distinct <= CLASSES => Way::Class,
        _ => Way::Standardize,
    };
    let missing = column.nulls != Some(0) || column.seen.is_some_and(|seen| seen.present() < seen.rows);
    let fill = if missing { Fill::DropRow } else { Fill::NoneSeen(0.0) };
    Rule { way, fill }.to_string()
}

fn command(options: &Options, order: Option<&str>) -> String {
    let mut command = "tidemill-experiments experiment".to_owned();
    // One file or folder is what the comparison takes.
    let data = match &options.files[..] {
        [one] => one.clone(),
        several => several[0].parent().map_or_else(|| several[0].clone(), std::path::Path::to_owned),
    };
    let _ = write!(command, " {}", option("--data", &data.display().to_string()));
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
    let _ = write!(command, " --budget {}", options.budget >> 20);
    command
}

fn rust(
    options: &Options,
    choice: &Choice,
    target: Option<&Facts<'_>>,
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
    let target = target.map_or("standardize()".into(), target_encoding);
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
