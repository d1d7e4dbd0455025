//! All columns but those that are left out.

use arrow_schema::DataType;
use tidemill_data::{Error, Role};

use crate::choice::choices;
use crate::columns::{Chosen, Made};
use crate::path::Table;
use crate::types::{Usable, innermost, type_name};

/// Which columns and parts of columns are chosen or left out by name.
pub(crate) struct Covered<'a> {
    pub(crate) chosen: &'a [Chosen],
    pub(crate) except: &'a [String],
}

impl Covered<'_> {
    fn covers(&self, path: &str) -> bool {
        self.except.iter().any(|name| name == path)
            || self.chosen.iter().flat_map(Chosen::sources).any(|source| source == path)
    }

    /// The parts of a column that are neither chosen nor left out: the whole where no part is.
    pub(crate) fn rest(&self, path: &str, data_type: &DataType) -> Vec<String> {
        if self.covers(path) {
            return Vec::new();
        }
        let parts: Vec<_> = parts(data_type).into_iter().map(|(name, of)| (format!("{path}.{name}"), of)).collect();
        let rests: Vec<_> = parts.iter().map(|(path, of)| self.rest(path, of)).collect();
        let untouched = parts.iter().zip(&rests).all(|((path, _), rest)| *rest == [path.as_str()]);
        if untouched { vec![path.to_owned()] } else { rests.concat() }
    }

    /// The columns of a table that are to be added, in its order.
    pub(crate) fn others(&self, table: &Table) -> Result<Vec<Chosen>, Error> {
        let (mut others, mut cannot, mut ways) = (Vec::new(), Vec::new(), Vec::new());
        for field in table.schema.fields() {
            let (name, data_type) = (field.name(), field.data_type());
            let rest = self.rest(name, data_type);
            if rest.is_empty() {
                continue;
            }
            if table.schema.fields().iter().filter(|other| other.name() == name).count() > 1 {
                let what = format!("{}: column {name}", table.name);
                return Err(Error::invalid(what, "two have this name; leave both out by except"));
            }
            let is_whole = rest == [name.as_str()];
            if is_whole && Usable::as_it_is(data_type).is_some() {
                others.push(Chosen { name: name.clone(), made: Made::Column, role: Role::Feature });
                continue;
            }
            let choices = choices(name, data_type).into_iter().filter(|c| is_whole || rest.contains(&c.path));
            ways.extend(choices.map(|choice| choice.to_string()));
            cannot.push(if is_whole { format!("{name} ({})", type_name(data_type)) } else { rest.join(", ") });
        }
        if cannot.is_empty() {
            return Ok(others);
        }
        let choose = if ways.is_empty() { String::new() } else { format!(", or choose {}", ways.join("; ")) };
        let problem = format!("not all columns can serve as they are; leave these out by except{choose}");
        Err(Error::invalid(format!("{}: {}", table.name, cannot.join(", ")), problem))
    }
}

/// The fields of structs, also of those in lists, and the two of maps.
fn parts(data_type: &DataType) -> Vec<(&str, &DataType)> {
    let is_map = matches!(data_type, DataType::Map(..));
    match innermost(data_type) {
        DataType::Struct(fields) => {
            let named = fields.iter().enumerate().map(|(index, field)| {
                let name = if is_map { ["key", "value"][index.min(1)] } else { field.name() };
                (name, field.data_type())
            });
            named.collect()
        }
        _ => Vec::new(),
    }
}
