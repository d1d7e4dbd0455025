use std::sync::Arc;

use tidemill_tensor::Scalar;
use tidemill_tensor::ndarray::Array2;

use super::MemorySource;
use crate::{Batch, Column, Digits, Error, Field, Kind, Nulls, Numbers, Role, Schema, Unit};

/// Collects the columns of a [`MemorySource`]; made by [`MemorySource::builder`].
///
/// Columns of the target and the weights are named `target` and `weight`. Everything is checked by
/// [`build`](MemoryBuilder::build).
#[derive(Clone, Debug)]
pub struct MemoryBuilder<T> {
    fields: Vec<Field>,
    columns: Vec<Column<T>>,
}

impl<T: Scalar> MemoryBuilder<T> {
    pub(super) fn new() -> Self {
        Self { fields: Vec::new(), columns: Vec::new() }
    }

    /// A feature of `width` real numbers a row, rows one behind the other.
    pub fn reals(self, name: &str, width: usize, values: Vec<T>) -> Self {
        self.real(name, Role::Feature, width, values)
    }

    /// A feature of real numbers `[B, width]`.
    pub fn array(self, name: &str, values: Array2<T>) -> Self {
        let width = values.ncols();
        self.real(name, Role::Feature, width, rows_of(values))
    }

    /// A feature of one real number a row, or none.
    pub fn optional_reals(self, name: &str, values: impl IntoIterator<Item = Option<T>>) -> Self {
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for value in values {
            present.push(value.unwrap_or_default());
            absent.push(value.is_none());
        }
        let mut nulls = Nulls::default();
        nulls.extend(0, absent);
        let field = Field { nullable: true, ..Field::new(name, Kind::Real { width: 1 }, Role::Feature) };
        self.column(field, Column::Real { width: 1, values: present, nulls, digits: Digits::default() })
    }

    /// A feature of one whole number a row, or none, every digit of which is kept: signed or unsigned, up to 64 bits, and
    /// beyond them up to 38 digits.
    pub fn integers<I: Into<i128>>(self, name: &str, values: impl IntoIterator<Item = Option<I>>) -> Self {
        let values: Vec<Option<i128>> = values.into_iter().map(|value| value.map(Into::into)).collect();
        let all_in = |range: std::ops::RangeInclusive<i128>| values.iter().flatten().all(|value| range.contains(value));
        let numbers = match () {
            () if all_in(i128::from(i64::MIN)..=i128::from(i64::MAX)) => Numbers::Signed { bits: 64 },
            () if all_in(0..=i128::from(u64::MAX)) => Numbers::Unsigned { bits: 64 },
            () => Numbers::Decimal { digits: 38, scale: 0 },
        };
        let nullable = values.contains(&None);
        let field = Field { nullable, numbers, ..Field::new(name, Kind::Real { width: 1 }, Role::Feature) };
        self.column(field, Column::of_digits(numbers, values))
    }

    /// Says what the numbers of the last column count, such as days.
    pub fn unit(mut self, unit: Unit) -> Self {
        if let Some(field) = self.fields.last_mut() {
            field.unit = unit;
        }
        self
    }

    /// A feature of one category a row, an index below `cardinality`.
    pub fn indices(self, name: &str, cardinality: u32, values: Vec<u32>) -> Self {
        self.column(Field::new(name, Kind::Index { cardinality }, Role::Feature), Column::Index { values })
    }

    /// A feature of one text a row, or none.
    pub fn texts<'a>(self, name: &str, values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let (mut bytes, mut ends, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            bytes.extend_from_slice(value.unwrap_or_default().as_bytes());
            ends.push(bytes.len());
            absent.push(value.is_none());
        }
        let mut nulls = Nulls::default();
        nulls.extend(0, absent);
        let field = Field { nullable: true, ..Field::new(name, Kind::Text, Role::Feature) };
        self.column(field, Column::Text { bytes, ends, nulls })
    }

    /// One real number a row to predict.
    pub fn target(self, values: Vec<T>) -> Self {
        self.real("target", Role::Target, 1, values)
    }

    /// Real numbers to predict, `[B, width]`.
    pub fn target_array(self, values: Array2<T>) -> Self {
        let width = values.ncols();
        self.real("target", Role::Target, width, rows_of(values))
    }

    /// One class a row to predict, an index below `classes`.
    pub fn target_classes(self, classes: u32, values: Vec<u32>) -> Self {
        let kind = Kind::Index { cardinality: classes };
        self.column(Field::new("target", kind, Role::Target), Column::Index { values })
    }

    /// The weight of each row, at least zero.
    pub fn weights(self, values: Vec<T>) -> Self {
        self.real("weight", Role::Weight, 1, values)
    }

    /// A column of any kind and role.
    pub fn column(mut self, field: Field, column: Column<T>) -> Self {
        self.fields.push(field);
        self.columns.push(column);
        self
    }

    /// Checks the columns against each other.
    ///
    /// # Errors
    ///
    /// When there is no column, a name comes twice, a column has another number of rows than the first, a column is not
    /// of its field's kind, an index is not below its cardinality, a weight is not finite, or the target of a row that
    /// weighs more than nothing is not.
    pub fn build(self) -> Result<MemorySource<T>, Error> {
        let Some(first) = self.fields.first() else {
            return Err(Error::invalid("memory", "there is no column"));
        };
        let mut rows = None;
        for (field, column) in self.fields.iter().zip(&self.columns) {
            let found = rows_of_column(field, column)?;
            let expected = *rows.get_or_insert(found);
            if found != expected {
                let problem = format!("has {found} rows, column {} has {expected}", first.name);
                return Err(Error::invalid(format!("column {}", field.name), problem));
            }
        }
        let columns = self.columns;
        let mut data = Batch::new(Arc::new(Schema::new(self.fields)));
        data.append(rows.unwrap_or(0), |empty| {
            empty.iter_mut().zip(columns).for_each(|(to, from)| *to = from);
            Ok::<_, Error>(())
        })?;
        MemorySource::new(data)
    }

    fn real(self, name: &str, role: Role, width: usize, values: Vec<T>) -> Self {
        let column = Column::Real { width, values, nulls: Nulls::default(), digits: Digits::default() };
        self.column(Field::new(name, Kind::Real { width }, role), column)
    }
}

/// What holds of rows in memory wherever they come from.
pub(crate) fn check<T: Scalar>(data: &Batch<T>) -> Result<(), Error> {
    check_as(data.schema(), data)
}

/// As [`check`], of a batch of columns of the same kinds that go by another schema.
pub(crate) fn check_as<T: Scalar>(schema: &Schema, data: &Batch<T>) -> Result<(), Error> {
    let fields = &schema.fields;
    let weights = schema.role(Role::Weight).and_then(|place| match &data.columns()[place] {
        Column::Real { width: 1, values, .. } => Some(values),
        _ => None,
    });
    for (place, (field, column)) in fields.iter().zip(data.columns()).enumerate() {
        let what = || format!("column {}", field.name);
        if schema.position(&field.name) != Some(place) {
            return Err(Error::invalid(what(), "the name comes twice"));
        }
        if field.role == Role::Weight && field.kind != (Kind::Real { width: 1 }) {
            return Err(Error::invalid(what(), format!("weights are one real number a row, not {}", field.kind)));
        }
        match (&field.kind, column) {
            (Kind::Index { cardinality }, Column::Index { values }) => {
                if let Some(row) = values.iter().position(|v| v >= cardinality) {
                    let problem = format!("{} in row {row} is not below the cardinality {cardinality}", values[row]);
                    return Err(Error::invalid(what(), problem));
                }
            }
            (Kind::Real { width }, Column::Real { values, .. }) if field.role != Role::Feature => {
                let least = if field.role == Role::Weight { T::zero() } else { T::min_value() };
                let counts = |row: usize| field.role == Role::Weight || weights.is_none_or(|w| w[row] != T::zero());
                let is_wrong = |(i, v): (usize, &T)| (!v.is_finite() || *v < least) && counts(i / width);
                if let Some(at) = values.iter().enumerate().position(is_wrong) {
                    let problem = match field.role {
                        Role::Weight => format!("weight {} in row {at} is not a finite number from zero", values[at]),
                        _ => format!("target {} in row {} is not finite", values[at], at / width),
                    };
                    return Err(Error::invalid(what(), problem));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn rows_of_column<T: Scalar>(field: &Field, column: &Column<T>) -> Result<usize, Error> {
    let what = || format!("column {}", field.name);
    match (&field.kind, column) {
        (Kind::Real { width: 0 }, _) => Err(Error::invalid(what(), "has no numbers a row")),
        (&Kind::Real { width }, Column::Real { width: found, values, digits, .. }) if *found == width => {
            if digits.numbers() != field.numbers {
                let problem = format!("its values are {}, declared are {}", digits.numbers(), field.numbers);
                return Err(Error::invalid(what(), problem));
            }
            if values.len() % width == 0 {
                Ok(values.len() / width)
            } else {
                Err(Error::invalid(what(), format!("{} values are no whole rows of {width}", values.len())))
            }
        }
        (Kind::Index { .. }, Column::Index { .. }) | (Kind::Text, Column::Text { .. }) => Ok(column.rows()),
        _ => Err(Error::invalid(what(), format!("its values are not {}", field.kind))),
    }
}

fn rows_of<T: Scalar>(values: Array2<T>) -> Vec<T> {
    if !values.is_standard_layout() {
        return values.iter().copied().collect();
    }
    let len = values.len();
    let (mut all, offset) = values.into_raw_vec_and_offset();
    all.truncate(offset.unwrap_or(0) + len);
    all.drain(..offset.unwrap_or(0));
    all
}
