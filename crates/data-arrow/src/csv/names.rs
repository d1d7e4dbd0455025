//! What columns are called.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::fields::Fields;
use super::values::{Missing, real};

/// What was found in a text of CSV that its reader should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CsvNote {
    /// The delimiter is no comma.
    Delimiter(u8),
    /// There is one column, of texts: fields may be separated by a character that was not looked for.
    OneColumn,
    /// The first record holds numbers alone, and is taken for a row: the columns are named by their numbers.
    NoHeader,
    /// The first record is taken for the header, though some of it are numbers.
    NumbersInHeader {
        /// The first of them.
        number: String,
    },
    /// A column had no name, or that of another.
    Renamed {
        /// Its place, counted from one.
        column: usize,
        /// Its name in the header.
        from: String,
        /// Its name in the table.
        to: String,
    },
    /// Integers begin with zeros, and are read as numbers.
    ZerosLost {
        /// The column.
        column: String,
    },
    /// Few values are no numbers, or one that comes often is none, for which all are read as texts.
    FewTexts {
        /// The column.
        column: String,
        /// How many are none.
        others: u64,
        /// Of so many.
        all: u64,
        /// The first of them.
        example: String,
        /// Whether that is all of it.
        is_whole: bool,
    },
    /// Numbers are written in another way than `1234.5`, and read as texts.
    NumbersAsText {
        /// The column.
        column: String,
        /// The first of them.
        example: String,
    },
    /// Dates or times are written in another way than `2013-01-31T05:15:00`, and read as texts.
    TimesAsText {
        /// The column.
        column: String,
        /// The first of them.
        example: String,
    },
    /// Integers have more than 64 bits, and are read as texts.
    IntegersAsText {
        /// The column.
        column: String,
    },
}

impl fmt::Display for CsvNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delimiter(b'\t') => write!(f, "fields are separated by tabs"),
            Self::Delimiter(byte) => write!(f, "fields are separated by {:?}", char::from(*byte)),
            Self::OneColumn => {
                write!(f, "there is one column, of texts: none of comma, semicolon, tab and | separates fields")
            }
            Self::NoHeader => {
                write!(f, "the first line holds numbers alone and is taken for a row: columns are named column_1, ...")
            }
            Self::NumbersInHeader { number } => {
                write!(f, "the first line is taken for the header, though it holds the number {number}")
            }
            Self::Renamed { column, from, to } if from.is_empty() => {
                write!(f, "column {column} has no name and is called {to}")
            }
            Self::Renamed { column, from, to } => {
                write!(f, "column {column} has the name {from} of an earlier one and is called {to}")
            }
            Self::ZerosLost { column } => {
                write!(f, "column {column}: integers begin with zeros, which are lost as they are read as numbers")
            }
            Self::FewTexts { column, others, all, example, is_whole } => {
                let more = if *is_whole { "" } else { "..." };
                let (values, are) = if *others == 1 { ("value", "is no number") } else { ("values", "are no numbers") };
                write!(
                    f,
                    "column {column}: {others} {values} of {all} {are}, such as {example}{more}, so all are kept as texts"
                )
            }
            Self::NumbersAsText { column, example } => {
                write!(f, "column {column}: numbers written as {example} are kept as texts")
            }
            Self::TimesAsText { column, example } => {
                write!(
                    f,
                    "column {column}: dates or times written as {example} are kept as texts; those written as 2013-01-31 \
                     or 2013-01-31T05:15:00 are read, all with a zone or none"
                )
            }
            Self::IntegersAsText { column } => {
                write!(f, "column {column}: integers of more than 64 bits are kept as texts")
            }
        }
    }
}

/// The names that a header gives; `column_3` where it gives none.
pub(super) fn of_header(
    header: &[u8],
    fields: &mut Fields,
    missing: &Missing,
    notes: &mut Vec<CsvNote>,
) -> Vec<String> {
    let mut names = Vec::with_capacity(fields.len());
    for column in 0..fields.len() {
        let text = fields.get(header, column).text.trim_ascii();
        let name = String::from_utf8_lossy(text).trim().to_owned();
        let noted = |note: &CsvNote| matches!(note, CsvNote::NumbersInHeader { .. });
        if real(text).is_some() && !missing.is(text) && !notes.iter().any(noted) {
            notes.push(CsvNote::NumbersInHeader { number: name.clone() });
        }
        names.push(name);
    }
    let taken: HashSet<String> = names.iter().cloned().collect();
    for (column, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
        *name = free(&format!("column_{}", column + 1), &taken);
        notes.push(CsvNote::Renamed { column: column + 1, from: String::new(), to: name.clone() });
    }
    names
}

/// The names, numbered where they are those of earlier columns: `a`, `a_2`.
pub(super) fn unique(names: &[String], notes: &mut Vec<CsvNote>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    let mut all = Vec::with_capacity(names.len());
    for (column, name) in names.iter().enumerate() {
        let times = times.entry(name).or_insert(0);
        *times += 1;
        if *times == 1 {
            all.push(name.clone());
            continue;
        }
        let to = free(&format!("{name}_{times}"), &taken);
        taken.insert(to.clone());
        notes.push(CsvNote::Renamed { column: column + 1, from: name.clone(), to: to.clone() });
        all.push(to);
    }
    all
}

/// A name that is not taken.
fn free(name: &str, taken: &HashSet<String>) -> String {
    let mut name = name.to_owned();
    while taken.contains(&name) {
        name.push('_');
    }
    name
}

/// What is wrong with a column that has the name of another.
pub(super) fn ambiguous(names: &[String], column: usize) -> Option<String> {
    let places = names.iter().enumerate().filter(|(_, name)| **name == names[column]).map(|(i, _)| i + 1);
    let places: Vec<usize> = places.collect();
    (places.len() > 1).then(|| {
        let name = &names[column];
        format!(
            "columns {places:?} are all named {name}: which is meant? the second is also called {name}_2, and so on"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_unique() {
        let check = |names: &[&str], expected: &[&str], noted: usize| {
            let mut notes = Vec::new();
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            assert_eq!(unique(&names, &mut notes), expected);
            assert_eq!(notes.len(), noted);
        };
        check(&["a", "b"], &["a", "b"], 0);
        check(&["a", "a", "a"], &["a", "a_2", "a_3"], 2);
        check(&["a", "a", "a_2"], &["a", "a_2_", "a_2"], 1);
        check(&["a_2", "a", "a", "a_2"], &["a_2", "a", "a_2_", "a_2_2"], 2);
    }

    #[test]
    fn a_header_may_leave_names_away() {
        let mut notes = Vec::new();
        let header = b",a,\" b\",column_1,2020\n";
        let mut fields = Fields::new(b',', 9);
        fields.read(header, 0);
        let names = of_header(header, &mut fields, &Missing::new::<&str>(&[]), &mut notes);
        assert_eq!(names, ["column_1_", "a", "b", "column_1", "2020"]);
        let number = CsvNote::NumbersInHeader { number: "2020".into() };
        let renamed = CsvNote::Renamed { column: 1, from: String::new(), to: "column_1_".into() };
        assert_eq!(notes, [number, renamed]);
        assert_eq!(ambiguous(&names, 1), None);
        let twice = ["a", "b", "a"].map(String::from);
        assert!(ambiguous(&twice, 2).unwrap().starts_with("columns [1, 3] are all named a"));
    }
}
