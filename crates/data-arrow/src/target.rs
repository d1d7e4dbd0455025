//! What the columns of a batch are filled from, by the types of what is read.

use std::collections::HashMap;

use arrow_schema::DataType;
use tidemill_data::{Error, Kind, Role};

use crate::choice::choices;
use crate::columns::{Chosen, Made};
use crate::path::Table;
use crate::{As, Layout, ListAs, NullItems, Usable, wrong_type};

/// What a column of the batch is filled from: places in [`Layout::reads`].
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Reals(Vec<usize>),
    /// Lists of a fixed size, as they are.
    List(usize),
    Index {
        read: usize,
        cardinality: u32,
    },
    Text(usize),
    /// Lists that are chosen to be numbers, so many a row, or texts.
    Chosen {
        read: usize,
        list: ListAs,
        nulls: NullItems,
    },
    Binary {
        read: usize,
        how: As,
        usable: Usable,
    },
}

/// Of all that is read, by name.
type Places<'a> = HashMap<&'a str, usize>;

/// What each column becomes.
impl Layout {
    /// Says what becomes of the columns that are read, by their types.
    pub(crate) fn target(&mut self, table: &Table) -> Result<(), Error> {
        let places = self.reads.iter().enumerate().map(|(place, read)| (read.name.as_str(), place)).collect();
        let targets = self.columns.chosen.iter().map(|chosen| self.target_of(chosen, &places, table));
        self.targets = targets.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn target_of(&self, chosen: &Chosen, places: &Places<'_>, table: &Table) -> Result<Target, Error> {
        let Chosen { name, made, role } = chosen;
        let number = |usable, _: &DataType| usable == Some(Usable::Real { width: 1 });
        match made {
            Made::Block(columns) => {
                let reads = columns.iter().map(|column| self.serving(column, places, table, "one number", number));
                Ok(Target::Reals(reads.collect::<Result<_, _>>()?))
            }
            Made::Index(cardinality) => {
                let integer = |_, data_type: &DataType| data_type.is_integer();
                Ok(Target::Index {
                    read: self.serving(name, places, table, "an integer", integer)?,
                    cardinality: *cardinality,
                })
            }
            Made::Column if *role == Role::Weight => {
                Ok(Target::Reals(vec![self.serving(name, places, table, "one number", number)?]))
            }
            Made::Column => {
                let read = self.serving(name, places, table, Usable::EXPECTED, |usable, _| usable.is_some())?;
                Ok(match self.reads[read].data_type {
                    DataType::FixedSizeList(..) => Target::List(read),
                    DataType::Utf8View => Target::Text(read),
                    _ => Target::Reals(vec![read]),
                })
            }
            Made::As(how) => {
                let read = places[name.as_str()];
                let usable = how.usable(&self.reads[read].data_type);
                let usable =
                    usable.map_err(|expected| wrong_type(table.name, name, expected, &self.reads[read].data_type))?;
                Ok(match how {
                    As::List(list, nulls) => Target::Chosen { read, list: list.clone(), nulls: *nulls },
                    how => Target::Binary { read, how: how.clone(), usable },
                })
            }
        }
    }

    /// The place of a column that can serve.
    fn serving(
        &self,
        name: &str,
        places: &Places<'_>,
        table: &Table,
        expected: &str,
        serves: impl Fn(Option<Usable>, &DataType) -> bool,
    ) -> Result<usize, Error> {
        let place = places[name];
        let data_type = &self.reads[place].data_type;
        if serves(Usable::as_it_is(data_type), data_type) {
            return Ok(place);
        }
        let found = table.whole_type(name).unwrap_or(data_type);
        let ways: Vec<String> = choices(name, found).iter().map(ToString::to_string).collect();
        let ways = if ways.is_empty() { String::new() } else { format!("; choose {}", ways.join("; ")) };
        Err(wrong_type(table.name, name, &format!("{expected}{ways}"), found))
    }
}

pub(crate) fn kind(usable: Usable) -> Kind {
    match usable {
        Usable::Real { width } => Kind::Real { width },
        _ => Kind::Text,
    }
}
