use std::fmt;

use tidemill_data::Error;
use tidemill_data_arrow::{Choice, Usable, choices, missing_column, type_name};

use crate::footer::{Footer, Statistics};
use crate::{FileError, ParquetSourceBuilder, Paths};

/// What is in Parquet files; from [`describe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Rows in all files.
    pub rows: u64,
    /// Row groups in all files.
    pub row_groups: usize,
    /// Rows of the largest row group.
    pub largest_row_group: u64,
    /// The first file's columns, in its order.
    pub columns: Vec<ColumnDescription>,
}

/// One column of a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDescription {
    /// The name.
    pub name: String,
    /// The type, such as `decimal(9,2)`.
    pub data_type: String,
    /// What it can serve as.
    pub usable: Usable,
    /// Ways to use it, or its parts, that have to be chosen.
    pub choices: Vec<Choice>,
    /// How many rows have no value, where the files' statistics tell; of lists, how many values inside as well.
    pub nulls: Option<u64>,
    /// Bytes that it takes in the files, compressed as it is.
    pub bytes: u64,
}

/// Says what columns files have, from their footers alone, which may take [`ParquetSourceBuilder::BUDGET`] bytes each:
/// [`describe_within`] takes another budget.
///
/// # Example
///
/// ```
/// use tidemill_data_parquet::{ParquetWriter, Usable, ValueType, Values, describe};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("births.parquet");
/// let mut writer = ParquetWriter::create(&path, [("name", ValueType::Text), ("grams", ValueType::I64)])?;
/// writer.write(&[Values::Text(&["Ada"]), Values::I64(&[3400])])?;
/// writer.finish()?;
///
/// let description = describe(&path)?;
/// assert_eq!(description.rows, 1);
/// assert_eq!(description.columns[1].data_type, "int64");
/// assert_eq!(description.columns[1].usable, Usable::Real { width: 1 });
/// println!("{description}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When a file cannot be opened, is no Parquet file, or lacks a column of the first one; [`Error::Budget`] when a
/// footer is too large.
pub fn describe(paths: impl Into<Paths>) -> Result<Description, Error> {
    describe_within(paths, ParquetSourceBuilder::BUDGET)
}

/// As [`describe`], where the footer of a file may take so many bytes, decoded.
///
/// # Errors
///
/// As [`describe`].
pub fn describe_within(paths: impl Into<Paths>, budget: u64) -> Result<Description, Error> {
    let mut all: Option<Description> = None;
    for file in paths.into().files()? {
        let (footer, outline) = Footer::open(&file, budget)?;
        let all = all.get_or_insert_with(|| Description::empty(&footer));
        let leaves = footer.leaves();
        let leaf = |column: &ColumnDescription| {
            let found = footer.schema.fields().iter().position(|field| *field.name() == column.name);
            found
                .map(|root| leaves[root])
                .ok_or_else(|| missing_column(&file.path.display().to_string(), &column.name, &footer.schema))
        };
        let leaves = all.columns.iter().map(leaf).collect::<Result<Vec<_>, _>>()?;
        let mut rows = 0u64;
        for (index, bytes) in outline.groups.iter().enumerate() {
            let metadata = footer.group(index, bytes, Statistics::Keep)?;
            let group = metadata.row_group(0);
            rows = rows.saturating_add(group.num_rows().unsigned_abs());
            all.largest_row_group = all.largest_row_group.max(group.num_rows().unsigned_abs());
            for chunk in group.columns() {
                let root = &chunk.column_path().parts()[0];
                if let Some(column) = all.columns.iter_mut().find(|column| column.name == *root) {
                    column.bytes = column.bytes.saturating_add(chunk.compressed_size().unsigned_abs());
                }
            }
            for (column, &leaf) in all.columns.iter_mut().zip(&leaves) {
                let nulls = group.column(leaf).statistics().and_then(|s| s.null_count_opt());
                column.nulls = column.nulls.zip(nulls).map(|(sum, nulls)| sum.saturating_add(nulls));
            }
        }
        footer.check_rows(rows)?;
        all.rows = all.rows.saturating_add(rows);
        all.row_groups += outline.groups.len();
    }
    Ok(all.ok_or_else(|| FileError::Empty { path: "an empty list".into() })?)
}

impl Description {
    fn empty(footer: &Footer) -> Self {
        let columns = footer.schema.fields().iter().map(|field| {
            let usable = Usable::of(field.data_type());
            let data_type = type_name(field.data_type());
            // Statistics of structs and maps are of what is inside, and do not add up to rows.
            let parted = matches!(usable, Usable::Choice | Usable::No) && field.data_type().is_nested();
            let nulls = (!parted).then_some(0);
            let choices = choices(field.name(), field.data_type());
            ColumnDescription { name: field.name().clone(), data_type, usable, choices, nulls, bytes: 0 }
        });
        Self { rows: 0, row_groups: 0, largest_row_group: 0, columns: columns.collect() }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows in {} row groups", self.rows, self.row_groups)?;
        let width = |text: fn(&ColumnDescription) -> &str| {
            self.columns.iter().map(|c| text(c).chars().count()).max().unwrap_or(0)
        };
        let (names, types) = (width(|c| &c.name), width(|c| &c.data_type));
        for column in &self.columns {
            let nulls = column.nulls.map_or("nulls unknown".into(), |nulls| format!("{nulls} nulls"));
            let ColumnDescription { name, data_type, usable, .. } = column;
            writeln!(f, "{name:names$}  {data_type:types$}  {usable}, {nulls}")?;
            for choice in &column.choices {
                writeln!(f, "{:names$}  {choice}", "")?;
            }
        }
        Ok(())
    }
}
