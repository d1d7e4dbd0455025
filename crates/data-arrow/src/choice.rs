//! How columns that are neither one number nor one text become one.

use std::fmt;

use arrow_schema::DataType;

use crate::types::{innermost, is_binary, is_list, is_number, item_type};
use crate::{Usable, type_name};

/// How a column is made a feature or a target that by its type it is not.
///
/// # Example
///
/// ```
/// use tidemill_data_arrow::{As, Columns, ListAs, NullItems};
///
/// let columns = Columns::new()
///     .feature_as("prices", ListAs::Pad { width: 8, fill: 0.0 })
///     .feature_as("visits", ListAs::Length)
///     .feature_as("tags", ListAs::Join { separator: " ".into() }.nulls(NullItems::Skip))
///     .feature_as("digest", As::Hex);
/// # let _ = columns;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum As {
    /// Lists of any kind, lists of lists as one list of all that is inside.
    List(ListAs, NullItems),
    /// Binary as text, two hexadecimal digits a byte: a category.
    Hex,
    /// Binary that holds UTF-8 as text; anything else in it is an error.
    Utf8,
    /// Binary of a fixed size as one real number from 0 to 255 a byte.
    Bytes,
}

/// What is made of a list.
///
/// A null list is a null of the batch; an empty list is none, except where it has no value to give, as said below.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ListAs {
    /// Its numbers, then `fill` up to `width`; a longer list is an error.
    Pad {
        /// Numbers a row.
        width: usize,
        /// What stands behind the last number.
        fill: f64,
    },
    /// Its first `width` numbers, then `fill` where there are fewer; longer lists are cut.
    First {
        /// Numbers a row.
        width: usize,
        /// What stands behind the last number.
        fill: f64,
    },
    /// `fill` where there are fewer, then its last `width` numbers; longer lists are cut.
    Last {
        /// Numbers a row.
        width: usize,
        /// What stands in front of the first number.
        fill: f64,
    },
    /// How many items it has, of whatever type.
    Length,
    /// The sum of its numbers, of none 0.
    Sum,
    /// The mean of its numbers; of none null.
    Mean,
    /// The smallest of its numbers; of none null.
    Min,
    /// The largest of its numbers; of none null.
    Max,
    /// Its texts as one text; of none the empty one.
    Join {
        /// What stands between two of them.
        separator: String,
    },
    /// Its first text; of none null.
    FirstText,
}

impl ListAs {
    /// With something else than an error where there are nulls inside a list.
    pub fn nulls(self, nulls: NullItems) -> As {
        As::List(self, nulls)
    }

    /// What a row becomes: so many numbers, or a text.
    pub(crate) fn usable(&self) -> Usable {
        match self {
            Self::Pad { width, .. } | Self::First { width, .. } | Self::Last { width, .. } => {
                Usable::Real { width: *width }
            }
            Self::Join { .. } | Self::FirstText => Usable::Text,
            _ => Usable::Real { width: 1 },
        }
    }

    /// Whether a list that is not null may become a null.
    pub(crate) fn makes_nulls(&self) -> bool {
        matches!(self, Self::Mean | Self::Min | Self::Max | Self::FirstText)
    }
}

impl From<ListAs> for As {
    fn from(list: ListAs) -> Self {
        list.nulls(NullItems::Refuse)
    }
}

/// What is made of nulls inside a list that is there; a null list inside a list is one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum NullItems {
    /// They are an error, except for [`ListAs::Length`], which counts them.
    #[default]
    Refuse,
    /// They are passed over, as if they were not there.
    Skip,
    /// This number stands in for each of them.
    Fill(f64),
}

impl As {
    /// What columns of a type become, or what is expected instead.
    pub(crate) fn usable(&self, data_type: &DataType) -> Result<Usable, &'static str> {
        match self {
            Self::List(list, nulls) if is_list(data_type) => {
                let item = innermost(data_type);
                match (list, list.usable()) {
                    (_, Usable::Real { width: 0 }) => Err("a width of one or more for its lists"),
                    (ListAs::Length, usable) => Ok(usable),
                    (_, Usable::Text) if matches!(nulls, NullItems::Fill(_)) => {
                        Err("lists of numbers to fill nulls with a number")
                    }
                    (_, Usable::Text) if Usable::as_it_is(item) != Some(Usable::Text) => Err("lists of texts"),
                    (_, Usable::Real { .. }) if !is_number(item) => Err("lists of numbers"),
                    (_, usable) => Ok(usable),
                }
            }
            Self::List(..) => Err("lists"),
            Self::Hex | Self::Utf8 if is_binary(data_type) => Ok(Usable::Text),
            Self::Hex | Self::Utf8 => Err("binary"),
            Self::Bytes => match data_type {
                DataType::FixedSizeBinary(width) if *width > 0 => Ok(Usable::Real { width: *width as usize }),
                _ => Err("binary of a fixed size"),
            },
        }
    }
}

/// One way to use a column, or a part of it, that cannot serve as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The column, or the path to its part, as [`Columns`](crate::Columns) takes it.
    pub path: String,
    /// The type of what is there: of parts of lists, lists.
    pub data_type: String,
    /// What can be made of it: `as it is`, or names of [`ListAs`] and [`As`].
    pub ways: Vec<&'static str>,
}

impl Choice {
    fn length(path: &str, data_type: DataType) -> Self {
        Self { path: path.to_owned(), data_type: type_name(&data_type), ways: vec!["Length"] }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways = self.ways.join(", ");
        if ways == AS_IT_IS { write!(f, "{}", self.path) } else { write!(f, "{} as {ways}", self.path) }
    }
}

/// The choices that there are for a column, as a whole or by its parts; none where it needs none, or has no use.
pub fn choices(path: &str, data_type: &DataType) -> Vec<Choice> {
    let mut found = Vec::new();
    add_choices(&mut found, path.to_owned(), data_type, &|inside| inside);
    found.retain(|choice| choice.path != path || choice.ways != [AS_IT_IS]);
    // A path that fields share leads to neither.
    let paths: Vec<String> = found.iter().map(|choice| choice.path.clone()).collect();
    found.retain(|choice| paths.iter().filter(|path| **path == choice.path).count() == 1);
    found
}

const AS_IT_IS: &str = "as it is";

/// `whole` makes the type of what is there of the type inside lists.
fn add_choices(found: &mut Vec<Choice>, path: String, data_type: &DataType, whole: &dyn Fn(DataType) -> DataType) {
    let listed = |inside: DataType| whole(DataType::new_list(inside, true));
    match data_type {
        DataType::Struct(fields) => {
            for field in fields {
                add_choices(found, format!("{path}.{}", field.name()), field.data_type(), whole);
            }
        }
        DataType::Map(entries, _) => {
            found.push(Choice::length(&path, whole(data_type.clone())));
            if let DataType::Struct(fields) = entries.data_type() {
                for (field, name) in fields.iter().zip(["key", "value"]) {
                    add_choices(found, format!("{path}.{name}"), field.data_type(), &listed);
                }
            }
        }
        list if matches!(innermost(list), DataType::Struct(_)) => {
            found.push(Choice::length(&path, whole(list.clone())));
            let mut inside = Vec::new();
            add_choices(&mut inside, path.clone(), item_type(list).unwrap_or(list), &listed);
            found.extend(inside.into_iter().filter(|choice| choice.path != path));
        }
        other => {
            let seen = whole(other.clone());
            let ways = ways(&seen);
            if !ways.is_empty() {
                found.push(Choice { path, data_type: type_name(&seen), ways });
            }
        }
    }
}

fn ways(data_type: &DataType) -> Vec<&'static str> {
    let mut ways = Vec::new();
    if Usable::as_it_is(data_type).is_some() {
        ways.push(AS_IT_IS);
    }
    if is_list(data_type) {
        match innermost(data_type) {
            item if is_number(item) => {
                ways.extend(["Pad", "First", "Last", "Length", "Sum", "Mean", "Min", "Max"]);
            }
            item if Usable::as_it_is(item) == Some(Usable::Text) => ways.extend(["Join", "FirstText", "Length"]),
            _ => ways.push("Length"),
        }
    } else if is_binary(data_type) {
        ways.extend(["Hex", "Utf8"]);
        if matches!(data_type, DataType::FixedSizeBinary(_)) {
            ways.push("Bytes");
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn a_path_that_two_fields_share_is_no_choice() {
        let field = |name: &str| Field::new(name, DataType::Int32, true);
        let same = DataType::Struct(vec![field("a"), field("b"), field("a")].into());
        let paths = |data_type| choices("s", &data_type).into_iter().map(|choice| choice.path).collect::<Vec<_>>();
        assert_eq!(paths(same.clone()), ["s.b"]);
        assert_eq!(paths(DataType::new_list(same, true)), ["s", "s.b"]);
        assert!(paths(DataType::Struct(vec![field("a"), field("a")].into())).is_empty());
    }
}
