use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_schema::DataType;
use parquet::file::metadata::RowGroupMetaData;
use tidemill_data::Error;
use tidemill_data_arrow::{Choice, Columns, Layout, Usable, choices, missing_column, type_name};

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
    /// Columns of later files, or keys in their paths, that the first file lacks: they are not described.
    pub undescribed: Vec<UndescribedColumn>,
}

/// A column that the first of several files lacks; from a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndescribedColumn {
    /// The name.
    pub name: String,
    /// The first file that has it.
    pub file: PathBuf,
    /// The first file of all, which lacks it.
    pub first: PathBuf,
}

impl fmt::Display for UndescribedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, file, first } = self;
        write!(
            f,
            "column {name} of {} is not read: the first file, {}, has no such column",
            file.display(),
            first.display()
        )
    }
}

/// One column of a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDescription {
    /// The name; of a [part](Self::parts) its path.
    pub name: String,
    /// The type, such as `decimal(9,2)`.
    pub data_type: String,
    /// What it can serve as: nothing where another column has the same name.
    pub usable: Usable,
    /// Ways to use it, or its parts, that have to be chosen.
    pub choices: Vec<Choice>,
    /// Fields of a struct that are columns by their paths, `struct.field`.
    pub parts: Vec<ColumnDescription>,
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
    let mut first = PathBuf::new();
    for file in paths.into().files()? {
        let (footer, outline) = Footer::open(&file, budget)?;
        let all = all.get_or_insert_with(|| {
            first = footer.path().to_owned();
            Description::empty(&footer)
        });
        all.add_undescribed(&footer, &first);
        let places = Places::of(all, &footer)?;
        let mut rows = 0u64;
        for (index, bytes) in outline.groups.iter().enumerate() {
            let metadata = footer.group(index, bytes, Statistics::Keep)?;
            let group = metadata.row_group(0);
            rows = rows.saturating_add(group.num_rows().unsigned_abs());
            all.largest_row_group = all.largest_row_group.max(group.num_rows().unsigned_abs());
            for (column, leaves) in all.columns.iter_mut().zip(&places.columns) {
                column.add(group, leaves);
            }
            let parts = all.columns.iter_mut().flat_map(|column| &mut column.parts);
            parts.zip(&places.parts).for_each(|(part, leaves)| part.add(group, leaves));
        }
        footer.check_rows(rows)?;
        all.rows = all.rows.saturating_add(rows);
        all.row_groups += outline.groups.len();
    }
    Ok(all.ok_or_else(|| FileError::Empty { path: "an empty list".into() })?)
}

impl Description {
    fn empty(footer: &Footer) -> Self {
        let columns = footer.table.fields().iter().map(|field| {
            let is_twice = footer.table.fields().iter().filter(|other| other.name() == field.name()).count() > 1;
            let mut column = ColumnDescription::empty(field.name().clone(), field.data_type());
            if is_twice {
                column.usable = Usable::No;
                column.choices.clear();
            } else {
                add_parts(&mut column.parts, field.name(), field.data_type());
                // A column of that very name comes first, and of two fields neither does.
                let is_column = |path: &str| footer.table.fields().iter().any(|field| field.name() == path);
                column.parts.retain(|part| !is_column(&part.name) && leaves_of(&part.name, footer).is_some());
            }
            column
        });
        Self { rows: 0, row_groups: 0, largest_row_group: 0, columns: columns.collect(), undescribed: Vec::new() }
    }

    fn add_undescribed(&mut self, footer: &Footer, first: &Path) {
        for field in footer.table.fields() {
            let name = field.name();
            let is_known = self.columns.iter().any(|column| column.name == *name)
                || self.undescribed.iter().any(|column| column.name == *name);
            if !is_known {
                let (name, file, first) = (name.clone(), footer.path().to_owned(), first.to_owned());
                self.undescribed.push(UndescribedColumn { name, file, first });
            }
        }
    }

    /// The column of a name, or the [part](ColumnDescription::parts) of one at a path.
    pub fn column(&self, path: &str) -> Option<&ColumnDescription> {
        let parts = self.columns.iter().flat_map(|column| &column.parts);
        self.columns.iter().chain(parts).find(|column| column.name == path)
    }
}

impl ColumnDescription {
    fn empty(name: String, data_type: &DataType) -> Self {
        let usable = Usable::of(data_type);
        // Statistics of structs and maps are of what is inside, and do not add up to rows.
        let parted = matches!(usable, Usable::Choice | Usable::No) && data_type.is_nested();
        let (nulls, choices) = ((!parted).then_some(0), choices(&name, data_type));
        Self { name, data_type: type_name(data_type), usable, choices, parts: Vec::new(), nulls, bytes: 0 }
    }

    /// Adds what a row group has of it.
    fn add(&mut self, group: &RowGroupMetaData, leaves: &Leaves) {
        let bytes = |leaf: usize| group.column(leaf).compressed_size().unsigned_abs();
        let nulls = match leaves {
            Leaves::Key { is_null } => Some(if *is_null { group.num_rows().unsigned_abs() } else { 0 }),
            Leaves::Unknown => None,
            Leaves::File(leaves) => {
                self.bytes = leaves.clone().map(bytes).fold(self.bytes, u64::saturating_add);
                group.column(leaves.start).statistics().and_then(|s| s.null_count_opt())
            }
        };
        self.nulls = self.nulls.zip(nulls).map(|(sum, nulls)| sum.saturating_add(nulls));
    }
}

/// The fields inside of structs that can serve as they are.
fn add_parts(parts: &mut Vec<ColumnDescription>, path: &str, data_type: &DataType) {
    let DataType::Struct(fields) = data_type else { return };
    for field in fields {
        let path = format!("{path}.{}", field.name());
        if !matches!(Usable::of(field.data_type()), Usable::Choice | Usable::No) {
            parts.push(ColumnDescription::empty(path, field.data_type()));
        } else {
            add_parts(parts, &path, field.data_type());
        }
    }
}

/// The leaves of what is at a path, if that is one thing.
fn leaves_of(path: &str, footer: &Footer) -> Option<Range<usize>> {
    let layout = Layout::new(Columns::new().feature(path), "", &footer.table).ok()?;
    let place = layout.locate("", &footer.table).ok()?.pop()?;
    Some(place.leaves)
}

/// Where described columns are in one file.
struct Places {
    columns: Vec<Leaves>,
    /// Those of all columns.
    parts: Vec<Leaves>,
}

enum Leaves {
    File(Range<usize>),
    Unknown,
    Key { is_null: bool },
}

impl Places {
    fn of(all: &Description, footer: &Footer) -> Result<Self, Error> {
        let source_name = footer.path().display().to_string();
        let (fields, first) = (footer.table.fields(), footer.leaves());
        let all_leaves = footer.head().file_metadata().schema_descr().num_columns();
        let mut places = Self { columns: Vec::new(), parts: Vec::new() };
        for (index, column) in all.columns.iter().enumerate() {
            // Of several columns of one name, each is the one of its turn.
            let turn = all.columns[..index].iter().filter(|other| other.name == column.name).count();
            let mut named = fields.iter().enumerate().filter(|(_, field)| *field.name() == column.name);
            let (root, _) = named.nth(turn).ok_or_else(|| missing_column(&source_name, &column.name, &footer.table))?;
            places.columns.push(match footer.key(root) {
                Some(key) => Leaves::Key { is_null: key.is_null() },
                None => Leaves::File(first[root]..first.get(root + 1).copied().unwrap_or(all_leaves)),
            });
            for part in &column.parts {
                places.parts.push(leaves_of(&part.name, footer).map_or(Leaves::Unknown, Leaves::File));
            }
        }
        Ok(places)
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
            let is_twice = self.columns.iter().filter(|other| other.name == *name).count() > 1;
            let twice = if is_twice { " because another column has that name" } else { "" };
            writeln!(f, "{name:names$}  {data_type:types$}  {usable}{twice}, {nulls}")?;
            for choice in &column.choices {
                writeln!(f, "{:names$}  {choice}", "")?;
            }
        }
        self.undescribed.iter().try_for_each(|column| writeln!(f, "{column}"))
    }
}
