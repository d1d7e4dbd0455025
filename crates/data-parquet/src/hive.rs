//! Columns whose values are in the names of directories: `year=2024/month=3/part-0.parquet`.

use std::collections::HashMap;
use std::path::{Component, Path};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, UInt32Array, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::take::take;

use crate::input::Location;
use crate::url::decode;

/// The name that stands for a null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A column of one value for a whole file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) value: KeyValue,
}

/// A key's value, of the type that the values in the names of all files have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum KeyValue {
    Signed(Option<i64>),
    Unsigned(Option<u64>),
    Text(Option<String>),
}

impl KeyValue {
    /// No value, of the same type.
    fn null(&self) -> Self {
        match self {
            Self::Signed(_) => Self::Signed(None),
            Self::Unsigned(_) => Self::Unsigned(None),
            Self::Text(_) => Self::Text(None),
        }
    }
}

impl Key {
    /// What a constant column takes a row.
    pub(crate) const ROW_BYTES: u64 = 16;

    pub(crate) fn field(&self) -> Field {
        let data_type = match self.value {
            KeyValue::Signed(_) => DataType::Int64,
            KeyValue::Unsigned(_) => DataType::UInt64,
            KeyValue::Text(_) => DataType::Utf8View,
        };
        Field::new(&self.name, data_type, self.is_null())
    }

    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            KeyValue::Signed(value) => value.is_none(),
            KeyValue::Unsigned(value) => value.is_none(),
            KeyValue::Text(value) => value.is_none(),
        }
    }

    /// So many rows of the value.
    pub(crate) fn column(&self, rows: usize) -> ArrayRef {
        match &self.value {
            KeyValue::Signed(value) => Arc::new(Int64Array::from(vec![*value; rows])),
            KeyValue::Unsigned(value) => Arc::new(UInt64Array::from(vec![*value; rows])),
            KeyValue::Text(value) => {
                // All rows refer to the same bytes.
                let one = StringViewArray::from(vec![value.as_deref()]);
                let rows = UInt32Array::from_value(0, rows);
                take(&one, &rows, None).expect("row 0 exists")
            }
        }
    }

    pub(crate) fn memory_size(&self) -> usize {
        let text = if let KeyValue::Text(Some(text)) = &self.value { text.capacity() } else { 0 };
        size_of::<Self>() + self.name.capacity() + text
    }
}

/// Columns of the keys in the paths of files of any format, `year=2024/month=3/part-0.csv`, as those of Parquet files have
/// them: integers where all values are, else texts; a file whose path lacks a key has nulls there.
///
/// # Example
///
/// ```
/// use tidemill_data_parquet::PathKeys;
///
/// let keys = PathKeys::of(["sales/year=2023/a.csv", "sales/year=2024/a.csv"]);
/// assert_eq!(keys.names(), ["year"]);
/// ```
#[derive(Clone, Debug)]
pub struct PathKeys {
    /// Of each file, a value for each name.
    files: Vec<Vec<Key>>,
    names: Vec<String>,
}

impl PathKeys {
    /// The keys in some paths, in the order in which they come first.
    pub fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut files: Vec<Location> = paths.into_iter().map(|path| Location::local(path.as_ref())).collect();
        add_keys(&mut files);
        let mut some: Vec<Key> = Vec::new();
        for key in files.iter().flat_map(|file| file.keys.iter()) {
            if some.iter().all(|other| other.name != key.name) {
                some.push(key.clone());
            }
        }
        let of = |file: &Location, like: &Key| {
            // Of a key that comes twice, the inner one counts.
            let key = file.keys.iter().rfind(|key| key.name == like.name);
            key.cloned().unwrap_or_else(|| Key { name: like.name.clone(), value: like.value.null() })
        };
        let names = some.iter().map(|key| key.name.clone()).collect();
        Self { files: files.iter().map(|file| some.iter().map(|like| of(file, like)).collect()).collect(), names }
    }

    /// What the keys are called.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns of a table with those of the keys behind them, except where it has a column of that name.
    pub fn schema(&self, table: &Schema) -> SchemaRef {
        let fields = table.fields().iter().cloned();
        let keys = self.files.first().into_iter().flatten().filter(|key| !has(table, key));
        Arc::new(Schema::new(
            fields.chain(keys.map(|key| Arc::new(key.field().with_nullable(true)))).collect::<Vec<_>>(),
        ))
    }

    /// Rows of a file, by its place among the paths, with the values of its keys.
    ///
    /// # Errors
    ///
    /// None for a batch that is of one length in all its columns.
    ///
    /// # Panics
    ///
    /// When there is no such file.
    pub fn add(&self, file: usize, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let keys = self.files[file].iter().filter(|key| !has(rows.schema_ref(), key));
        let columns = rows.columns().iter().cloned().chain(keys.map(|key| key.column(rows.num_rows()))).collect();
        RecordBatch::try_new(self.schema(rows.schema_ref()), columns)
    }
}

fn has(table: &Schema, key: &Key) -> bool {
    table.fields().iter().any(|field| *field.name() == key.name)
}

/// Gives files the keys in their paths. A key's values are integers where all are, else texts.
pub(crate) fn add_keys(files: &mut [Location]) {
    let found: Vec<_> = files.iter().map(|file| keys_of(&file.path)).collect();
    if found.iter().all(Vec::is_empty) {
        return;
    }
    let mut kinds: HashMap<&str, Kind> = HashMap::new();
    for (name, value) in found.iter().flatten() {
        let kind = kinds.entry(name).or_default();
        if let Some(value) = value {
            kind.see(value);
        }
    }
    for (file, keys) in files.iter_mut().zip(&found) {
        let key = |(name, value): &(String, Option<String>)| Key {
            name: name.clone(),
            value: kinds[name.as_str()].value(value.as_deref()),
        };
        file.keys = keys.iter().map(key).collect();
    }
}

/// The keys of a file: the directories directly above it that are named `key=value`, from the outermost on.
fn keys_of(path: &Path) -> Vec<(String, Option<String>)> {
    let mut keys = Vec::new();
    for directory in path.components().rev().skip(1) {
        let Component::Normal(name) = directory else { break };
        let Some((key, value)) = name.to_str().and_then(|name| name.split_once('=')) else { break };
        if key.is_empty() {
            break;
        }
        let text = |escaped: &str| decode(escaped).unwrap_or_else(|| escaped.to_owned());
        keys.push((text(key), (value != NULL).then(|| text(value))));
    }
    keys.reverse();
    keys
}

/// What all values of a key can be read as.
#[derive(Clone, Copy)]
struct Kind {
    /// Whether there are any.
    some: bool,
    signed: bool,
    unsigned: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self { some: false, signed: true, unsigned: true }
    }
}

impl Kind {
    fn see(&mut self, value: &str) {
        let digits = value.strip_prefix('-').unwrap_or(value);
        let integer = digits.bytes().all(|byte| byte.is_ascii_digit());
        self.some = true;
        self.signed &= integer && value.parse::<i64>().is_ok();
        self.unsigned &= integer && value.parse::<u64>().is_ok();
    }

    fn value(self, value: Option<&str>) -> KeyValue {
        match self {
            Self { some: true, signed: true, .. } => KeyValue::Signed(value.and_then(|value| value.parse().ok())),
            Self { some: true, unsigned: true, .. } => KeyValue::Unsigned(value.and_then(|value| value.parse().ok())),
            _ => KeyValue::Text(value.map(str::to_owned)),
        }
    }
}

#[cfg(test)]
mod tests {
    use KeyValue::{Signed, Text, Unsigned};

    use super::*;

    fn values(paths: &[&str]) -> Vec<Vec<(String, KeyValue)>> {
        let mut files: Vec<_> = paths.iter().map(|path| Location::local(Path::new(path))).collect();
        add_keys(&mut files);
        files.iter().map(|file| file.keys.iter().map(|key| (key.name.clone(), key.value.clone())).collect()).collect()
    }

    fn value_of(paths: &[&str]) -> Vec<KeyValue> {
        values(paths).into_iter().flatten().map(|(_, value)| value).collect()
    }

    #[test]
    fn keys_are_the_directories_directly_above() {
        let text = |text: &str| Text(Some(text.into()));
        for (path, expected) in [
            ("a/x.parquet", vec![]),
            ("a=1/b/x.parquet", vec![]),
            ("a=1.parquet", vec![]),
            ("=1/x.parquet", vec![]),
            ("/d/a=1/b=u/x.parquet", vec![("a", Signed(Some(1))), ("b", text("u"))]),
            ("z=9/d/b=x%3Dy%20z/x.parquet", vec![("b", text("x=y z"))]),
            ("b=x=y/x.parquet", vec![("b", text("x=y"))]),
            ("na%20me=%zz/x.parquet", vec![("na me", text("%zz"))]),
            ("b=/x.parquet", vec![("b", text(""))]),
            ("b=__HIVE_DEFAULT_PARTITION__/x.parquet", vec![("b", Text(None))]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            assert_eq!(values(&[path]), [expected], "{path}");
        }
    }

    #[test]
    fn keys_are_integers_where_all_are() {
        let (null, most) = ("a=__HIVE_DEFAULT_PARTITION__/x", format!("a={}/x", u64::MAX));
        assert_eq!(value_of(&["a=03/x", "a=-4/x", null]), [Signed(Some(3)), Signed(Some(-4)), Signed(None)]);
        assert_eq!(value_of(&["a=3/x", &most]), [Unsigned(Some(3)), Unsigned(Some(u64::MAX))]);
        let texts = |texts: &[&str]| texts.iter().map(|text| Text(Some(text.to_string()))).collect::<Vec<_>>();
        assert_eq!(value_of(&["a=-3/x", &most]), texts(&["-3", &u64::MAX.to_string()]));
        for other in ["+3", "3.0", "3e2", "", "x", "99999999999999999999", "2024-01-01", "-"] {
            assert_eq!(value_of(&["a=3/x", &format!("a={other}/x")]), texts(&["3", other]), "{other}");
        }
    }

    #[test]
    fn keys_are_added_to_the_rows_of_any_file() {
        let keys = PathKeys::of(["d/k=1/x=9/a.csv", "d/k=2/a.csv", "d/a.csv"]);
        assert_eq!(keys.names(), ["k", "x"]);
        let x = || Arc::new(Int64Array::from(vec![7])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("x", x()), ("y", x())]).unwrap();
        for (file, expected) in [Some(1), Some(2), None].into_iter().enumerate() {
            let rows = keys.add(file, &rows).unwrap();
            assert_eq!(rows.schema(), keys.schema(&rows.schema()));
            let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
            assert_eq!(names, ["x", "y", "k"]);
            assert_eq!(rows.column(0).as_ref(), x().as_ref(), "its own values count");
            assert_eq!(rows.column(2).as_ref(), &Int64Array::from(vec![expected]));
        }
        assert!(PathKeys::of(["a.csv"]).names().is_empty());
    }

    #[test]
    fn columns_of_one_value() {
        let key = |value| Key { name: "a".into(), value };
        for value in [Signed(Some(-1)), Signed(None), Unsigned(Some(1)), Text(Some("a long text, not inline".into()))] {
            let key = key(value);
            let column = key.column(5);
            assert_eq!((column.len(), column.null_count()), (5, if key.is_null() { 5 } else { 0 }));
            assert_eq!(column.data_type(), key.field().data_type());
        }
        assert_eq!(key(Text(None)).column(0).len(), 0);
    }
}
