//! Conditions on the values of a row.

mod bounds;
mod literal;
mod operand;
mod parse;
mod test;
mod time;

use std::fmt;
use std::str::FromStr;

use crate::Error;
use literal::Literal;

pub use bounds::{Bounds, Limits};
pub use test::RowTest;

/// A condition on the values of a row: `distance > 500 and carrier in ('AA', 'UA')`.
///
/// Columns are compared with numbers and texts by `=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`, `between .. and ..`, `in (..)`
/// and `is null`; `not`, `and`, `or` and brackets join conditions. Words of the language are written in small or large
/// letters. Texts stand in single quotes, a quote in them twice; columns whose names are no plain words stand in double
/// quotes. `true` and `false` are 1 and 0. Texts compare by their bytes.
///
/// Columns of dates, timestamps (UTC) and times of day are compared with texts such as `'2013-07-01'`,
/// `'2013-07-01 12:00:00'` and `'12:00:00'`, and with `date '2013-07-01'` and `timestamp '2013-07-01 12:00:00'`, where a
/// date stands for its midnight. A column of plain numbers takes such a date as days and such a timestamp as seconds since
/// 1970. A number is compared as it is: with days, with seconds since 1970, and with seconds.
///
/// Every digit counts where the column's numbers are whole or decimals, as [`Field::numbers`](crate::Field) tells:
/// `id = 9007199254740993` is true for no other number, and `n < 3.5` for 3. Floating-point numbers are compared with the
/// nearest `f64`.
///
/// As in SQL, what compares with a null is neither true nor false, and only rows for which the condition is true are
/// taken. NaN is a null.
///
/// # Example
///
/// ```
/// use tidemill_data::{MemorySource, Predicate, SourceExt};
///
/// let far: Predicate = "distance > 500 and not carrier = 'AA'".parse()?;
/// assert_eq!(far.columns(), ["distance", "carrier"]);
/// let flights = MemorySource::<f64>::builder()
///     .reals("distance", 1, vec![400.0, 600.0, 800.0, 900.0])
///     .texts("carrier", [Some("UA"), Some("UA"), Some("AA"), None])
///     .build()?;
/// assert_eq!(MemorySource::load(flights.filter(&far)?, 1 << 20)?.len(), 1);
///
/// let error = "distance >> 500".parse::<Predicate>().unwrap_err();
/// assert_eq!(error.to_string(), "condition: expected a number or a text in single quotes at `> 500`, character 11");
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Compare { column: String, comparison: Comparison, value: Value },
    In { column: String, values: Vec<Value> },
    IsNull { column: String },
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a column is compared with.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(Literal),
    /// Days since 1970, as they are written.
    Date {
        days: i64,
        text: String,
    },
    /// Seconds since 1970, as they are written.
    Timestamp {
        seconds: Literal,
        text: String,
    },
    Text(String),
}

/// The whole numbers of `10^-scale` that are greater than `value` are those greater than this one; those below it are
/// those below this one, or the next where the second is `false`.
pub(crate) fn floor_of(value: f64, scale: i8) -> (i128, bool) {
    let beyond = if value > 0.0 { i128::MAX } else { i128::MIN };
    let bound = Literal::of_f64(value).map(|literal| literal.at(scale));
    bound.map_or((beyond, false), |bound| (bound.floor, bound.is_exact))
}

impl Predicate {
    /// The columns that it reads, each once, as they come in it.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns = Vec::new();
        self.0.each_column(&mut |column| {
            if !columns.contains(&column) {
                columns.push(column);
            }
        });
        columns
    }

    /// The columns that it compares with texts.
    pub fn text_columns(&self) -> Vec<&str> {
        let mut columns = Vec::new();
        self.0.each_text_column(&mut |column| columns.push(column));
        columns
    }

    /// This condition and another.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Node::And(vec![self.0, other.0]))
    }
}

impl Node {
    fn each_column<'a>(&'a self, each: &mut impl FnMut(&'a str)) {
        match self {
            Self::Compare { column, .. } | Self::In { column, .. } | Self::IsNull { column } => each(column),
            Self::Not(node) => node.each_column(each),
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().for_each(|node| node.each_column(each)),
        }
    }

    fn each_text_column<'a>(&'a self, each: &mut impl FnMut(&'a str)) {
        match self {
            Self::Compare { column, value: Value::Text(_), .. } => each(column),
            Self::In { column, values } if matches!(values[..], [Value::Text(_), ..]) => each(column),
            Self::Compare { .. } | Self::In { .. } | Self::IsNull { .. } => {}
            Self::Not(node) => node.each_text_column(each),
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().for_each(|node| node.each_text_column(each)),
        }
    }
}

impl FromStr for Predicate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse::parse(text).map(Self)
    }
}

/// Read again, it is the same condition.
impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, nodes: &[Self], word: &str| {
            for (place, node) in nodes.iter().enumerate() {
                if place > 0 {
                    write!(f, " {word} ")?;
                }
                match node {
                    Self::And(_) | Self::Or(_) => write!(f, "({node})")?,
                    _ => write!(f, "{node}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Compare { column, comparison, value } => write!(f, "{} {comparison} {value}", Name(column)),
            Self::In { column, values } => {
                write!(f, "{} in (", Name(column))?;
                for (place, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if place > 0 { ", " } else { "" })?;
                }
                write!(f, ")")
            }
            Self::IsNull { column } => write!(f, "{} is null", Name(column)),
            Self::Not(node) => match &**node {
                Self::IsNull { column } => write!(f, "{} is not null", Name(column)),
                node => write!(f, "not ({node})"),
            },
            Self::And(nodes) => joined(f, nodes, "and"),
            Self::Or(nodes) => joined(f, nodes, "or"),
        }
    }
}

/// A column as it is written in a condition.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_plain(self.0) { write!(f, "{}", self.0) } else { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Date { text, .. } => write!(f, "date '{text}'"),
            Self::Timestamp { text, .. } => write!(f, "timestamp '{text}'"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
        }
    }
}

impl Comparison {
    fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }

    /// The comparison of `b` with `a` that says the same as this one of `a` with `b`.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}
