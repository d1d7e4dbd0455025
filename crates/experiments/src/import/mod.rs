//! Data of any format that is read, as Parquet files: what everything else works on.
//!
//! Parquet is used where it lies. CSV and Arrow IPC are converted once, in bounded memory; the copy is used again as long
//! as it is true to what it was made from ([`derived`](crate::derived)).

mod contents;
mod convert;
mod format;
mod paths;
mod spool;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;
use tidemill::data::Interrupt;
use tidemill::parquet::PathKeys;

use crate::derived::{Derivation, Origin};
use crate::inspect::Inspection;
use crate::tasks::Prepared;
use contents::Contents;
use format::{Found, Named, detect};

pub use format::Format;
pub use paths::name;

/// How CSV is read.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[command(next_help_heading = "CSV")]
pub struct CsvOptions {
    /// What separates fields: a character, or "tab"; told from the first lines when not given.
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<Delimiter>,
    /// The first line is a row: columns are named column_1, column_2 and so on.
    #[arg(long, conflicts_with = "header")]
    pub no_header: bool,
    /// The first line names the columns, though it holds numbers alone.
    #[arg(long)]
    pub header: bool,
    /// A text that stands for no value, as the empty one does, in place of NA, N/A, null, NULL, NaN and nan; may be given
    /// several times.
    #[arg(long, value_name = "TEXT")]
    pub missing: Vec<String>,
    /// What stands before the decimals of a number, such as a comma; a point when not given.
    #[arg(long, value_name = "CHARACTER")]
    pub decimal: Option<Delimiter>,
    /// What may stand before each three digits of a number's whole part, such as a comma.
    #[arg(long, value_name = "CHARACTER")]
    pub thousands: Option<Delimiter>,
    /// A column that is kept as text, such as codes that begin with zeros; may be given several times.
    #[arg(long, value_name = "COLUMN")]
    pub text: Vec<String>,
}

/// What separates fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Delimiter(pub u8);

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Self(b'\t')),
            [byte] if byte.is_ascii() && !b"\"\n\r".contains(byte) => Ok(Self(*byte)),
            _ => Err("expected one character of ASCII other than a quote, or tab".into()),
        }
    }
}

impl CsvOptions {
    /// The options as they are given on a command line, in pairs or alone.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut give = |option: &str, value: &str| arguments.extend([option.to_owned(), value.to_owned()]);
        let marks = [("--delimiter", self.delimiter), ("--decimal", self.decimal), ("--thousands", self.thousands)];
        for (option, mark) in marks {
            match mark {
                Some(Delimiter(b'\t')) => give(option, "tab"),
                Some(Delimiter(byte)) => give(option, &char::from(byte).to_string()),
                None => {}
            }
        }
        self.missing.iter().for_each(|text| give("--missing", text));
        self.text.iter().for_each(|column| give("--text", column));
        arguments.extend(self.no_header.then(|| "--no-header".to_owned()));
        arguments.extend(self.header.then(|| "--header".to_owned()));
        arguments
    }
}

impl CsvOptions {
    /// The options as a program says them to a [`CsvBuilder`](tidemill::arrow::CsvBuilder).
    fn calls(&self) -> String {
        let mut calls = String::new();
        if let Some(Delimiter(byte)) = self.delimiter {
            calls += &format!(".delimiter(b'{}')", byte.escape_ascii());
        }
        for (call, mark) in [("decimal", self.decimal), ("thousands", self.thousands)] {
            if let Some(Delimiter(byte)) = mark {
                calls += &format!(".{call}(b'{}')", byte.escape_ascii());
            }
        }
        if self.no_header || self.header {
            let header = if self.header { "Present" } else { "Absent" };
            calls += &format!(".header(tidemill::arrow::CsvHeader::{header})");
        }
        if !self.missing.is_empty() {
            calls += &format!(".nulls({:?})", self.missing);
        }
        for column in &self.text {
            calls += &format!(".column_type({column:?}, tidemill::arrow::CsvType::Text)");
        }
        calls
    }
}

/// Paths as a list.
fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

/// Where converted data is kept.
#[derive(Clone, Copy, Debug)]
pub enum Keep<'a> {
    /// Until the data is dropped.
    Temporarily,
    /// In a folder, to be used again.
    In(&'a Path),
}

/// Data that can be read as Parquet.
#[derive(Debug)]
pub struct Imported {
    /// Parquet files, or folders of them.
    pub files: Vec<PathBuf>,
    /// What it was.
    pub format: Format,
    /// What the reader of a report should know.
    pub notes: Vec<String>,
    asked: Vec<PathBuf>,
    /// The files that these stand for.
    named: Vec<PathBuf>,
    options: CsvOptions,
    /// Holds what is not kept.
    _temporary: Option<TempDir>,
}

impl Imported {
    /// Whether the files are the ones that were asked for.
    fn is_original(&self) -> bool {
        self.format == Format::Parquet && self.asked == self.files
    }

    /// An error in terms of what was asked for.
    pub fn restated(&self, error: anyhow::Error) -> anyhow::Error {
        let text = format!("{error:#}");
        let restated = self.files.iter().fold(text.clone(), |text, file| {
            let shown = file.display().to_string();
            if self.format == Format::Parquet { text } else { text.replace(&shown, &listed(&self.asked)) }
        });
        if restated == text { error } else { anyhow::anyhow!(restated) }
    }

    /// Says in a comparison where its rows come from.
    pub fn describe(&self, prepared: &mut Prepared) {
        prepared.notes.extend(self.notes.iter().cloned());
        if !self.is_original()
            && let [asked, ..] = &self.asked[..]
        {
            prepared.data.name = name(asked);
            prepared.data.source = listed(&self.asked);
            prepared.title = format!("Batch or online? {}", prepared.data.name);
        }
    }

    /// Says in what was found, and in what is suggested, which files were asked for.
    pub fn restate(&self, inspection: &mut Inspection) {
        if self.is_original() {
            return;
        }
        inspection.files.clone_from(&self.asked);
        let suggestion = &mut inspection.suggestion;
        if self.format != Format::Parquet {
            let builder = if self.format == Format::Csv { "CsvBuilder" } else { "IpcBuilder" };
            let table = if self.format == Format::Csv { "table(|_| ())" } else { "table()" };
            let files: Vec<String> =
                self.named.iter().map(|path| format!("{:?}", path.display().to_string())).collect();
            let has_keys = !PathKeys::of(&self.named).names().is_empty();
            let (keys, schema, rows) = match has_keys {
                true => (
                    "let keys = tidemill::parquet::PathKeys::of(files);\n",
                    "&keys.schema(table.schema())",
                    "&keys.add(table.file(), &rows)?",
                ),
                false => ("", "table.schema()", "&rows"),
            };
            let parquet = format!("{:?}", format!("{}.parquet", name(&self.asked[0])));
            let first = format!(
                "let files = [{}];\n\
                 let mut table = {builder}::files(files){}.{table}?;\n\
                 {keys}\
                 let mut writer = ParquetWriter::of_schema({parquet}, {schema}, 64 << 20)?;\n\
                 while let Some(rows) = table.next_batch()? {{\n    writer.write_batch({rows})?;\n}}\n\
                 writer.finish()?;\n",
                files.join(", "),
                self.options.calls()
            );
            let open = |file: &str| format!("let rows = ParquetSource::open({file})");
            let shown = format!("{:?}", self.files[0].display().to_string());
            suggestion.rust = suggestion.rust.replacen(&open(&shown), &(first + &open(&parquet)), 1);
        }
    }

    /// As one path: a folder of links where there are several files.
    ///
    /// # Errors
    ///
    /// When the links cannot be made.
    pub fn one(&self, folder: &Path) -> Result<PathBuf> {
        let [first, _, ..] = &self.files[..] else { return Ok(self.files[0].clone()) };
        let links = folder.join("data");
        if links.exists() {
            fs::remove_dir_all(&links).with_context(|| links.display().to_string())?;
        }
        let base = first.ancestors().find(|base| self.files.iter().all(|file| file.starts_with(base)));
        let base = base.unwrap_or(Path::new(""));
        let keys = |file: &Path| file.strip_prefix(base).ok()?.parent().map(Path::to_owned);
        // Folders named as in `year=2024` mean something, others do not.
        let is_hive = self
            .files
            .iter()
            .all(|file| keys(file).is_some_and(|keys| keys.iter().all(|key| key.as_encoded_bytes().contains(&b'='))));
        for (number, file) in self.files.iter().enumerate() {
            let target = file.canonicalize().with_context(|| file.display().to_string())?;
            let keys = if is_hive { keys(file).unwrap_or_default() } else { PathBuf::new() };
            let link = links.join(keys).join(format!("{number:06}.parquet"));
            let made = link.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| std::os::unix::fs::symlink(&target, &link))
                .with_context(|| link.display().to_string())?;
        }
        Ok(links)
    }
}

/// Finds out what the paths are, and converts what is no Parquet.
///
/// A path is a file, a folder, a pattern such as `data/*.csv`, or `-` for standard input. What a folder stands for is told
/// at `Contents`. Folders named `key=value` above a file are columns of its rows, whatever its format.
///
/// # Errors
///
/// When a path does not exist or is of no known format, formats are mixed, or a file cannot be read, by name.
pub fn import(
    asked: &[PathBuf],
    options: &CsvOptions,
    keep: Keep<'_>,
    budget: u64,
    stop: &Interrupt,
) -> Result<Imported> {
    let folder = match keep {
        Keep::In(folder) => Kept::In(folder.to_owned()),
        Keep::Temporarily => Kept::None,
    };
    let mut inputs = Inputs { folder, files: Vec::new(), named: Vec::new(), found: None, notes: Vec::new() };
    for path in asked {
        for path in paths::expand(path)? {
            inputs.add(&path, stop)?;
        }
    }
    let Inputs { mut folder, files, named, found, notes: passed_over } = inputs;
    let Some((Found { format, is_tabbed, .. }, _)) = found else { bail!("there is no file to read") };
    if format != Format::Csv
        && let Some(option) = options.arguments().first()
    {
        bail!("{option} is for CSV, and {} is {}", files[0].display(), format.name());
    }
    let (mut files, mut notes) = (files, Vec::new());
    if format != Format::Parquet {
        let keys = PathKeys::of(&named);
        let mut options = options.clone();
        if is_tabbed {
            options.delimiter.get_or_insert(Delimiter(b'\t'));
        }
        let output = folder.path()?.join("imported.parquet");
        let noted = output.with_extension("notes.json");
        let origin = Origin::new("imported", &files, json!({ "format": format.name(), "options": options }))?;
        let made = origin.derive(&output, || {
            let notes = convert::convert(&files, &keys, format, &options, &output, budget, stop)?;
            Ok(tidemill::data::file::write(&noted, serde_json::to_vec(&notes)?)?)
        })?;
        let text = fs::read(&noted).with_context(|| noted.display().to_string())?;
        notes = serde_json::from_slice(&text).with_context(|| noted.display().to_string())?;
        if made == Derivation::Reused {
            notes.push(format!("{} is used again, as nothing has changed", output.display()));
        }
        files = vec![output];
    }
    notes.splice(0..0, passed_over);
    let (asked, options) = (asked.to_vec(), options.clone());
    Ok(Imported { files, format, notes, asked, named, options, _temporary: folder.temporary() })
}

/// Where converted data goes; a temporary folder is made when it is needed.
enum Kept {
    In(PathBuf),
    None,
    Temporary(TempDir),
}

impl Kept {
    fn path(&mut self) -> Result<PathBuf> {
        if let Self::None = self {
            *self = Self::Temporary(tempfile::Builder::new().prefix("tidemill-").tempdir()?);
        }
        Ok(match self {
            Self::In(folder) => folder.clone(),
            Self::Temporary(folder) => folder.path().to_owned(),
            Self::None => PathBuf::new(),
        })
    }

    fn temporary(self) -> Option<TempDir> {
        match self {
            Self::Temporary(folder) => Some(folder),
            _ => None,
        }
    }
}

/// The files so far, all of one format.
struct Inputs {
    folder: Kept,
    files: Vec<PathBuf>,
    /// Where each was found; a file may be a copy.
    named: Vec<PathBuf>,
    found: Option<(Found, PathBuf)>,
    notes: Vec<String>,
}

impl Inputs {
    fn add(&mut self, path: &Path, stop: &Interrupt) -> Result<()> {
        let parquet = Found { format: Format::Parquet, is_compressed: false, is_tabbed: false };
        let text = path.to_string_lossy();
        if text.contains("://") {
            return self.push(path.to_owned(), parquet, path);
        }
        if path == Path::new("-") {
            return self.spool(path, Named::Pipe, stop);
        }
        let metadata = path.metadata().with_context(|| path.display().to_string())?;
        if metadata.is_dir() {
            return match Contents::of(path)? {
                Contents::Parquet { note } => {
                    self.notes.extend(note);
                    self.push(path.to_owned(), parquet, path)
                }
                Contents::Others { files, note } => {
                    self.notes.extend(note);
                    files.iter().try_for_each(|file| self.add(file, stop))
                }
            };
        }
        if !metadata.is_file() {
            return self.spool(path, Named::Pipe, stop);
        }
        let found = detect(path, path, Named::File)?;
        if found.is_compressed && found.format != Format::Csv {
            return self.spool(path, Named::File, stop);
        }
        self.push(path.to_owned(), found, path)
    }

    /// Adds what has to be copied first.
    fn spool(&mut self, path: &Path, named: Named, stop: &Interrupt) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = if name == "-" { "standard-input".into() } else { format!("{}-{name}", self.files.len()) };
        let copy = self.folder.path()?.join(name);
        spool::spool(path, &copy, stop)?;
        let called = if path == Path::new("-") { Path::new("standard input") } else { path };
        let found = detect(&copy, called, named)?;
        self.push(copy, found, called)
    }

    fn push(&mut self, file: PathBuf, found: Found, named: &Path) -> Result<()> {
        match &self.found {
            Some((first, other)) if first.format != found.format => bail!(
                "{} is {} and {} is {}: expected files of one format",
                other.display(),
                first.format.name(),
                named.display(),
                found.format.name()
            ),
            Some(_) => {}
            None => self.found = Some((found, named.to_owned())),
        }
        self.files.push(file);
        self.named.push(named.to_owned());
        Ok(())
    }
}
