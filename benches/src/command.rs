//! What `cargo xtask bench` does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::peers::{Peers, compare};
use crate::progress::{found, note};
use crate::record::{Kept, Record};
use crate::{Apart, Figure, Machine, Options, Table};

/// Measures what the options ask for, and prints it. `words` are the command line that they came from.
///
/// # Errors
///
/// When the options make no sense, and those of what is measured.
pub fn run(options: &Options, words: &[String]) -> Result<()> {
    let figures = options.resolve()?;
    let record = options.save.as_deref().map(Record::today).transpose()?;
    let apart = Apart::new()?;
    if let Some(python) = &options.peers {
        let peers = Peers::find(python, &options.against, options.repeats())?;
        let apart = apart.pinned();
        let files = Files::for_all(&figures, options, &apart)?;
        let found = compare_all(files.figures(figures), &peers, options.rounds(), &apart)?;
        return found.tell(options, record.as_ref(), words, peers.versions(), apart.describe());
    }
    let files = Files::for_all(&figures, options, &apart)?;
    match (&files.figures(figures)[..], &record) {
        ([figure], None) if options.as_rank || figure.ranks() == 1 => alone(figure, options.json),
        (figures, _) => {
            let found = take_all(figures, &apart)?;
            found.tell(options, record.as_ref(), words, &BTreeMap::new(), "nothing is pinned to processors")
        }
    }
}

/// One figure, in this process.
fn alone(figure: &Figure, json: bool) -> Result<()> {
    if json {
        note(figure.describe());
    } else {
        found(figure.describe())?;
    }
    match figure.take()? {
        Some(taken) if json => found(taken.json())?,
        Some(taken) => found(taken)?,
        None => {}
    }
    Ok(())
}

/// What was found of several figures.
struct Results {
    table: Table,
    /// A line each.
    lines: Vec<Value>,
    /// The lines of all runs.
    runs: Vec<Value>,
}

impl Results {
    fn tell(
        &self,
        options: &Options,
        record: Option<&Record>,
        words: &[String],
        versions: &BTreeMap<String, String>,
        pinning: &str,
    ) -> Result<()> {
        let printed = if options.json { self.lines.iter().try_for_each(found) } else { found(&self.table) };
        // What is to be kept is kept, whoever reads or does not.
        if let Some(record) = record {
            let table = self.table.to_string();
            let kept = Kept { words, versions, pinning, table, results: &self.lines, runs: &self.runs };
            let page = record.keep(&Machine::look(), &kept)?;
            note(format_args!("kept: {}", page.display()));
        }
        printed.context("standard output cannot be written")
    }
}

fn take_all(figures: &[Figure], apart: &Apart) -> Result<Results> {
    let mut named = Vec::with_capacity(figures.len());
    for figure in figures {
        note(figure.describe());
        named.push((figure.name(), apart.take(figure)?.0));
    }
    let table = Table::of_figures(&named);
    let lines: Vec<Value> = named.into_iter().map(|(_, line)| line).collect();
    Ok(Results { table, runs: lines.clone(), lines })
}

fn compare_all(figures: Vec<Figure>, peers: &Peers, rounds: usize, apart: &Apart) -> Result<Results> {
    note(apart.describe());
    let (mut named, mut lines, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for figure in &figures {
        let found = compare(figure, peers, rounds, |figure| apart.take(figure))?;
        let mut line = found.line(figure.workload(), figure.mode().map(|mode| mode.name()), figure.threads());
        if let Some(categories) = figure.categories() {
            line["categories"] = categories.into();
        }
        lines.push(line);
        runs.extend(found.ours.lines.iter().chain(found.rivals.iter().flat_map(|rival| &rival.runs.lines)).cloned());
        named.push((figure.name(), figure.threads(), found));
    }
    Ok(Results { table: Table::of_comparisons(&named), lines, runs })
}

/// The files that figures read and that nobody gave, by their numbers of rows.
struct Files {
    paths: BTreeMap<usize, PathBuf>,
    /// Removes them in the end.
    _folder: Option<TempDir>,
}

impl Files {
    /// Writes them, each in a process of its own, whose memory is not that of what is measured.
    fn for_all(figures: &[Figure], options: &Options, apart: &Apart) -> Result<Self> {
        let mut rows: Vec<usize> = figures.iter().filter_map(Figure::lacks_file_of).collect();
        rows.sort_unstable();
        rows.dedup();
        if let Some(path) = &options.keep {
            let paths = rows.iter().map(|&rows| (rows, path.clone())).collect();
            rows.last().map_or(Ok(()), |&most| apart.run(&Figure::Write(path.clone(), most)))?;
            return Ok(Self { paths, _folder: None });
        }
        if rows.is_empty() {
            return Ok(Self { paths: BTreeMap::new(), _folder: None });
        }
        let folder = tempfile::tempdir().context("there is no temporary folder")?;
        let mut paths = BTreeMap::new();
        for rows in rows {
            let path = folder.path().join(format!("higgs-{rows}.parquet"));
            apart.run(&Figure::Write(path.clone(), rows))?;
            paths.insert(rows, path);
        }
        Ok(Self { paths, _folder: Some(folder) })
    }

    fn figures(&self, figures: Vec<Figure>) -> Vec<Figure> {
        let with_file = |figure: Figure| match figure.lacks_file_of().and_then(|rows| self.paths.get(&rows)) {
            Some(path) => figure.reading(path),
            None => figure,
        };
        figures.into_iter().map(with_file).collect()
    }
}
