//! Columns by their paths: `struct.field`, `map.key`, `list.field`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema as TableSchema};
use tidemill_data::Error;

use crate::layout::missing_column;
use crate::types::{decoded_type, is_list, item_type};

/// Where what is read is in one table; from [`Layout::locate`](crate::Layout::locate).
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The column.
    pub column: usize,
    /// Which of the table's leaves are needed, the columns of plain values that all its columns come in: of maps keys
    /// and values both, which no decoder parts.
    pub leaves: Range<usize>,
    /// What the table has there: dictionaries are their values, lists of any kind but of a fixed size are `List`s,
    /// structs on the way are left out.
    pub data_type: DataType,
    /// Whether rows may be null by the table's schema.
    pub nullable: bool,
    /// Names of fields from the column to the first list or the value.
    pub(crate) outside: Vec<String>,
    /// Names of fields inside of lists.
    pub(crate) inside: Vec<String>,
}

/// A table in which columns are looked for.
pub(crate) struct Table<'a> {
    pub(crate) name: &'a str,
    pub(crate) schema: &'a TableSchema,
    /// Of many columns alone: few are found faster without.
    index: Option<Index<'a>>,
}

/// Where the columns of a wide table are.
struct Index<'a> {
    /// Those of each name.
    columns: HashMap<&'a str, Vec<usize>>,
    /// Leaves before each.
    leaves: Vec<usize>,
}

/// Columns of a table that gets an index.
const MANY: usize = 64;

impl<'a> Index<'a> {
    fn new(fields: &'a Fields) -> Self {
        let (mut columns, mut leaves) = (HashMap::<&str, Vec<usize>>::new(), Vec::with_capacity(fields.len()));
        let mut before = 0;
        for (column, field) in fields.iter().enumerate() {
            columns.entry(field.name()).or_default().push(column);
            leaves.push(before);
            before += leaf_count(field.data_type());
        }
        Self { columns, leaves }
    }

    /// As [`inside_of`] all fields.
    fn inside_of(&self, fields: &Fields, path: &str, exact: bool) -> Vec<Place> {
        let ends = path.match_indices('.').map(|(end, _)| end).filter(|_| !exact).chain([path.len()]);
        let columns = ends.filter_map(|end| self.columns.get(&path[..end])).flatten();
        columns.flat_map(|&column| inside_field(column, &fields[column], self.leaves[column], path, exact)).collect()
    }
}

impl<'a> Table<'a> {
    pub(crate) fn new(name: &'a str, schema: &'a TableSchema) -> Self {
        let index = (schema.fields().len() >= MANY).then(|| Index::new(schema.fields()));
        Self { name, schema, index }
    }

    /// Finds a column by its name, or what is inside one by its path.
    pub(crate) fn find(&self, path: &str) -> Result<Place, Error> {
        let fields = self.schema.fields();
        let inside = |exact| match &self.index {
            Some(index) => index.inside_of(fields, path, exact),
            None => inside_of(fields, path, exact),
        };
        let mut found = inside(true);
        if found.is_empty() {
            found = inside(false);
        }
        let more = found.len() > 1;
        match found.pop() {
            Some(place) if !more => Ok(place.finished()),
            Some(_) => Err(Error::invalid(format!("{}: column {path}", self.name), "two have this name")),
            None => Err(missing_column(self.name, path, self.schema)),
        }
    }

    /// The type of a column as the table has it.
    pub(crate) fn whole_type(&self, name: &str) -> Option<&'a DataType> {
        self.schema.fields().iter().find(|field| field.name() == name).map(|field| field.data_type())
    }
}

impl Place {
    /// What is at the end of a path.
    fn end(data_type: &DataType) -> Self {
        let (leaves, data_type) = (0..leaf_count(data_type), data_type.clone());
        Self { column: 0, leaves, data_type, nullable: false, outside: Vec::new(), inside: Vec::new() }
    }

    /// The same, seen from outside of a list that it is in.
    fn listed(mut self) -> Self {
        self.data_type = DataType::new_list(self.data_type, true);
        self.nullable = false;
        self.inside = [self.outside, self.inside].concat();
        self.outside = Vec::new();
        self
    }

    fn finished(mut self) -> Self {
        // How long lists of structs are, any leaf tells.
        let is_whole = self.leaves.len() == leaf_count(&self.data_type) && !has_map(&self.data_type);
        if is_whole && is_list(&self.data_type) {
            self.leaves.end = self.leaves.start + 1;
        }
        self.data_type = plain_lists(&decoded_type(&self.data_type));
        self.nullable |= self.data_type == DataType::Null;
        self
    }
}

/// All that a path may mean in a value of some type.
fn resolve(data_type: &DataType, path: &str) -> Vec<Place> {
    match data_type {
        _ if path.is_empty() => vec![Place::end(data_type)],
        DataType::Struct(fields) => inside_of_struct(fields, path),
        DataType::Map(entries, _) => {
            let DataType::Struct(entry) = entries.data_type() else { return Vec::new() };
            let named = entry.iter().zip(["key", "value"]).map(|(f, name)| Field::clone(f).with_name(name));
            let found = inside_of(&named.collect(), path, false).into_iter().map(Place::listed);
            found.map(|place| Place { leaves: 0..leaf_count(data_type), ..place }).collect()
        }
        list => {
            let Some(item) = item_type(list) else { return Vec::new() };
            resolve(item, path).into_iter().map(Place::listed).collect()
        }
    }
}

/// All that a path may mean in a struct. Its fields are found by name later on, so what is inside one of two that share
/// a name may be either's.
fn inside_of_struct(fields: &Fields, path: &str) -> Vec<Place> {
    let mut found = inside_of(fields, path, false);
    if let [place] = &found[..]
        && fields.iter().filter(|field| *field.name() == place.outside[0]).count() > 1
    {
        found.push(place.clone());
    }
    found
}

/// All that a path may mean among fields, `exact` if it is one field's name.
fn inside_of(fields: &Fields, path: &str, exact: bool) -> Vec<Place> {
    let (mut found, mut before) = (Vec::new(), 0);
    for (column, field) in fields.iter().enumerate() {
        found.extend(inside_field(column, field, before, path, exact));
        before += leaf_count(field.data_type());
    }
    found
}

/// All that a path may mean in a field that has so many leaves before it.
fn inside_field(column: usize, field: &Field, before: usize, path: &str, exact: bool) -> Vec<Place> {
    let rest = match path.strip_prefix(field.name().as_str()) {
        Some("") => Some(""),
        Some(rest) if !exact => rest.strip_prefix('.').filter(|rest| !rest.is_empty()),
        _ => None,
    };
    let Some(rest) = rest else { return Vec::new() };
    let places = resolve(field.data_type(), rest).into_iter().map(|place| Place {
        column,
        leaves: place.leaves.start + before..place.leaves.end + before,
        nullable: place.nullable || field.is_nullable(),
        outside: [vec![field.name().clone()], place.outside].concat(),
        ..place
    });
    places.collect()
}

/// Columns of plain values that a type comes in.
fn leaf_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        other => item_type(other).map_or(1, leaf_count),
    }
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        other => item_type(other).is_some_and(has_map),
    }
}

/// The same type with lists of one kind, but for those of a fixed size, and with fields that differ by nothing but the
/// type.
fn plain_lists(data_type: &DataType) -> DataType {
    match data_type {
        DataType::FixedSizeList(item, width) => {
            DataType::new_fixed_size_list(plain_lists(item.data_type()), *width, true)
        }
        list if is_list(list) => DataType::new_list(item_type(list).map_or(DataType::Null, plain_lists), true),
        DataType::Struct(fields) => {
            let field = |f: &Arc<Field>| Field::new(f.name(), plain_lists(f.data_type()), true);
            DataType::Struct(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> TableSchema {
        let field = |name: &str, data_type| Field::new(name, data_type, false);
        let pair = DataType::Struct(vec![field("x", DataType::Int32), field("y.z", DataType::Utf8)].into());
        let same = DataType::Struct(vec![field("x", DataType::Int32), field("x", pair.clone())].into());
        let entry = DataType::Struct(vec![field("keys", DataType::Utf8), field("values", pair.clone())].into());
        TableSchema::new(vec![
            field("pair", pair.clone()),
            field("pair.x", DataType::Float64),
            Field::new("pairs", DataType::new_large_list(pair.clone(), true), true),
            field("map", DataType::Map(Arc::new(field("entries", entry)), false)),
            field("outer", DataType::Struct(vec![Field::new("in", DataType::new_list(pair, true), true)].into())),
            field("twice", DataType::Int8),
            field("twice", DataType::Int8),
            field("same", same.clone()),
            Field::new("sames", DataType::new_list(same, true), true),
        ])
    }

    #[test]
    fn paths() {
        check(&schema());
        // Columns behind these get a table its index, and change nothing else.
        let more = (0..MANY).map(|column| Field::new(format!("pair.{column}"), DataType::Int8, false));
        let fields = schema().fields().iter().map(|field| Field::clone(field)).chain(more).collect::<Vec<_>>();
        check(&TableSchema::new(fields));
    }

    fn check(schema: &TableSchema) {
        let table = Table::new("t", schema);
        let list = |item| DataType::new_list(item, true);
        for (path, column, leaves, data_type, outside, inside, nullable) in [
            ("pair.x", 1, 2..3, DataType::Float64, "pair.x", "", false),
            ("pair.y.z", 0, 1..2, DataType::Utf8View, "pair y.z", "", false),
            ("pairs.x", 2, 3..4, list(DataType::Int32), "pairs", "x", true),
            ("map.key", 3, 5..8, list(DataType::Utf8View), "map", "key", false),
            ("map.value.x", 3, 5..8, list(DataType::Int32), "map", "value x", false),
            ("outer.in.x", 4, 8..9, list(DataType::Int32), "outer in", "x", true),
        ] {
            let found = table.find(path).unwrap();
            let names = [&found.outside, &found.inside].map(|names| names.join(" "));
            assert_eq!((names[0].as_str(), names[1].as_str()), (outside, inside), "{path}");
            assert_eq!((found.column, found.leaves, found.nullable), (column, leaves, nullable), "{path}");
            assert_eq!(found.data_type, data_type, "{path}");
        }
        for (path, problem) in [
            ("twice", "two have this name"),
            ("same.x", "two have this name"),
            ("same.x.x", "two have this name"),
            ("sames.x.y.z", "two have this name"),
            ("pair.z", "no column pair.z"),
            ("pair.", "no column"),
        ] {
            let error = table.find(path).unwrap_err().to_string();
            assert!(error.contains(problem), "{path}: {error}");
        }
    }
}
