//! Which columns to learn from and how, and which way of training fits.

use std::fmt::Write;

use serde::Serialize;
use tidemill::parquet::Usable;

use super::scan::Numbers;
use super::{Column, Options};
use crate::format;

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

/// A column to learn from.
#[derive(Clone, Debug, Serialize)]
pub struct Used {
    /// The column.
    pub column: String,
    /// Its encoding, as a program says it.
    pub encoding: String,
    /// Why that; empty where nothing speaks for another.
    pub why: String,
}

/// A column to do without.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The column.
    pub column: String,
    /// Why.
    pub why: String,
}

/// What the suggestion is made from, beside the columns.
pub(super) struct Facts {
    pub rows: u64,
    pub row_groups: u64,
    pub rows_read: u64,
    /// Bytes of all rows in memory.
    pub memory: u64,
    pub read_budget: u64,
}

/// Texts of more different values are hashed.
const CATEGORIES: u64 = 1000;
/// Texts of fewer are given a number each.
const ONE_HOT: u64 = 8;
/// Whole numbers of at most so many different values are classes, when they are the target.
const CLASSES: u64 = 20;

pub(super) fn suggest(options: &Options, columns: &[Column], facts: &Facts) -> Suggestion {
    let (mut used, mut left_out) = (Vec::new(), Vec::new());
    for column in columns.iter().filter(|column| options.target.as_ref() != Some(&column.name)) {
        match feature(column, facts) {
            Ok(encodings) => used.extend(encodings.into_iter().map(|(encoding, why)| Used {
                column: column.name.clone(),
                encoding,
                why,
            })),
            Err(why) => left_out.push(LeftOut { column: column.name.clone(), why }),
        }
    }
    // The rows of training, and a second copy while they are held with what was read.
    let fits = facts.memory.saturating_mul(2) <= options.budget;
    let (memory, budget) = (format::bytes(facts.memory as f64), format::bytes(options.budget as f64));
    let (strategy, why) = if fits {
        ("batch", format!("all rows take {memory} in memory, of {budget} that they may take; compare with online"))
    } else {
        ("online", format!("all rows take {memory} in memory, more than half of the {budget} that they may take"))
    };
    let batch_size = (facts.rows / 2000).next_power_of_two().clamp(32, 1024);
    let target = options.target.as_ref().and_then(|target| columns.iter().find(|column| column.name == *target));
    Suggestion {
        command: command(options, columns),
        rust: rust(options, &used, target, facts, strategy, batch_size),
        used,
        left_out,
        strategy: strategy.into(),
        why,
        batch_size,
        read_budget: facts.read_budget,
    }
}

/// How a column is encoded and why, more than once where it tells several things; or why it is left out.
fn feature(column: &Column, facts: &Facts) -> Result<Vec<(String, String)>, String> {
    match column.usable {
        Usable::No => return Err(format!("{} cannot become numbers or categories", column.data_type)),
        Usable::Choice => return Err(format!("{}: choose {}", column.data_type, column.choices.join("; or "))),
        Usable::Real { .. } | Usable::Text => {}
    }
    if column.nulls == Some(facts.rows) && facts.rows > 0 {
        return Err("no row has a value".into());
    }
    let Some(seen) = &column.seen else { return Ok(by_type(column)) };
    if seen.nulls == facts.rows_read {
        return Err("no row that was read has a value".into());
    }
    let present = facts.rows_read - seen.nulls;
    let nearly_all = seen.distinct * 10 > present * 9 && present >= 100;
    if seen.distinct == 1 && seen.nulls == 0 && seen.distinct_is_exact {
        return Err("every row has the same value".into());
    }
    match (&seen.numbers, column.usable) {
        (_, Usable::Text) if nearly_all => Err("nearly every row has a text of its own".into()),
        (_, Usable::Text) => Ok(vec![category(seen.distinct, seen.distinct_is_exact)]),
        (Some(numbers), _) if numbers.infinite > 0 => {
            Err(format!("{} values are infinite", format::exact(numbers.infinite)))
        }
        (Some(numbers), Usable::Real { width: 1 }) if numbers.counts_rows => Err("it numbers the rows".into()),
        (Some(numbers), _) => Ok(reals(column, numbers, seen.nulls > 0 || column.nulls != Some(0))),
        (None, _) => Ok(by_type(column)),
    }
}

fn by_type(column: &Column) -> Vec<(String, String)> {
    match column.usable {
        Usable::Text => vec![(format!("category().max_categories({CATEGORIES})"), String::new())],
        _ if is_time(column) => times(),
        _ => vec![(format!("standardize(){}", missing(column.nulls != Some(0))), String::new())],
    }
}

fn is_time(column: &Column) -> bool {
    column.data_type.starts_with("timestamp")
}

fn times() -> Vec<(String, String)> {
    let why = "later times are beyond all that was trained on";
    vec![("hour_of_day()".into(), why.into()), ("day_of_week()".into(), String::new())]
}

fn category(distinct: u64, exact: bool) -> (String, String) {
    match distinct {
        _ if !exact => ("hash(65_536)".into(), "more different texts than were counted".into()),
        0..=ONE_HOT => ("one_hot()".into(), String::new()),
        _ if distinct <= CATEGORIES => ("category()".into(), String::new()),
        _ => (
            format!("category().max_categories({CATEGORIES})"),
            format!("{} different texts; the rare ones together", format::exact(distinct)),
        ),
    }
}

fn reals(column: &Column, numbers: &Numbers, nulls: bool) -> Vec<(String, String)> {
    let missing = missing(nulls);
    if is_time(column) {
        return times();
    }
    let Numbers { min, q25, median, q75, max, .. } = *numbers;
    if column.data_type == "bool" || (min == 0.0 && max == 1.0 && numbers.whole) {
        return vec![(format!("real(){missing}"), "0 and 1".into())];
    }
    let range = q75 - q25;
    if range > 0.0 && (max - median).max(median - min) > 20.0 * range {
        let why = format!("from {} to {}, half of them within {}", short(min), short(max), short(range));
        return vec![(format!("robust().clip(0.001, 0.999){missing}"), why)];
    }
    vec![(format!("standardize(){missing}"), String::new())]
}

fn missing(nulls: bool) -> &'static str {
    if nulls { ".missing(Missing::MeanWithIndicator)" } else { "" }
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e9 { format!("{value}") } else { format::decimal(value) }
}

/// The target's encoding.
fn target_encoding(column: &Column) -> String {
    let missing = if column.nulls == Some(0) { "" } else { ".missing(Missing::DropRow)" };
    let encoding = match column.seen.as_ref().map(|seen| (seen, &seen.numbers)) {
        _ if column.usable == Usable::Text => "class()".into(),
        Some((seen, Some(numbers))) if seen.distinct == 2 => format!("above({:?})", numbers.min),
        Some((seen, Some(numbers))) if numbers.whole && seen.distinct <= CLASSES => "class()".into(),
        _ => "standardize()".into(),
    };
    format!("{encoding}{missing}")
}

fn command(options: &Options, columns: &[Column]) -> String {
    let quoted = |text: &str| {
        let plain = |c: char| c.is_alphanumeric() || "/._-+=:,".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    let mut command = "tidemill-experiments experiment --data ".to_owned();
    // One file or folder is what the comparison takes.
    let data = match &options.files[..] {
        [one] => one.clone(),
        several => several[0].parent().map_or_else(|| several[0].clone(), std::path::Path::to_owned),
    };
    let _ = write!(command, "{} --target ", quoted(&data.display().to_string()));
    match &options.target {
        Some(target) => command.push_str(&quoted(target)),
        None => command.push_str("COLUMN"),
    }
    let mut times = columns.iter().filter(|column| is_time(column) && options.target.as_ref() != Some(&column.name));
    if let (Some(time), None) = (times.next(), times.next()) {
        let _ = write!(command, " --order {}", quoted(&time.name));
    }
    if let Some(filter) = &options.filter {
        let _ = write!(command, " --where {}", quoted(filter));
    }
    let _ = write!(command, " --budget {}", options.budget >> 20);
    command
}

fn rust(
    options: &Options,
    used: &[Used],
    target: Option<&Column>,
    facts: &Facts,
    strategy: &str,
    batch_size: u64,
) -> String {
    let mut columns: Vec<&str> = used.iter().map(|used| used.column.as_str()).collect();
    columns.dedup();
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
    if strategy == "online" && facts.row_groups > 1 {
        lines.push("    .shuffle_blocks(1) // leave this out where the order of the rows tells something".into());
    }
    lines.push(format!("    .budget({} << 20)", facts.read_budget.div_ceil(1 << 20)));
    if let Some(filter) = &options.filter {
        lines.push(format!("    .filter({filter:?}.parse()?)"));
    }
    lines.push("    .build::<f64>()?;".into());
    lines.push(r#"let split = Split::by_row(1, [("train", 0.8), ("test", 0.2)])?;"#.into());
    lines.push(r#"let mut train = rows.clone().part(&split, "train")?;"#.into());
    lines.push("let (encoder, report) = Encoder::builder()".into());
    for used in used {
        let twice = used.encoding.starts_with("hour_of_day") || used.encoding.starts_with("day_of_week");
        let (name, what) = (format!("{}.{}", used.column, used.encoding.trim_end_matches("()")), &used.encoding);
        lines.push(match twice {
            true => format!("    .feature_from({name:?}, {:?}, Encoding::{what})", used.column),
            false => format!("    .feature({:?}, Encoding::{what})", used.column),
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
