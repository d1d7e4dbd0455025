//! What is in a file, and how to train on it.

mod suggest;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tidemill::data::Batch;
use tidemill::data::Interrupt;
use tidemill::parquet::{ColumnDescription, Description, PassedOver, Usable, describe};
use tidemill::prelude::*;

use crate::columns::{self, Scan, Seen, TargetScan, value_of};
use crate::progress::Work;
use crate::rows::open_within;
use crate::tasks::{LEAST_ROWS, training_rows};

pub use suggest::Suggestion;
pub use text::text;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Parquet files, or folders of them, of one schema.
    pub files: Vec<PathBuf>,
    /// What was asked for, of which these files were made or found.
    pub asked: Vec<PathBuf>,
    /// The options of a command that say how what was asked for is read.
    pub arguments: Vec<String>,
    /// The column to predict, where it is known.
    pub target: Option<String>,
    /// The rows that count; all when absent.
    pub filter: Option<String>,
    /// How much is read.
    pub reading: Reading,
    /// Bytes that reading, and the rows of batch training, may take together.
    pub budget: u64,
}

/// How much of the files is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All rows.
    All,
    /// The first rows, for some seconds.
    Some,
    /// What the footers say, and no row.
    Nothing,
}

/// Where nothing is said of how much to read: at most so many rows, for at most so long.
const ROWS: u64 = 1_000_000;
const TIME: Duration = Duration::from_secs(10);

/// What is in some files.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The files and folders asked for.
    #[serde(serialize_with = "crate::any_path::serialize_all")]
    pub files: Vec<PathBuf>,
    /// The condition that rows must meet.
    pub filter: Option<String>,
    /// Rows in all files.
    pub rows: u64,
    /// Row groups in all files.
    pub row_groups: u64,
    /// Rows of the largest of them.
    pub largest_row_group: u64,
    /// Bytes of all columns in the files.
    pub bytes: u64,
    /// Rows that were read, of those that meet the condition; from the first on.
    pub rows_read: u64,
    /// Whether those are all.
    pub read_all: bool,
    /// Row groups that were not read because no row of them can meet the condition, and their rows.
    pub row_groups_passed_over: u64,
    /// Rows in them.
    pub rows_passed_over: u64,
    /// The columns, in the files' order.
    pub columns: Vec<Column>,
    /// Bytes that all rows take in memory as numbers of 32 bits, categories as indices.
    pub memory_f32: u64,
    /// The same as numbers of 64 bits.
    pub memory_f64: u64,
    /// What is not read, and why.
    pub notes: Vec<String>,
    /// What to do with them.
    pub suggestion: Suggestion,
}

/// One column.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The type in the file.
    pub data_type: String,
    /// What it can serve as: `real`, `real [3]`, `text`, `not usable`.
    pub serves_as: String,
    /// Bytes in the files.
    pub bytes: u64,
    /// Rows without a value: of all files where their statistics tell and all rows count, else among the rows read.
    pub nulls: Option<u64>,
    /// What the rows read hold; none where no row was read, or the column is not usable.
    pub seen: Option<Seen>,
    /// Ways to use it, or its parts, that have to be chosen.
    pub choices: Vec<String>,
    #[serde(skip)]
    usable: Usable,
    /// Rows without a value in all files, where their statistics tell.
    #[serde(skip)]
    stated_nulls: Option<u64>,
}

impl Options {
    /// Whether all rows are in one file, which can be put in another order.
    fn is_one_file(&self) -> bool {
        matches!(&self.files[..], [file] if file.is_file())
    }

    /// The one path that a comparison takes; none where these are several, but not all of a folder.
    fn data(&self) -> Option<PathBuf> {
        if let [one] = &self.asked[..] {
            return Some(one.clone());
        }
        let folder = self.asked[0].parent()?;
        let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let kind = self.asked[0].extension();
        let entries = shown.read_dir().ok()?.filter_map(|entry| Some(folder.join(entry.ok()?.file_name())));
        let all: BTreeSet<PathBuf> = entries.filter(|path| path.extension() == kind).collect();
        (self.asked.iter().cloned().collect::<BTreeSet<_>>() == all).then(|| shown.to_owned())
    }
}

/// Looks at files: at their footers, and at rows as far as that was asked for.
///
/// # Errors
///
/// When a file cannot be read, or the target or a column of the condition does not exist, by name.
pub fn inspect(options: &Options, stop: &Interrupt) -> Result<Inspection> {
    let description = describe(options.files.as_slice())?;
    if let Some(target) = &options.target
        && !description.columns.iter().any(|column| column.name == *target)
    {
        let names: Vec<&str> = description.columns.iter().map(|c| c.name.as_str()).collect();
        if names.is_empty() {
            bail!("{}: it has no columns", options.files[0].display());
        }
        bail!("{}: there is no column {target}; it has {}", options.files[0].display(), names.join(", "));
    }
    let read = read(options, &description, stop)?;
    let columns: Vec<Column> =
        description.columns.iter().map(|column| self::column(column, &read, options.filter.is_some())).collect();
    let rows = if read.all && options.filter.is_some() { read.rows } else { description.rows - read.passed_over.rows };
    let (memory_f32, memory_f64) = (memory(&columns, 4).saturating_mul(rows), memory(&columns, 8).saturating_mul(rows));
    let basis = suggest::Basis {
        rows,
        row_groups: description.row_groups as u64,
        memory: memory_f32,
        read_budget: read.budget,
        trained: read.trained.as_deref(),
        target: read.target.as_ref(),
    };
    Ok(Inspection {
        files: options.files.clone(),
        filter: options.filter.clone(),
        rows: description.rows,
        row_groups: description.row_groups as u64,
        largest_row_group: description.largest_row_group,
        bytes: description.columns.iter().map(|column| column.bytes).sum(),
        rows_read: read.rows,
        read_all: read.all,
        row_groups_passed_over: read.passed_over.row_groups as u64,
        rows_passed_over: read.passed_over.rows,
        suggestion: suggest::suggest(options, &columns, &basis),
        notes: description.undescribed.iter().map(ToString::to_string).collect(),
        columns,
        memory_f32,
        memory_f64,
    })
}

/// What the target's column holds.
struct TargetRows {
    /// Of the rows that a comparison trains on, or of all that were read where these are not known.
    trained: TargetScan,
    /// Of the rows behind them: how many have a value, and one that was trained on.
    held_out: u64,
    known: u64,
    /// Whether all rows were read, and it is known which are trained on.
    all: bool,
}

impl TargetRows {
    fn observe(&mut self, column: &tidemill::data::Column<f64>, rows: usize, is_trained: bool) {
        if is_trained {
            self.trained.observe(column, 0..rows);
            return;
        }
        for value in (0..rows).filter_map(|row| value_of(column, row)) {
            self.held_out += 1;
            self.known += u64::from(self.trained.has(&value));
        }
    }
}

/// What came of reading.
#[derive(Default)]
struct Read {
    seen: Vec<(String, Seen)>,
    /// The same of the rows that a comparison trains on, where they are fewer.
    trained: Option<Vec<(String, Seen)>>,
    target: Option<TargetRows>,
    rows: u64,
    all: bool,
    passed_over: PassedOver,
    budget: u64,
}

fn read(options: &Options, description: &Description, stop: &Interrupt) -> Result<Read> {
    let usable: Vec<&ColumnDescription> = columns::usable(&description.columns).collect();
    let names: Vec<&str> = usable.iter().map(|column| column.name.as_str()).collect();
    let condition = options.filter.as_deref().map(parse).transpose()?;
    if names.is_empty() {
        return Ok(Read::default());
    }
    let opened = open_within(options.budget, |budget| {
        let rows = ParquetSource::open(options.files.as_slice()).columns(names.iter().copied()).budget(budget);
        match &condition {
            None => rows.build::<f64>().map(|source| (PassedOver::default(), source.boxed())),
            Some(condition) => {
                rows.filter(condition.clone()).build::<f64>().map(|source| (source.passed_over(), source.boxed()))
            }
        }
    })?;
    let (passed_over, mut source) = opened.source;
    let mut read = Read { passed_over, budget: opened.budget, ..Read::default() };
    if options.reading == Reading::Nothing {
        return Ok(read);
    }
    let (limit, time) = match options.reading {
        Reading::All => (u64::MAX, Duration::MAX),
        _ => (ROWS, TIME),
    };
    // Where it is known beforehand which rows a comparison trains on, what they hold is told apart.
    let is_known = options.filter.is_none() && description.rows >= LEAST_ROWS;
    let trained = is_known.then(|| training_rows(description.rows));
    let named = |scans: &[Scan]| names.iter().map(|&name| name.to_owned()).zip(scans.iter().map(Scan::seen)).collect();
    let place = options.target.as_ref().and_then(|target| names.iter().position(|name| name == target));
    let mut target = place.filter(|&place| is_target(usable[place].usable)).map(|place| {
        let trained = TargetScan::new(usable[place].usable == Usable::Text, None);
        (place, TargetRows { trained, held_out: 0, known: 0, all: false })
    });
    let mut batch = Batch::new(source.schema().clone());
    let mut scans: Vec<Scan> = usable.iter().map(|column| Scan::new(&column.data_type, usable.len())).collect();
    let work = Work::new("reading", source.rows().map(|rows| rows.min(limit)));
    let began = Instant::now();
    while read.rows < limit && began.elapsed() < time && !stop.is_set() {
        batch.clear();
        let end = trained.filter(|&end| end > read.rows).unwrap_or(limit).min(limit);
        let rows = source.fill(&mut batch, 8192.min(end - read.rows) as usize)?;
        if rows == 0 {
            read.all = true;
            break;
        }
        scans.iter_mut().zip(batch.columns()).for_each(|(scan, column)| scan.observe(column));
        if let Some((place, target)) = &mut target {
            target.observe(&batch.columns()[*place], rows, trained.is_none_or(|end| read.rows < end));
        }
        read.rows += rows as u64;
        if Some(read.rows) == trained {
            read.trained = Some(named(&scans));
        }
        work.advance(rows as u64);
    }
    read.all |= options.filter.is_none() && read.rows == description.rows;
    work.end();
    read.target = target.map(|(_, target)| TargetRows { all: read.all && trained.is_some(), ..target });
    read.seen = named(&scans);
    Ok(read)
}

/// Whether a column can be a target.
fn is_target(usable: Usable) -> bool {
    matches!(usable, Usable::Real { width: 1 } | Usable::Text)
}

fn parse(condition: &str) -> Result<Predicate> {
    condition.parse().with_context(|| format!("--where {condition:?}"))
}

fn column(column: &ColumnDescription, read: &Read, filtered: bool) -> Column {
    let seen = read.seen.iter().find(|(name, _)| *name == column.name).map(|(_, seen)| seen.clone());
    Column {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        serves_as: column.usable.to_string(),
        bytes: column.bytes,
        nulls: column.nulls.filter(|_| !filtered).or(seen.as_ref().map(|seen| seen.nulls)),
        seen,
        choices: column.choices.iter().map(ToString::to_string).collect(),
        usable: column.usable,
        stated_nulls: column.nulls,
    }
}

/// Bytes of a row in memory.
fn memory(columns: &[Column], scalar: u64) -> u64 {
    let bytes = |column: &Column| match column.usable {
        Usable::Real { width } => width as u64 * scalar,
        Usable::Text => 4,
        Usable::Choice | Usable::No => 0,
    };
    columns.iter().map(bytes).sum()
}
