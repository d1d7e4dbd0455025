//! From the columns that are asked for to those that are read, and where in a batch they go.

use arrow_schema::{DataType, Schema as TableSchema};
use tidemill_data::{Error, Field, Kind, Role, Schema};

use crate::columns::{Chosen, Made};
use crate::{Columns, Usable, decoded_type, type_name};

/// A column that is read, once, for however many columns of the batch.
#[derive(Clone, Debug)]
pub struct Read {
    /// The column's name.
    pub name: String,
    /// What it is decoded to: a [`decoded_type`].
    pub data_type: DataType,
    /// Whether it may have nulls.
    pub nullable: bool,
}

/// What a column of the batch is filled from: places in [`Layout::reads`].
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Reals(Vec<usize>),
    List(usize),
    Index { read: usize, cardinality: u32 },
    Text(usize),
}

/// What is read of a table, and what becomes of it in a batch; an example is at [`Columns`].
#[derive(Clone, Debug)]
pub struct Layout {
    pub(crate) reads: Vec<Read>,
    /// One for each column of the batch.
    pub(crate) targets: Vec<Target>,
    columns: Columns,
    source_name: String,
}

impl Layout {
    /// Finds columns in a table's schema; errors call the table by `source_name`.
    ///
    /// # Errors
    ///
    /// When none are chosen, one is chosen twice, missing, there twice, or of a type that cannot serve.
    pub fn new(columns: Columns, source_name: &str, schema: &TableSchema) -> Result<Self, Error> {
        let table = Table { name: source_name, schema };
        check(&columns.chosen, table)?;
        let mut layout = Self { reads: Vec::new(), targets: Vec::new(), columns, source_name: source_name.into() };
        for index in 0..layout.columns.chosen.len() {
            let target = layout.target(index, table)?;
            layout.targets.push(target);
        }
        Ok(layout)
    }

    fn target(&mut self, chosen: usize, table: Table) -> Result<Target, Error> {
        let Chosen { name, made, role } = self.columns.chosen[chosen].clone();
        match made {
            Made::Block(columns) => {
                let number = |usable, _: &DataType| usable == Usable::Real { width: 1 };
                let reads = columns.iter().map(|column| self.read(column, table, "one number", number));
                Ok(Target::Reals(reads.collect::<Result<_, _>>()?))
            }
            Made::Index(cardinality) => {
                let integer = |_, data_type: &DataType| data_type.is_integer();
                Ok(Target::Index { read: self.read(&name, table, "an integer", integer)?, cardinality })
            }
            Made::Column if role == Role::Weight => {
                let number = |usable, _: &DataType| usable == Usable::Real { width: 1 };
                Ok(Target::Reals(vec![self.read(&name, table, "one number", number)?]))
            }
            Made::Column => {
                let read = self.read(&name, table, Usable::EXPECTED, |usable, _| usable != Usable::No)?;
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
        table: Table,
        expected: &str,
        serves: impl FnOnce(Usable, &DataType) -> bool,
    ) -> Result<usize, Error> {
        let field = table.schema.field(table.column(name)?);
        let data_type = decoded_type(field.data_type());
        if !serves(Usable::of(field.data_type()), &data_type) {
            return Err(wrong_type(table.name, name, expected, field.data_type()));
        }
        Ok(self.reads.iter().position(|r| r.name == name).unwrap_or_else(|| {
            let nullable = field.is_nullable() || data_type == DataType::Null;
            self.reads.push(Read { name: name.into(), data_type, nullable });
            self.reads.len() - 1
        }))
    }

    /// The columns that are read.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// Says of a column that is read whether it may have nulls, where more is known than the schema tells.
    pub fn set_nullable(&mut self, read: usize, nullable: bool) {
        self.reads[read].nullable = nullable;
    }

    /// The batch's columns.
    pub fn schema(&self) -> Schema {
        let fields = self.columns.chosen.iter().zip(&self.targets).map(|(chosen, target)| {
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
            Field { nullable, ..Field::new(&chosen.name, kind, chosen.role) }
        });
        Schema::new(fields.collect())
    }

    /// Bytes of a row in a batch, at most; `None` where there are texts.
    pub fn row_bytes(&self) -> Option<u64> {
        self.schema().fields.iter().try_fold(0u64, |bytes, field| match field.kind {
            Kind::Real { width } => Some(bytes.saturating_add(8 * width as u64 + 1)),
            Kind::Index { .. } => Some(bytes + 4),
            Kind::Text => None,
        })
    }

    /// Finds the columns that are read in the schema of another table, and gives their places.
    ///
    /// # Errors
    ///
    /// When one is missing, there twice, or of another type.
    pub fn locate(&self, source_name: &str, schema: &TableSchema) -> Result<Vec<usize>, Error> {
        let table = Table { name: source_name, schema };
        let find = |read: &Read| {
            let place = table.column(&read.name)?;
            let found = schema.field(place).data_type();
            if decoded_type(found) != read.data_type {
                let expected = format!("{} as in {}", type_name(&read.data_type), self.source_name);
                return Err(wrong_type(source_name, &read.name, &expected, found));
            }
            Ok(place)
        };
        self.reads.iter().map(find).collect()
    }
}

/// A table in which columns are looked for.
#[derive(Clone, Copy)]
struct Table<'a> {
    name: &'a str,
    schema: &'a TableSchema,
}

impl Table<'_> {
    /// The place of a column.
    fn column(&self, name: &str) -> Result<usize, Error> {
        let mut found = self.schema.fields().iter().enumerate().filter(|(_, field)| field.name() == name);
        match (found.next(), found.next()) {
            (Some((place, _)), None) => Ok(place),
            (Some(_), Some(_)) => Err(Error::invalid(format!("{}: column {name}", self.name), "two have this name")),
            (None, _) => Err(missing_column(self.name, name, self.schema)),
        }
    }
}

fn check(chosen: &[Chosen], table: Table) -> Result<(), Error> {
    let invalid = |what: &str, problem: String| Err(Error::invalid(format!("{}: {what}", table.name), problem));
    if chosen.is_empty() {
        return invalid("no columns are chosen", format!("choose among {}", names(table.schema)));
    }
    for (index, Chosen { name, made, role }) in chosen.iter().enumerate() {
        let before = &chosen[..index];
        if before.iter().any(|c| c.name == *name) {
            return invalid(&format!("column {name}"), "it is chosen twice; a batch has one column of a name".into());
        }
        if *role == Role::Weight && before.iter().any(|c| c.role == Role::Weight) {
            return invalid(&format!("column {name}"), "it is a second weight; rows have one".into());
        }
        match made {
            Made::Block(columns) if columns.is_empty() => {
                return invalid(&format!("block {name}"), "it has no columns".into());
            }
            Made::Index(0) => return invalid(&format!("column {name}"), "it has no classes".into()),
            _ => {}
        }
    }
    Ok(())
}

/// A column is asked for that a table has not.
pub fn missing_column(source_name: &str, column: &str, schema: &TableSchema) -> Error {
    Error::MissingColumn { source_name: source_name.into(), column: column.into(), available: names(schema) }
}

/// A column is of a type that cannot serve.
pub fn wrong_type(source_name: &str, column: &str, expected: &str, found: &DataType) -> Error {
    Error::WrongType {
        source_name: source_name.into(),
        column: column.into(),
        expected: expected.into(),
        found: type_name(found),
    }
}

fn names(schema: &TableSchema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.join(", ")
}
