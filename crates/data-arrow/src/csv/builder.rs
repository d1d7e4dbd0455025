use std::io::{Cursor, Read};
use std::net::TcpListener;
use std::path::PathBuf;

use arrow_csv::reader::Format as ArrowFormat;
use arrow_schema::{DataType, Field, Schema as TableSchema, TimeUnit};
use regex::Regex;
use tidemill_data::tensor::Scalar;
use tidemill_data::{Error, Interrupt, Stream, Waiting, Watch};

use super::CsvSource;
use super::decode::{CsvDecode, NO_HEADER};
use super::records::{Ragged, fields};
use super::text::{Format, Position, Text};
use crate::columns::Made;
use crate::guard::guarded;
use crate::input::Input;
use crate::{ArrowSupply, Columns, Layout, choose_columns};

/// What a column of CSV holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvType {
    /// Numbers.
    Real,
    /// Integers, exact to 64 bits.
    Integer,
    /// `true` and `false`.
    Boolean,
    /// Texts.
    Text,
    /// Days, as in `2013-01-31`.
    Date,
    /// Points in time, as in `2013-01-31T05:15:00`.
    Time,
}

/// Declares a source of CSV.
///
/// The first line names the columns, fields are separated by commas, and types are told from the first 1024 rows, all of
/// which can be said otherwise. Numbers that look like integers there may have decimals later.
///
/// # Example
///
/// ```
/// use tidemill_data::{Batch, Source};
/// use tidemill_data_arrow::CsvBuilder;
///
/// let text = "speed,gear,late\n1.5,2,0\n,3,1\n";
/// let mut source = CsvBuilder::reader("example", text.as_bytes())
///     .columns(["speed"])
///     .feature_index("gear", 6)
///     .target("late")
///     .build::<f32>()?;
/// let mut batch = Batch::new(source.schema().clone());
/// assert_eq!(source.fill(&mut batch, 8)?, 2);
/// assert_eq!(batch.indices(1), [2, 3]);
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[must_use = "a source is made by `build`"]
pub struct CsvBuilder {
    input: Result<Input, Error>,
    chosen: Columns,
    names: Option<Vec<String>>,
    delimiter: u8,
    nulls: Vec<String>,
    types: Vec<(String, CsvType)>,
    infer_rows: usize,
    budget: u64,
    complete: bool,
    watch: Watch,
}

impl CsvBuilder {
    choose_columns!(chosen);

    /// One or more files, read one behind the other.
    pub fn files<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self::new(Ok(Input::Files(paths.into_iter().map(Into::into).collect())))
    }

    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::files([path])
    }

    /// Standard input.
    pub fn stdin() -> Self {
        Self::new(Ok(Input::stdin()))
    }

    /// Whatever can be read, such as a pipe; errors call it by `name`. A read that never returns is left to its thread.
    pub fn reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        Self::new(Ok(Input::Once { name: name.into(), reader: Box::new(reader) }))
    }

    /// A server that sends rows, such as `localhost:7000`; connected to at once.
    pub fn tcp(address: &str) -> Self {
        Self::new(Input::tcp(address))
    }

    /// The first client that connects, and sends rows.
    pub fn listen(listener: TcpListener) -> Self {
        Self::new(Input::listen(listener))
    }

    fn new(input: Result<Input, Error>) -> Self {
        Self {
            input,
            chosen: Columns::new(),
            names: None,
            delimiter: b',',
            nulls: Vec::new(),
            types: Vec::new(),
            infer_rows: 1024,
            budget: 16 << 20,
            complete: false,
            watch: Watch::default(),
        }
    }

    /// There is no header: these are the columns' names.
    pub fn names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// What separates fields, instead of a comma: a character of ASCII.
    pub fn delimiter(mut self, byte: u8) -> Self {
        self.delimiter = byte;
        self
    }

    /// Texts that stand for no value, besides the empty one.
    pub fn nulls<N: Into<String>>(mut self, texts: impl IntoIterator<Item = N>) -> Self {
        self.nulls.extend(texts.into_iter().map(Into::into));
        self
    }

    /// Says what a column holds, whatever its first rows look like.
    pub fn column_type(mut self, column: impl Into<String>, holds: CsvType) -> Self {
        self.types.push((column.into(), holds));
        self
    }

    /// Tells types from so many rows.
    pub fn infer_rows(mut self, rows: usize) -> Self {
        self.infer_rows = rows.max(1);
        self
    }

    /// Bytes that reading may take, 16 MiB unless told otherwise: read ahead, one block of text, and its rows. A record
    /// may have an eighth of them, and a column of the text takes 1 KiB. The patterns by which types are told take 1.7 MB
    /// more, once in a process.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// Every chosen column has a value in every row; one that lacks is an error.
    pub fn no_nulls(mut self) -> Self {
        self.complete = true;
        self
    }

    /// Stops waiting for the first rows, and then for others, when this is set.
    pub fn watch(mut self, interrupt: &Interrupt) -> Self {
        self.watch.add(interrupt);
        self
    }

    /// Reads the first rows, which a stream is waited for, and makes the source.
    ///
    /// # Errors
    ///
    /// When nothing can be read, the budget is below 64 KiB or too small for the columns of the text, the first records
    /// are no text or of unequal lengths, a column is missing or cannot serve, or waiting was interrupted.
    pub fn build<T: Scalar>(self) -> Result<CsvSource<T>, Error> {
        let input = self.input?;
        if self.budget < 1 << 16 {
            return Err(Error::Budget {
                what: "reading CSV".into(),
                needed: 1 << 16,
                budget: self.budget,
                advice: "allow at least 65536 bytes".into(),
            });
        }
        if !self.delimiter.is_ascii() || b"\"\n\r".contains(&self.delimiter) {
            let what = format!("delimiter {:?}", char::from(self.delimiter));
            return Err(Error::invalid(what, "expected a character of ASCII that is no quote and no line end"));
        }
        // What is read grows by doubling, and so does what is decoded of it.
        let most = (self.budget / 8) as usize;
        let piece = (most / 4).min(1 << 16);
        let nulls = null_pattern(&self.nulls)?;
        let format = Format { delimiter: self.delimiter, header: self.names.is_none(), nulls, piece, most };
        let again = input.again();
        let names = input.names();
        if names.is_empty() {
            return Err(Error::invalid("CSV", "there is no file to read"));
        }
        let mut text = Text::start(input, Position::default(), &format)?;
        let mut waiting = Waiting::new(&self.watch);
        let header = if format.header {
            let header = text.header(&format, &mut waiting)?;
            Some(header.ok_or_else(|| Error::invalid(&names[0], NO_HEADER))?)
        } else {
            None
        };
        let sample = text.sample(self.infer_rows, format.most, &format, &mut waiting)?;
        let inferred = infer(&text, &format, header.as_deref(), sample, self.budget)?;
        let table = typed(inferred, &names[0], self.names.as_deref(), &self.types, &self.chosen)?;
        let mut layout = Layout::new(self.chosen, &names[0], &table)?;
        if self.complete {
            (0..layout.reads().len()).for_each(|read| layout.set_nullable(read, false));
        }
        let places = layout.locate(&names[0], &table)?;
        let mut projection: Vec<usize> = places.iter().map(|place| place.column).collect();
        projection.sort_unstable();
        projection.dedup();
        let rows = (2 * most / (64 * projection.len() + 16 * table.fields().len()).max(1)).clamp(1, 4096);
        let decode =
            CsvDecode::new(text, format, again.as_ref().and_then(Input::again), table, projection, header, rows);
        let mut source = Stream::new(ArrowSupply::new(Box::new(decode), layout, most)).watching(self.watch);
        if again.is_some() {
            source = source.keep(0);
        }
        Ok(source)
    }
}

/// The empty text, and those that are named.
fn null_pattern(texts: &[String]) -> Result<Option<Regex>, Error> {
    if texts.is_empty() {
        return Ok(None);
    }
    let texts: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
    let pattern = format!("^(|{})$", texts.join("|"));
    Regex::new(&pattern).map(Some).map_err(|error| Error::invalid("texts that stand for no value", error))
}

/// Bytes that a column of the text takes, whether it is chosen or not.
const COLUMN: u64 = 1 << 10;

/// Tells the columns' types from the first records, which are so many bytes.
fn infer(text: &Text, format: &Format, header: Option<&str>, sample: usize, budget: u64) -> Result<TableSchema, Error> {
    let (header, sample) = (header.unwrap_or_default().as_bytes(), &text.bytes[..sample]);
    text.check(sample)?;
    let known = format.header.then(|| fields(header, format.delimiter, None).0);
    let (columns, ragged) = fields(sample, format.delimiter, known);
    if columns as u64 * COLUMN > budget {
        return Err(Error::Budget {
            what: format!("{}: a table of {columns} columns", text.name()),
            needed: columns as u64 * COLUMN,
            budget,
            advice: format!("allow {COLUMN} bytes a column"),
        });
    }
    if let Some(Ragged { line, fields }) = ragged {
        return Err(text.invalid(line, format!("expected fields: {columns}, found {fields}")));
    }
    let sample = Cursor::new(header).chain(Cursor::new(sample));
    let mut sampled = ArrowFormat::default().with_header(format.header).with_delimiter(format.delimiter);
    if let Some(nulls) = &format.nulls {
        sampled = sampled.with_null_regex(nulls.clone());
    }
    let inferred = guarded(|| sampled.infer_schema(sample, None));
    inferred.map(|(schema, _)| schema).map_err(|problem| Error::invalid(text.name(), problem))
}

/// The table with its names and types as they were said, and integers as numbers where no index is made of them.
fn typed(
    inferred: TableSchema,
    source_name: &str,
    names: Option<&[String]>,
    types: &[(String, CsvType)],
    chosen: &Columns,
) -> Result<TableSchema, Error> {
    if let Some(names) = names
        && names.len() != inferred.fields().len()
        && !inferred.fields().is_empty()
    {
        let problem = format!("{} names are given for {} columns", names.len(), inferred.fields().len());
        return Err(Error::invalid(source_name, problem));
    }
    let found = inferred.fields().iter().map(|field| (field.name().trim().to_owned(), field.data_type().clone()));
    let mut columns: Vec<(String, DataType)> = found.collect();
    if let Some(names) = names {
        columns.resize(names.len(), (String::new(), DataType::Null));
        columns.iter_mut().zip(names).for_each(|(column, name)| column.0.clone_from(name));
    }
    let known = TableSchema::new(columns.iter().map(|(n, t)| Field::new(n, t.clone(), true)).collect::<Vec<_>>());
    for (name, _) in types {
        if !columns.iter().any(|(column, _)| column == name) {
            return Err(crate::missing_column(source_name, name, &known));
        }
    }
    let is_index = |name: &str| chosen.chosen.iter().any(|c| c.name == name && matches!(c.made, Made::Index(_)));
    let fields = columns.into_iter().map(|(name, found)| {
        let said = types.iter().rev().find(|(column, _)| *column == name).map(|(_, holds)| *holds);
        let data_type = match (said, found) {
            (Some(CsvType::Real), _) => DataType::Float64,
            (Some(CsvType::Integer), _) => DataType::Int64,
            (Some(CsvType::Boolean), _) => DataType::Boolean,
            (Some(CsvType::Text), _) => DataType::Utf8,
            (Some(CsvType::Date), _) => DataType::Date32,
            (Some(CsvType::Time), _) => DataType::Timestamp(TimeUnit::Nanosecond, None),
            (None, DataType::Int64 | DataType::Null) if is_index(&name) => DataType::Int64,
            (None, DataType::Int64 | DataType::Null) => DataType::Float64,
            (None, found) => found,
        };
        Field::new(name, data_type, true)
    });
    Ok(TableSchema::new(fields.collect::<Vec<_>>()))
}
