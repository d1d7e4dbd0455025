use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tidemill_data::{Error, Waiting, Watch};

use crate::CsvNote;
use crate::supply::{Decode, Next};

/// All columns of CSV or Arrow IPC as record batches, with the types that they have; from
/// [`CsvBuilder::table`](crate::CsvBuilder::table) and [`IpcBuilder::table`](crate::IpcBuilder::table).
///
/// # Example
///
/// ```
/// use tidemill_data_arrow::CsvBuilder;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("ids.csv");
/// std::fs::write(&path, "id;when\n9007199254740993;2024-01-01\n")?;
/// let mut table = CsvBuilder::file(&path).table(|_| ())?;
/// assert_eq!(table.schema().field(0).data_type().to_string(), "Int64");
/// assert_eq!(table.schema().field(1).data_type().to_string(), "Date32");
/// assert_eq!(table.next_batch()?.map(|records| records.num_rows()), Some(1));
/// assert!(table.next_batch()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Table {
    decode: Box<dyn Decode>,
    schema: SchemaRef,
    watch: Watch,
    rows: Option<u64>,
    part: usize,
    notes: Vec<CsvNote>,
}

impl Table {
    pub(crate) fn new(decode: Box<dyn Decode>, schema: SchemaRef, watch: Watch) -> Self {
        Self { decode, schema, watch, rows: None, part: 0, notes: Vec::new() }
    }

    pub(crate) fn with_rows(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }

    pub(crate) fn with_notes(mut self, notes: Vec<CsvNote>) -> Self {
        self.notes = notes;
        self
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows there are, where that is known before they are read.
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// What is to be known of the text.
    pub fn notes(&self) -> &[CsvNote] {
        &self.notes
    }

    /// Which of the files the last batch is of, counted from 0.
    pub fn file(&self) -> usize {
        self.part
    }

    /// The next rows; `None` behind the last.
    ///
    /// # Errors
    ///
    /// When they cannot be read, by file and record batch or line; when the columns of a file are not those of the first;
    /// when waiting was interrupted.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        let mut waiting = Waiting::new(&self.watch);
        loop {
            self.watch.check()?;
            let (records, name, part) = match self.decode.next(&mut waiting)? {
                Next::Records { records, name, part, .. } => (records, name, part),
                Next::Late => continue,
                Next::End => return Ok(None),
            };
            if records.schema_ref().fields() != self.schema.fields() {
                let found = records.schema_ref().fields().iter();
                let other = found.zip(self.schema.fields()).find(|(found, expected)| found != expected);
                let problem = match other {
                    Some((found, expected)) => {
                        format!("column {found} is not as in the first file, which has {expected}")
                    }
                    None => format!(
                        "{} columns, where the first file has {}",
                        records.num_columns(),
                        self.schema.fields().len()
                    ),
                };
                return Err(Error::invalid(name, problem));
            }
            self.part = part;
            return Ok(Some(records));
        }
    }
}
