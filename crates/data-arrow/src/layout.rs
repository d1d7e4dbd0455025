//! From the columns that are asked for to those that are read, and where in a batch they go.

use std::collections::HashSet;

use arrow_schema::{DataType, Schema as TableSchema};
use tidemill_data::{Error, Field, Kind, Numbers, Role, Schema, Unit};

use crate::all::Covered;
use crate::columns::{Chosen, Made};
use crate::path::Table;
use crate::target::{Target, kind};
use crate::types::{numbers_of, unit_of};
use crate::wider::wider;
use crate::{Columns, Place, Usable, type_name};

/// A column, or a part of one, that is read, once, for however many columns of the batch.
#[derive(Clone, Debug)]
pub struct Read {
    /// The column's name, or the path of its part.
    pub name: String,
    /// What it is read as: the type of what the tables have there, or one that holds the values of all of them.
    pub data_type: DataType,
    /// Whether it may have nulls.
    pub nullable: bool,
    /// Names of fields inside of lists.
    pub(crate) inside: Vec<String>,
}

/// What is read of tables, and what becomes of it in a batch; an example is at [`Columns`].
///
/// Several tables may be read as one: the layout is [begun](Self::begin) with the first, [joined](Self::join) by the
/// others, and [ended](Self::end). Their columns may be in another order, and of other types where one type holds all
/// values without loss.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(crate) reads: Vec<Read>,
    /// One for each column of the batch.
    pub(crate) targets: Vec<Target>,
    pub(crate) columns: Columns,
    source_name: String,
    /// The first table's columns.
    available: String,
    /// Names to be left out that no table had so far.
    absent: Vec<String>,
}

impl Layout {
    /// Finds columns in a table's schema; errors call the table by `source_name`.
    ///
    /// # Errors
    ///
    /// When none are chosen, one is chosen twice, missing, there twice, or of a type that cannot serve, or one is left
    /// out that does not exist.
    pub fn new(columns: Columns, source_name: &str, schema: &TableSchema) -> Result<Self, Error> {
        let layout = Self::begin(columns, source_name, schema)?;
        layout.end().map(|()| layout)
    }

    /// Finds columns in the first of several tables.
    ///
    /// # Errors
    ///
    /// As those of [`new`](Self::new), but for columns that are left out and do not exist.
    pub fn begin(mut columns: Columns, source_name: &str, schema: &TableSchema) -> Result<Self, Error> {
        let table = Table::new(source_name, schema);
        if columns.all {
            let others = Covered { chosen: &columns.chosen, except: &columns.except }.others(&table)?;
            columns.chosen.extend(others);
        }
        check(&columns, &table)?;
        let mut layout = Self {
            reads: Vec::new(),
            targets: Vec::new(),
            absent: columns.except.clone(),
            columns,
            source_name: source_name.into(),
            available: names(schema),
        };
        let mut sought = HashSet::new();
        for source in layout.columns.chosen.clone().iter().flat_map(Chosen::sources) {
            if sought.insert(source) {
                let Place { data_type, nullable, inside, .. } = table.find(source)?;
                layout.reads.push(Read { name: source.clone(), data_type, nullable, inside });
            }
        }
        layout.pass_absent(&table);
        layout.target(&table)?;
        Ok(layout)
    }

    /// Finds the columns in another table, whose rows are to be read as well, and widens the types that are read.
    ///
    /// # Errors
    ///
    /// When a column is missing, there twice, or of a type that no other reconciles without loss with those before, or
    /// where [all columns](Columns::all_columns) are chosen and there is one that the first table has not.
    pub fn join(&mut self, source_name: &str, schema: &TableSchema) -> Result<Vec<Place>, Error> {
        let table = Table::new(source_name, schema);
        let (mut places, mut changed) = (Vec::with_capacity(self.reads.len()), false);
        for read in &mut self.reads {
            let place = table.find(&read.name)?;
            let both = wider(&read.data_type, &place.data_type).filter(|_| read.inside == place.inside);
            let Some(both) = both else { return Err(disagree(&table, &place, read, &self.source_name)) };
            changed |= both != read.data_type;
            read.data_type = both;
            places.push(place);
        }
        self.pass_absent(&table);
        self.check_all(&table)?;
        if changed {
            self.target(&table)?;
        }
        Ok(places)
    }

    /// Ends the row of tables.
    ///
    /// # Errors
    ///
    /// When a column is left out by name that none of them has.
    pub fn end(&self) -> Result<(), Error> {
        let (source_name, available) = (self.source_name.clone(), self.available.clone());
        let missing = |column: &String| Err(Error::MissingColumn { source_name, column: column.clone(), available });
        self.absent.first().map_or(Ok(()), missing)
    }

    /// Finds the columns that are read in the schema of a table that was joined, or one like it.
    ///
    /// # Errors
    ///
    /// When one is missing, there twice, or of a type whose values the type that is read does not hold.
    pub fn locate(&self, source_name: &str, schema: &TableSchema) -> Result<Vec<Place>, Error> {
        let table = Table::new(source_name, schema);
        let find = |read: &Read| {
            let place = table.find(&read.name)?;
            let fits = wider(&read.data_type, &place.data_type).as_ref() == Some(&read.data_type);
            if fits && read.inside == place.inside {
                Ok(place)
            } else {
                Err(disagree(&table, &place, read, &self.source_name))
            }
        };
        self.reads.iter().map(find).collect()
    }

    fn pass_absent(&mut self, table: &Table) {
        self.absent.retain(|name| matches!(table.find(name), Err(Error::MissingColumn { .. })));
    }

    /// Where all columns are chosen, none is dropped because the first table lacks it.
    fn check_all(&self, table: &Table) -> Result<(), Error> {
        if !self.columns.all {
            return Ok(());
        }
        let covered = Covered { chosen: &self.columns.chosen, except: &self.columns.except };
        let rest = |field: &arrow_schema::FieldRef| covered.rest(field.name(), field.data_type());
        let more: Vec<String> = table.schema.fields().iter().flat_map(rest).collect();
        if more.is_empty() {
            return Ok(());
        }
        let what = format!("{}: column {}", table.name, more.join(", "));
        let problem =
            format!("{} has no such column; leave it out by except, or choose columns by name", self.source_name);
        Err(Error::invalid(what, problem))
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
            let nullable = |read: &usize| self.reads[*read].nullable;
            let (kind, nullable) = match target {
                Target::Reals(reads) => (Kind::Real { width: reads.len() }, reads.iter().any(nullable)),
                Target::List(read) => (kind(Usable::of(&self.reads[*read].data_type)), nullable(read)),
                Target::Index { cardinality, .. } => (Kind::Index { cardinality: *cardinality }, false),
                Target::Text(read) => (Kind::Text, nullable(read)),
                Target::Chosen { read, list, .. } => (kind(list.usable()), nullable(read) || list.makes_nulls()),
                Target::Binary { read, usable, .. } => (kind(*usable), nullable(read)),
            };
            let (numbers, unit) = match (&chosen.made, target) {
                (Made::Column, Target::Reals(reads)) if chosen.role != Role::Weight => {
                    let data_type = &self.reads[reads[0]].data_type;
                    (numbers_of(data_type), unit_of(data_type))
                }
                _ => (Numbers::Real, Unit::None),
            };
            Field { nullable, numbers, unit, ..Field::new(&chosen.name, kind, chosen.role) }
        });
        Schema::new(fields.collect())
    }

    /// Bytes of a row in a batch, at most; `None` where there are texts.
    pub fn row_bytes(&self) -> Option<u64> {
        // What is rounded to 32 bits keeps digits soonest.
        let digits = |numbers: Numbers| if numbers.may_exceed(4) { size_of::<i128>() as u64 } else { 0 };
        self.schema().fields.iter().try_fold(0u64, |bytes, field| match field.kind {
            Kind::Real { width } => Some(bytes.saturating_add(8 * width as u64 + 1 + digits(field.numbers))),
            Kind::Index { .. } => Some(bytes + 4),
            Kind::Text => None,
        })
    }
}

fn check(columns: &Columns, table: &Table) -> Result<(), Error> {
    let invalid = |what: &str, problem: &str| Err(Error::invalid(format!("{}: {what}", table.name), problem));
    if columns.chosen.is_empty() {
        return invalid("no columns are chosen", &format!("choose among {}", names(table.schema)));
    }
    if !columns.all && !columns.except.is_empty() {
        return invalid(&columns.except.join(", "), "only all_columns() leaves columns out");
    }
    let (mut names, mut weights) = (HashSet::new(), 0);
    for chosen @ Chosen { name, made, role } in &columns.chosen {
        let column = format!("column {name}");
        if !names.insert(name) {
            return invalid(&column, "it is chosen twice; a batch has one column of a name");
        }
        weights += usize::from(*role == Role::Weight);
        if weights > 1 {
            return invalid(&column, "it is a second weight; rows have one");
        }
        if let Some(both) = chosen.sources().iter().find(|source| columns.except.contains(source)) {
            return invalid(&format!("column {both}"), "it is chosen and left out");
        }
        match made {
            Made::Block(columns) if columns.is_empty() => {
                return invalid(&format!("block {name}"), "it has no columns");
            }
            Made::Index(0) => return invalid(&column, "it has no classes"),
            _ => {}
        }
    }
    Ok(())
}

fn disagree(table: &Table, place: &Place, read: &Read, first: &str) -> Error {
    let expected = format!("{} as in {first}; no type holds both without loss", type_name(&read.data_type));
    let found = table.whole_type(&read.name).unwrap_or(&place.data_type);
    wrong_type(table.name, &read.name, &expected, found)
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
