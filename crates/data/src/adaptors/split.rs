use std::ops::Range;

use tidemill_tensor::{Key, Scalar};

use crate::predicate::floor_of;
use crate::{Batch, Column, Error, Kind, Numbers, Schema};

/// How rows are parted, for training, validation and test: named parts that share no row.
///
/// | parts | a row's part is a function of | rows appended to the data |
/// |---|---|---|
/// | [`by_row`](Split::by_row) | seed and row number | move no row |
/// | [`by_key`](Split::by_key) | seed and the value of a column | move no row, nor does another order |
/// | [`by_value`](Split::by_value) | the value of a column | move no row, nor does another order |
/// | [`in_order`](Split::in_order) | row number and number of rows | move the rows at the boundaries |
///
/// Take `by_key` where rows that belong together, of one customer or one device, must not lie on both sides. Take
/// `by_value` of a time where the model is to be tested on what came later.
///
/// # Example
///
/// ```
/// use tidemill_data::{MemorySource, Source, SourceExt, Split};
///
/// let visits = MemorySource::<f64>::builder()
///     .texts("customer", ["ann", "bob", "ann", "cem", "bob"].map(Some))
///     .reals("spent", 1, vec![1.0, 2.0, 3.0, 4.0, 5.0])
///     .build()?;
/// let split = Split::by_key("customer", 7, [("train", 0.8), ("validation", 0.1), ("test", 0.1)])?;
/// let parts = split.names().map(|part| MemorySource::load(visits.clone().part(&split, part)?, 1 << 20));
/// assert_eq!(parts.map(|part| part.unwrap().len()).sum::<usize>(), 5);
/// # Ok::<(), tidemill_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    pub(super) rule: Rule,
    names: Vec<String>,
    /// Where each part ends: a share of all, or a value.
    ends: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    Row { seed: u64 },
    Key { column: String, seed: u64 },
    Value { column: String },
    Order,
}

impl Split {
    /// Each row for itself, by chance: it is in a part with the probability that is given beside the part's name.
    ///
    /// Split before shuffling: what is split is the order that the source has, and an order that changes with the epoch
    /// would move rows between the parts.
    ///
    /// # Errors
    ///
    /// When there is no part, a name comes twice, a fraction is not between 0 and 1, or they are more than 1 together.
    /// Where they are less, the other rows are in no part.
    pub fn by_row<N: Into<String>>(seed: u64, parts: impl IntoIterator<Item = (N, f64)>) -> Result<Self, Error> {
        Self::fractions(Rule::Row { seed }, parts)
    }

    /// All rows of equal value in a column together, by chance: a text, an integer or a number.
    ///
    /// The probability is that of a value; how many rows there are in a part depends on how many have each value. Rows
    /// without a value count as of one value. Every digit of integers and decimals counts, whatever the batch's scalar is;
    /// floating-point numbers are split as the scalar has them.
    ///
    /// # Errors
    ///
    /// As [`by_row`](Split::by_row).
    pub fn by_key<N: Into<String>>(
        column: &str,
        seed: u64,
        parts: impl IntoIterator<Item = (N, f64)>,
    ) -> Result<Self, Error> {
        Self::fractions(Rule::Key { column: column.into(), seed }, parts)
    }

    /// By the value of a column of numbers: each part has the values below the one that is given beside its name, and
    /// not below that of the part before. Give infinity to the last for all that is left.
    ///
    /// # Errors
    ///
    /// When there is no part, a name comes twice, or the values do not rise.
    pub fn by_value<N: Into<String>>(column: &str, parts: impl IntoIterator<Item = (N, f64)>) -> Result<Self, Error> {
        let (names, ends): (Vec<String>, Vec<f64>) = parts.into_iter().map(|(name, end)| (name.into(), end)).unzip();
        if ends.iter().any(|end| end.is_nan()) || ends.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::invalid("split", format!("the values that end the parts of {column} do not rise")));
        }
        Self { rule: Rule::Value { column: column.into() }, names, ends }.checked()
    }

    /// The first rows, the next rows, and so on, each part that fraction of all, rounded to whole rows.
    ///
    /// The boundaries move when there are more rows; [`take`](crate::SourceExt::take),
    /// [`skip_rows`](crate::SourceExt::skip_rows) and [`by_value`](Split::by_value) have some that stay.
    ///
    /// # Errors
    ///
    /// As [`by_row`](Split::by_row).
    pub fn in_order<N: Into<String>>(parts: impl IntoIterator<Item = (N, f64)>) -> Result<Self, Error> {
        Self::fractions(Rule::Order, parts)
    }

    /// The names of the parts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    fn fractions<N: Into<String>>(rule: Rule, parts: impl IntoIterator<Item = (N, f64)>) -> Result<Self, Error> {
        let (mut names, mut ends, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for (name, fraction) in parts {
            let name = name.into();
            if !(0.0..=1.0).contains(&fraction) {
                let problem = format!("the fraction {fraction} of {name} is not between 0 and 1");
                return Err(Error::invalid("split", problem));
            }
            sum += fraction;
            names.push(name);
            // Fractions such as 0.7, 0.2 and 0.1 add up to almost one.
            ends.push(if (sum - 1.0_f64).abs() < 1e-9 { 1.0 } else { sum });
        }
        if sum > 1.0 + 1e-9 {
            return Err(Error::invalid("split", format!("the fractions add up to {sum}, which is more than 1")));
        }
        Self { rule, names, ends }.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        if self.names.is_empty() {
            return Err(Error::invalid("split", "there are no parts"));
        }
        match self.names.iter().enumerate().find(|(place, name)| self.names[..*place].contains(name)) {
            Some((_, name)) => Err(Error::invalid("split", format!("there are two parts {name}"))),
            None => Ok(self),
        }
    }

    /// Where a part begins and ends.
    pub(super) fn part(&self, name: &str) -> Result<Range<f64>, Error> {
        let Some(place) = self.names.iter().position(|part| part == name) else {
            let problem = format!("there is no part {name}; there is {}", self.names.join(", "));
            return Err(Error::invalid("split", problem));
        };
        let first = if self.rule.is_of_values() { f64::NEG_INFINITY } else { 0.0 };
        Ok(if place == 0 { first } else { self.ends[place - 1] }..self.ends[place])
    }
}

impl Rule {
    fn is_of_values(&self) -> bool {
        matches!(self, Self::Value { .. })
    }
}

/// The rows of a part, of so many.
pub(super) fn rows(rows: u64, part: &Range<f64>) -> Range<u64> {
    let boundary = |share: f64| (rows as f64 * share).round() as u64;
    boundary(part.start)..if part.end == 1.0 { u64::MAX } else { boundary(part.end) }
}

/// A part's random numbers of 32 bits.
fn drawn(part: &Range<f64>) -> Range<u64> {
    let boundary = |share: f64| (share * 2_f64.powi(32)).round() as u64;
    boundary(part.start)..boundary(part.end)
}

/// Each row's part as a function of (seed, row).
#[derive(Clone, Debug)]
pub(super) struct Hashed {
    key: Key,
    /// The 32 random bits of the part's rows.
    drawn: Range<u64>,
}

impl Hashed {
    pub(super) fn new(seed: u64, part: &Range<f64>) -> Self {
        Self { key: Key::new(seed), drawn: drawn(part) }
    }

    /// Those of the rows that are in this part.
    pub(super) fn rows_in(&self, rows: Range<u64>) -> impl Iterator<Item = u64> {
        let mut bits = self.key.block(rows.start / 4);
        rows.filter(move |row| {
            if row % 4 == 0 {
                bits = self.key.block(row / 4);
            }
            self.drawn.contains(&u64::from(bits[(row % 4) as usize]))
        })
    }
}

/// Each row's part as a function of a value.
#[derive(Clone, Debug)]
pub(super) struct Member {
    column: usize,
    name: String,
    part: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Drawn { key: Key, drawn: Range<u64> },
    Between(Range<f64>),
}

impl Member {
    pub(super) fn by_key(schema: &Schema, column: &str, seed: u64, part: &Range<f64>) -> Result<Self, Error> {
        Self::new(schema, column, Values::Drawn { key: Key::new(seed), drawn: drawn(part) })
    }

    pub(super) fn by_value(schema: &Schema, column: &str, part: Range<f64>) -> Result<Self, Error> {
        Self::new(schema, column, Values::Between(part))
    }

    fn new(schema: &Schema, name: &str, part: Values) -> Result<Self, Error> {
        let column = schema.position(name).ok_or_else(|| Error::MissingColumn {
            source_name: "split".into(),
            column: name.into(),
            available: schema.names(),
        })?;
        let kind = &schema.fields[column].kind;
        let expected = match (&part, kind) {
            _ if schema.fields[column].numbers == Numbers::Rounded => "numbers of up to 38 digits",
            (_, Kind::Real { width: 1 } | Kind::Index { .. }) | (Values::Drawn { .. }, Kind::Text) => {
                return Ok(Self { column, name: name.into(), part });
            }
            (Values::Between(_), _) => "one number a row",
            (Values::Drawn { .. }, _) => "one number or text a row",
        };
        Err(Error::WrongType {
            source_name: "split".into(),
            column: name.into(),
            expected: expected.into(),
            found: match schema.fields[column].numbers {
                Numbers::Rounded => Numbers::Rounded.to_string(),
                _ => kind.to_string(),
            },
        })
    }

    fn without_value(&self) -> Error {
        let problem = "a row has no value there, so it belongs to no part; filter such rows out";
        Error::invalid(format!("split by column {}", self.name), problem)
    }

    /// Appends the rows of a batch that are in this part.
    pub(super) fn select<T: Scalar>(&self, batch: &Batch<T>, chosen: &mut Vec<usize>) -> Result<(), Error> {
        let column = &batch.columns()[self.column];
        match &self.part {
            Values::Drawn { key, drawn } => {
                let is_in = |hash: u64| drawn.contains(&u64::from(key.block(hash)[0]));
                chosen.extend((0..batch.rows()).filter(|&row| is_in(column.row_hash(row))));
            }
            Values::Between(range) => {
                if let Column::Real { digits, nulls, .. } = column
                    && let (Some(scale), Some(kept)) = (digits.numbers().scale(), digits.kept())
                {
                    let is_below = |digits: i128, end: f64| {
                        let (floor, is_exact) = floor_of(end, scale);
                        if is_exact { digits < floor } else { digits <= floor }
                    };
                    for (row, &digits) in kept.iter().enumerate() {
                        if nulls.is_null(row) {
                            return Err(self.without_value());
                        }
                        if !is_below(digits, range.start) && is_below(digits, range.end) {
                            chosen.push(row);
                        }
                    }
                    return Ok(());
                }
                let value = |row: usize| match column {
                    Column::Real { values, nulls, .. } if !nulls.is_null(row) => values[row].widen(),
                    Column::Index { values } => f64::from(values[row]),
                    _ => f64::NAN,
                };
                for row in 0..batch.rows() {
                    let value = value(row);
                    if value.is_nan() {
                        return Err(self.without_value());
                    }
                    if range.contains(&value) || (value == f64::INFINITY && range.end == value) {
                        chosen.push(row);
                    }
                }
            }
        }
        Ok(())
    }
}
