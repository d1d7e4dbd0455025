//! Columns whose values are in the names of directories: `year=2024/month=3/part-0.parquet`.

use std::collections::HashMap;
use std::path::{Component, Path};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringViewArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field};
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
