use std::collections::HashMap;
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as TableSchema, TimeUnit};
use tidemill_data::tensor::Scalar;
use tidemill_data::{Error, Interrupt, Stream, Waiting, Watch};

use super::CsvSource;
use super::blocks::{Block, Blocks, NO_HEADER};
use super::cells::UNROUNDED;
use super::decode::CsvDecode;
use super::fields::Fields;
use super::guess::{Guess, observe};
use super::likeness::Looks;
use super::names::{self, CsvNote};
use super::numerals::Numerals;
use super::text::{Format, Position, Text};
use super::values::{MISSING, Missing};
use crate::columns::Made;
use crate::input::Input;
use crate::{ArrowSupply, Columns, Layout, Table, choose_columns};

/// What a column of CSV holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvType {
    /// Numbers.
    Real,
    /// Integers with a sign, exact to 64 bits; without one, if the first rows need the 64th bit and have no sign.
    Integer,
    /// Integers from 0, exact to 64 bits.
    Unsigned,
    /// `true` and `false`.
    Boolean,
    /// Texts.
    Text,
    /// Days, as in `2013-01-31`.
    Date,
    /// Points in time, as in `2013-01-31T05:15:00`.
    Time,
}

/// Whether the first record names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsvHeader {
    /// It does, unless it holds numbers alone.
    #[default]
    Detected,
    /// It does.
    Present,
    /// It is a row; columns are named `column_1`, `column_2` and so on, or as [`names`](CsvBuilder::names) says.
    Absent,
}

/// Declares a source of CSV.
///
/// All of this can be said otherwise: the delimiter is told from the first lines, of comma, tab, semicolon and `|`; the
/// first record names the columns, unless it holds numbers alone; `NA`, `N/A`, `null`, `NULL`, `NaN`, `nan` and the empty
/// text, in quotes or not, stand for no value; types are told from the first 1024 rows. Numbers that look like integers
/// there may have decimals later. Integers that begin with a zero in quotes, such as `"007"`, are texts. What is
/// compressed by gzip or Zstandard is decompressed.
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
    header: CsvHeader,
    delimiter: Option<u8>,
    nulls: Vec<String>,
    numerals: Numerals,
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
            header: CsvHeader::default(),
            delimiter: None,
            nulls: MISSING.map(String::from).to_vec(),
            numerals: Numerals::default(),
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
        self.header(CsvHeader::Absent)
    }

    /// Says whether there is a header.
    pub fn header(mut self, header: CsvHeader) -> Self {
        self.header = header;
        self
    }

    /// What separates fields: a character of ASCII.
    pub fn delimiter(mut self, byte: u8) -> Self {
        self.delimiter = Some(byte);
        self
    }

    /// Texts that stand for no value besides the empty one, in place of `NA`, `N/A`, `null`, `NULL`, `NaN` and `nan`.
    pub fn nulls<N: Into<String>>(mut self, texts: impl IntoIterator<Item = N>) -> Self {
        self.nulls = texts.into_iter().map(Into::into).collect();
        self
    }

    /// What stands before the decimals of a number, in place of a point: a comma, where they are written as `0,25`.
    pub fn decimal(mut self, byte: u8) -> Self {
        self.numerals.decimal = byte;
        self
    }

    /// What may stand before each three digits of a number's whole part: a comma for `12,345.5`. None otherwise.
    pub fn thousands(mut self, byte: u8) -> Self {
        self.numerals.thousands = Some(byte);
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
    /// may have an eighth of them, and a column of the text takes 1 KiB. Decompression of gzip takes 100 KiB more, of
    /// Zstandard as much as was compressed with.
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
    /// are no text or of unequal lengths, a column is missing, named like another or cannot serve, or waiting was
    /// interrupted.
    pub fn build<T: Scalar>(self) -> Result<CsvSource<T>, Error> {
        let said = self.said();
        let mut waiting = Waiting::new(&self.watch);
        let mut opened = open(self.input?, &said, &mut waiting)?;
        let (text, format) = (&mut opened.blocks.text, &opened.blocks.format);
        let sample = text.sample(self.infer_rows, format.most, format, &mut waiting)?;
        text.check(&text.bytes[..sample])?;
        let mut guesses = vec![Guess::default(); opened.names.len()];
        observe(&opened.blocks, sample, &mut guesses)?;
        let is_index =
            |name: &str| self.chosen.chosen.iter().any(|c| c.name == name && matches!(c.made, Made::Index(_)));
        let inferred = |name: &str, guess: &Guess| match guess.data_type() {
            DataType::Int64 | DataType::UInt64 | DataType::Null if is_index(name) => DataType::Int64,
            integers @ (DataType::Int64 | DataType::UInt64) if guess.has_long_integers() => integers,
            DataType::Int64 | DataType::UInt64 | DataType::Null => DataType::Float64,
            other => other,
        };
        let source_name = opened.source_name.clone();
        let columns = names::unique(&opened.names, &mut opened.notes);
        let table = typed(&source_name, &columns, &guesses, &self.types, inferred)?;
        let mut layout = Layout::new(self.chosen, &source_name, &table)?;
        if self.complete {
            (0..layout.reads().len()).for_each(|read| layout.set_nullable(read, false));
        }
        let places = layout.locate(&source_name, &table)?;
        let mut projection: Vec<usize> = places.iter().map(|place| place.column).collect();
        projection.sort_unstable();
        projection.dedup();
        let as_it_was = projection.iter().filter(|&&column| columns[column] == opened.names[column]);
        if let Some(problem) = as_it_was.copied().find_map(|column| names::ambiguous(&opened.names, column)) {
            return Err(Error::invalid(source_name, problem));
        }
        let most = opened.blocks.format.most;
        let rows = rows_at_once(most, projection.len(), table.fields().len());
        let again = opened.again.as_ref().and_then(Input::again);
        let decode = CsvDecode::new(opened.blocks, again, &table, &projection, rows);
        let mut source = Stream::new(ArrowSupply::new(Box::new(decode), layout, most)).watching(self.watch);
        if opened.again.is_some() {
            source = source.keep(0);
        }
        Ok(source)
    }

    /// Reads all files twice: once to tell the types from all rows, which `each` is told the number of as it grows, and
    /// then as a table of all columns, whose integers are exact to 64 bits, signed or unsigned. Integers of more bits are
    /// texts. Columns without a name, or with that of another, are given one.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), for all rows; when the text can be read once only.
    pub fn table(self, mut each: impl FnMut(u64)) -> Result<Table, Error> {
        let said = self.said();
        let is_delimiter_told = self.delimiter.is_none();
        let mut waiting = Waiting::new(&self.watch);
        let mut opened = open(self.input?, &said, &mut waiting)?;
        let source_name = opened.source_name.clone();
        let Some(again) = opened.again.as_ref().and_then(Input::again) else {
            return Err(Error::invalid(source_name, "types are told from all rows, and it can be read once only"));
        };
        let (start, format, header) = opened.blocks.place();
        let mut notes = std::mem::take(&mut opened.notes);
        let columns = names::unique(&opened.names, &mut notes);
        let mut guesses = vec![Guess::default(); columns.len()];
        let mut rows = 0;
        loop {
            self.watch.check()?;
            match opened.blocks.next(4096, &mut waiting)? {
                Block::Records(bytes) => {
                    let more = observe(&opened.blocks, bytes, &mut guesses)?;
                    opened.blocks.took(bytes, more);
                    rows += more;
                    each(rows);
                }
                Block::Late => {}
                Block::End => break,
            }
        }
        drop(opened);
        let inferred = |_: &str, guess: &Guess| match guess.data_type() {
            DataType::Null => DataType::Float64,
            other => other,
        };
        let table = typed(&source_name, &columns, &guesses, &self.types, inferred)?;
        for (field, guess) in table.fields().iter().zip(&guesses) {
            let is_text = *field.data_type() == DataType::Utf8;
            if guess.has_zeros() && !is_text {
                notes.push(CsvNote::ZerosLost { column: field.name().clone() });
            }
            if guess.is_too_wide() && is_text && !self.types.iter().any(|(name, _)| name == field.name()) {
                notes.push(CsvNote::IntegersAsText { column: field.name().clone() });
            } else if is_text && !self.types.iter().any(|(name, _)| name == field.name()) {
                notes.extend(kept_as_text(field.name(), guess));
            }
        }
        if let [field] = &table.fields()[..]
            && *field.data_type() == DataType::Utf8
            && is_delimiter_told
        {
            notes.push(CsvNote::OneColumn);
        }
        let at_once = rows_at_once(format.most, columns.len(), columns.len());
        let text = Text::start(again, start, &format)?;
        let projection: Vec<usize> = (0..columns.len()).collect();
        let decode = CsvDecode::new(Blocks::new(text, format, header), None, &table, &projection, at_once);
        let schema = Arc::clone(decode.schema());
        Ok(Table::new(Box::new(decode), schema, self.watch).with_rows(rows).with_notes(notes))
    }

    fn said(&self) -> Said {
        let Self { names, header, delimiter, nulls, numerals, infer_rows, budget, .. } = self;
        let missing = Missing::new(nulls);
        Said {
            names: names.clone(),
            header: *header,
            delimiter: *delimiter,
            missing,
            numerals: *numerals,
            lines: *infer_rows,
            budget: *budget,
        }
    }
}

/// A note of a column of texts that look like something else.
fn kept_as_text(column: &str, guess: &Guess) -> Option<CsvNote> {
    let (column, (example, is_whole)) = (column.to_owned(), guess.likeness().first());
    Some(match guess.likeness().looks()? {
        Looks::MostlyNumbers { others, all } => CsvNote::FewTexts { column, others, all, example, is_whole },
        Looks::Numbers => CsvNote::NumbersAsText { column, example },
        Looks::Times => CsvNote::TimesAsText { column, example },
    })
}

/// What is said of the text.
struct Said {
    names: Option<Vec<String>>,
    header: CsvHeader,
    delimiter: Option<u8>,
    missing: Missing,
    numerals: Numerals,
    /// Most lines that the delimiter is told from.
    lines: usize,
    budget: u64,
}

/// A text of which the names of its columns are known.
struct Opened {
    /// Behind the header.
    blocks: Blocks,
    /// As the header says them.
    names: Vec<String>,
    source_name: String,
    again: Option<Input>,
    notes: Vec<CsvNote>,
}

/// Bytes that a column of the text takes, whether it is chosen or not.
const COLUMN: u64 = 1 << 10;

fn open(input: Input, said: &Said, waiting: &mut Waiting<'_>) -> Result<Opened, Error> {
    let budget = said.budget;
    if budget < 1 << 16 {
        let advice = "allow at least 65536 bytes".into();
        return Err(Error::Budget { what: "reading CSV".into(), needed: 1 << 16, budget, advice });
    }
    if let Some(delimiter) = said.delimiter
        && (!delimiter.is_ascii() || b"\"\n\r".contains(&delimiter))
    {
        let what = format!("delimiter {:?}", char::from(delimiter));
        return Err(Error::invalid(what, "expected a character of ASCII that is no quote and no line end"));
    }
    let Numerals { decimal, thousands } = said.numerals;
    let is_mark = |byte: u8| byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\n\r+-".contains(&byte);
    for (what, byte) in [("decimal", Some(decimal)), ("thousands", thousands)] {
        if let Some(byte) = byte.filter(|&byte| !is_mark(byte) || what == "thousands" && byte == decimal) {
            let what = format!("{what} {:?}", char::from(byte));
            return Err(Error::invalid(what, "expected a mark of ASCII such as a comma, and another one for each"));
        }
    }
    let (again, parts) = (input.again(), input.names());
    let source_name = parts.first().ok_or_else(|| Error::invalid("CSV", "there is no file to read"))?.clone();
    let invalid = |problem: String| Err(Error::invalid(&source_name, problem));
    // What is read grows by doubling, and so does what is decoded of it.
    let most = (budget / 8) as usize;
    let piece = (most / 4).min(1 << 16);
    let missing = said.missing.clone();
    let (delimiter, columns) = (said.delimiter.unwrap_or(b','), (budget / COLUMN) as usize);
    let numerals = said.numerals;
    let mut format = Format { delimiter, header: false, missing, numerals, piece, most, columns };
    let mut text = Text::start(input, Position::default(), &format)?;
    let mut notes = Vec::new();
    if said.delimiter.is_none() {
        text.sniff_delimiter(said.lines, &mut format, waiting)?;
        if format.delimiter != b',' {
            notes.push(CsvNote::Delimiter(format.delimiter));
        }
    }
    format.header = match said.header {
        CsvHeader::Present => true,
        CsvHeader::Absent => false,
        CsvHeader::Detected => !text.begins_with_data(&format, waiting)?,
    };
    let mut fields = Fields::new(format.delimiter, format.columns);
    let mut header = None;
    let mut width = 0;
    if format.header {
        let Some(line) = text.header(&format, waiting)? else { return invalid(NO_HEADER.into()) };
        fields.read(line.as_bytes(), 0);
        width = fields.len();
        header = Some(line);
    } else if let Some(first) = text.first(&format, waiting)? {
        fields.read(&text.bytes[..first], 0);
        width = fields.len();
    }
    if width as u64 * COLUMN > budget {
        let (what, needed) = (format!("{source_name}: a table of {width} columns"), width as u64 * COLUMN);
        return Err(Error::Budget { what, needed, budget, advice: format!("allow {COLUMN} bytes a column") });
    }
    let names = match (&said.names, &header) {
        (Some(names), _) if width > 0 && names.len() != width => {
            return invalid(format!("{} names are given for {width} columns", names.len()));
        }
        (Some(names), _) => names.clone(),
        (None, Some(line)) => names::of_header(line.as_bytes(), &mut fields, &format.missing, &mut notes),
        (None, None) if width == 0 => return invalid("it is empty".into()),
        (None, None) => {
            if said.header == CsvHeader::Detected {
                notes.push(CsvNote::NoHeader);
            }
            (1..=width).map(|number| format!("column_{number}")).collect()
        }
    };
    Ok(Opened { blocks: Blocks::new(text, format, header), names, source_name, again, notes })
}

/// Rows of a record batch.
fn rows_at_once(most: usize, chosen: usize, columns: usize) -> usize {
    (2 * most / (64 * chosen + 16 * columns).max(1)).clamp(1, 4096)
}

/// The table with its types as they were said, or `inferred`.
fn typed(
    source_name: &str,
    names: &[String],
    guesses: &[Guess],
    types: &[(String, CsvType)],
    inferred: impl Fn(&str, &Guess) -> DataType,
) -> Result<TableSchema, Error> {
    let fields = names.iter().zip(guesses).map(|(name, guess)| {
        let said = types.iter().rev().find(|(column, _)| column == name).map(|(_, holds)| *holds);
        let data_type = match said {
            Some(CsvType::Real) => DataType::Float64,
            Some(CsvType::Integer) if guess.data_type() != DataType::UInt64 => DataType::Int64,
            Some(CsvType::Integer | CsvType::Unsigned) => DataType::UInt64,
            Some(CsvType::Boolean) => DataType::Boolean,
            Some(CsvType::Text) => DataType::Utf8,
            Some(CsvType::Date) => DataType::Date32,
            Some(CsvType::Time) => DataType::Timestamp(TimeUnit::Nanosecond, None),
            None => inferred(name, guess),
        };
        let field = Field::new(name, data_type, true);
        // Integers so far: an integer that is longer than these is not rounded silently, and a fraction is taken.
        let is_whole = matches!(guess.data_type(), DataType::Int64 | DataType::UInt64);
        if said.is_none() && is_whole && *field.data_type() == DataType::Float64 {
            field.with_metadata(HashMap::from([(UNROUNDED.to_owned(), String::new())]))
        } else {
            field
        }
    });
    let table = TableSchema::new(fields.collect::<Vec<_>>());
    match types.iter().find(|(name, _)| !names.contains(name)) {
        Some((name, _)) => Err(crate::missing_column(source_name, name, &table)),
        None => Ok(table),
    }
}
