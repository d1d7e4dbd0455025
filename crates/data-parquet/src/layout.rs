//! From the columns that are asked for to those that are read, and where in a batch they go.

use std::path::{Path, PathBuf};

use arrow_schema::{DataType, Schema as FileSchema};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::RowGroupMetaData;
use tidemill_data::{Error, Field, Kind, Role, Schema};

use crate::footer::Footer;
use crate::types::{Usable, decoded, type_name};

/// A column of the batch, as asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) kind: WantedKind,
    pub(crate) role: Role,
}

/// How it is made.
#[derive(Clone, Debug)]
pub(crate) enum WantedKind {
    /// From the column of the same name, as its type suggests.
    Column,
    /// From columns of one number each.
    Block(Vec<String>),
    /// From the column of the same name, integers below this.
    Index(u32),
}

/// A column that is read, once, for however many columns of the batch.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) name: String,
    /// What it is decoded to, the same in every file.
    pub(crate) data_type: DataType,
    /// Whether any file may have nulls in it.
    pub(crate) nullable: bool,
}

/// What a column of the batch is filled from: places in [`Layout::reads`].
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Reals(Vec<usize>),
    List(usize),
    Index { read: usize, cardinality: u32 },
    Text(usize),
}

/// What is read, and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) reads: Vec<Read>,
    /// One for each column of the batch.
    pub(crate) targets: Vec<Target>,
    wanted: Vec<Wanted>,
}

impl Layout {
    /// Finds the columns in the first file.
    pub(crate) fn new(files: &[PathBuf], wanted: Vec<Wanted>, budget: u64) -> Result<Self, Error> {
        let first = &files[0];
        let (footer, _) = Footer::open(first, budget)?;
        check_wanted(&wanted, first, &footer.schema)?;
        let mut layout = Self { reads: Vec::new(), targets: Vec::new(), wanted };
        for index in 0..layout.wanted.len() {
            let target = layout.target(index, first, &footer.schema)?;
            layout.targets.push(target);
        }
        Ok(layout)
    }

    fn target(&mut self, wanted: usize, path: &Path, schema: &FileSchema) -> Result<Target, Error> {
        let Wanted { name, kind, role } = self.wanted[wanted].clone();
        match kind {
            WantedKind::Block(columns) => {
                let number = |usable, _: &DataType| usable == Usable::Real { width: 1 };
                let reads = columns.iter().map(|column| self.read(column, path, schema, "one number", number));
                Ok(Target::Reals(reads.collect::<Result<_, _>>()?))
            }
            WantedKind::Index(cardinality) => {
                let integer = |_, data_type: &DataType| data_type.is_integer();
                Ok(Target::Index { read: self.read(&name, path, schema, "an integer", integer)?, cardinality })
            }
            WantedKind::Column if role == Role::Weight => {
                let number = |usable, _: &DataType| usable == Usable::Real { width: 1 };
                Ok(Target::Reals(vec![self.read(&name, path, schema, "one number", number)?]))
            }
            WantedKind::Column => {
                let read = self.read(&name, path, schema, Usable::EXPECTED, |usable, _| usable != Usable::No)?;
                Ok(match self.reads[read].data_type {
                    DataType::FixedSizeList(..) => Target::List(read),
                    DataType::Utf8View => Target::Text(read),
                    _ => Target::Reals(vec![read]),
                })
            }
        }
    }

    /// The place of a column among those read, which it is added to.
    fn read(
        &mut self,
        name: &str,
        path: &Path,
        schema: &FileSchema,
        expected: &str,
        serves: impl FnOnce(Usable, &DataType) -> bool,
    ) -> Result<usize, Error> {
        let found = schema.field(root(name, path, schema)?).data_type();
        let data_type = decoded(found);
        if !serves(Usable::of(found), &data_type) {
            return Err(wrong_type(path, name, expected, found));
        }
        Ok(self.reads.iter().position(|r| r.name == name).unwrap_or_else(|| {
            self.reads.push(Read { name: name.into(), data_type, nullable: false });
            self.reads.len() - 1
        }))
    }

    /// The batch's columns; whether they have nulls is known when all files have been looked at.
    pub(crate) fn schema(&self) -> Schema {
        let fields = self.wanted.iter().zip(&self.targets).map(|(wanted, target)| {
            let (kind, nullable) = match target {
                Target::Reals(reads) => {
                    (Kind::Real { width: reads.len() }, reads.iter().any(|&r| self.reads[r].nullable))
                }
                Target::List(read) => {
                    let read = &self.reads[*read];
                    let Usable::Real { width } = Usable::of(&read.data_type) else { unreachable!("lists of numbers") };
                    (Kind::Real { width }, read.nullable)
                }
                Target::Index { cardinality, .. } => (Kind::Index { cardinality: *cardinality }, false),
                Target::Text(read) => (Kind::Text, self.reads[*read].nullable),
            };
            Field { nullable, ..Field::new(&wanted.name, kind, wanted.role) }
        });
        Schema::new(fields.collect())
    }

    /// Bytes of a row in a batch, at most; `None` where there are texts.
    pub(crate) fn row_bytes(&self) -> Option<u64> {
        self.schema().fields.iter().try_fold(0u64, |bytes, field| match field.kind {
            Kind::Real { width } => Some(bytes.saturating_add(8 * width as u64 + 1)),
            Kind::Index { .. } => Some(bytes + 4),
            Kind::Text => None,
        })
    }

    /// Finds the columns in a file.
    pub(crate) fn locate(&self, footer: &Footer) -> Result<Vec<Root>, Error> {
        let path = &footer.path;
        let leaves = footer.leaves();
        let find = |read: &Read| {
            let root = root(&read.name, path, &footer.schema)?;
            let field = footer.schema.field(root);
            if decoded(field.data_type()) != read.data_type {
                let expected = format!("{} as in the first file", type_name(&read.data_type));
                return Err(wrong_type(path, &read.name, &expected, field.data_type()));
            }
            let leaf = footer.head().file_metadata().schema_descr().column(leaves[root]);
            let int96 = leaf.physical_type() == PhysicalType::INT96;
            Ok(Root { root, leaf: leaves[root], int96, nullable: field.is_nullable() })
        };
        self.reads.iter().map(find).collect()
    }
}

/// Where a read column is in one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    /// Among the columns.
    pub(crate) root: usize,
    /// Among the column chunks of a row group.
    pub(crate) leaf: usize,
    /// Whether it holds timestamps in the deprecated form of 96 bits.
    pub(crate) int96: bool,
    nullable: bool,
}

impl Root {
    /// Checks that a column's chunk is inside the file, and says whether there may be nulls in it.
    pub(crate) fn check(&self, group: &RowGroupMetaData, length: u64) -> Result<bool, String> {
        let chunk = group.column(self.leaf);
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let end = u64::try_from(start)
            .ok()
            .zip(u64::try_from(chunk.compressed_size()).ok())
            .and_then(|(start, bytes)| start.checked_add(bytes));
        if end.is_none_or(|end| end > length) || chunk.uncompressed_size() < 0 {
            let bytes = chunk.compressed_size();
            return Err(format!(
                "it is said to have {bytes} bytes at {start}, which are not inside the file of {length} bytes"
            ));
        }
        Ok(self.nullable && chunk.statistics().and_then(|s| s.null_count_opt()) != Some(0))
    }
}

fn check_wanted(wanted: &[Wanted], path: &Path, schema: &FileSchema) -> Result<(), Error> {
    let invalid = |what: &str, problem: String| Err(Error::invalid(format!("{}: {what}", path.display()), problem));
    if wanted.is_empty() {
        return invalid("no columns are chosen", format!("choose among {}", names(schema)));
    }
    for (index, Wanted { name, kind, role }) in wanted.iter().enumerate() {
        if wanted[..index].iter().any(|w| w.name == *name) {
            return invalid(&format!("column {name}"), "it is chosen twice; a batch has one column of a name".into());
        }
        if *role == Role::Weight && wanted[..index].iter().any(|w| w.role == Role::Weight) {
            return invalid(&format!("column {name}"), "it is a second weight; rows have one".into());
        }
        match kind {
            WantedKind::Block(columns) if columns.is_empty() => {
                return invalid(&format!("block {name}"), "it has no columns".into());
            }
            WantedKind::Index(0) => return invalid(&format!("column {name}"), "it has no classes".into()),
            _ => {}
        }
    }
    Ok(())
}

/// The place of a column in a file.
fn root(name: &str, path: &Path, schema: &FileSchema) -> Result<usize, Error> {
    let mut found = schema.fields().iter().enumerate().filter(|(_, field)| field.name() == name);
    match (found.next(), found.next()) {
        (Some((root, _)), None) => Ok(root),
        (Some(_), Some(_)) => {
            Err(Error::invalid(format!("{}: column {name}", path.display()), "the file has two of this name"))
        }
        (None, _) => Err(missing(name, path, schema)),
    }
}

pub(crate) fn missing(name: &str, path: &Path, schema: &FileSchema) -> Error {
    Error::MissingColumn { source_name: path.display().to_string(), column: name.into(), available: names(schema) }
}

fn names(schema: &FileSchema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.join(", ")
}

fn wrong_type(path: &Path, name: &str, expected: &str, found: &DataType) -> Error {
    Error::WrongType {
        source_name: path.display().to_string(),
        column: name.into(),
        expected: expected.into(),
        found: type_name(found),
    }
}
