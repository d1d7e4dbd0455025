use tidemill_tensor::Scalar;

use crate::digits::rounded;
use crate::number::recover;
use crate::{Batch, Column, Error, Field, Kind, Numbers, Role};

/// What one row has in one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a, T> {
    /// One real number.
    Real(T),
    /// A whole number, every digit of which is kept where the column is of whole numbers.
    Integer(i128),
    /// As many real numbers as the column is wide.
    Reals(&'a [T]),
    /// A category, as an index.
    Index(u32),
    /// A text.
    Text(&'a str),
    /// Nothing, in a nullable column.
    Null,
}

/// What can be put in one column of a row: numbers of the channel's scalar, indices (`u32`), texts, options of these,
/// and [`Value`].
pub trait AsValue<T> {
    /// Itself, as a value.
    fn value(&self) -> Value<'_, T>;
}

/// What is a row: a tuple, an array or a slice of values, one a column in the schema's order.
pub trait Row<T> {
    /// Calls `each` with the values, column by column.
    ///
    /// # Errors
    ///
    /// Those of `each`.
    fn values<'a>(&'a self, each: impl FnMut(Value<'a, T>) -> Result<(), Error>) -> Result<(), Error>
    where
        T: 'a;
}

macro_rules! scalars {
    ($($scalar:ty)*) => {$(
        impl AsValue<$scalar> for $scalar {
            fn value(&self) -> Value<'_, $scalar> {
                Value::Real(*self)
            }
        }
    )*};
}

scalars!(f32 f64);

impl<T> AsValue<T> for u32 {
    fn value(&self) -> Value<'_, T> {
        Value::Index(*self)
    }
}

impl<T> AsValue<T> for str {
    fn value(&self) -> Value<'_, T> {
        Value::Text(self)
    }
}

impl<T> AsValue<T> for String {
    fn value(&self) -> Value<'_, T> {
        Value::Text(self)
    }
}

impl<T> AsValue<T> for [T] {
    fn value(&self) -> Value<'_, T> {
        Value::Reals(self)
    }
}

impl<T, const N: usize> AsValue<T> for [T; N] {
    fn value(&self) -> Value<'_, T> {
        Value::Reals(self)
    }
}

impl<T> AsValue<T> for Vec<T> {
    fn value(&self) -> Value<'_, T> {
        Value::Reals(self)
    }
}

impl<T, V: AsValue<T>> AsValue<T> for Option<V> {
    fn value(&self) -> Value<'_, T> {
        self.as_ref().map_or(Value::Null, AsValue::value)
    }
}

impl<T, V: AsValue<T> + ?Sized> AsValue<T> for &V {
    fn value(&self) -> Value<'_, T> {
        (**self).value()
    }
}

impl<T: Copy> AsValue<T> for Value<'_, T> {
    fn value(&self) -> Value<'_, T> {
        *self
    }
}

impl<T, V: AsValue<T>> Row<T> for [V] {
    fn values<'a>(&'a self, each: impl FnMut(Value<'a, T>) -> Result<(), Error>) -> Result<(), Error>
    where
        T: 'a,
    {
        self.iter().map(AsValue::value).try_for_each(each)
    }
}

impl<T, V: AsValue<T>, const N: usize> Row<T> for [V; N] {
    fn values<'a>(&'a self, each: impl FnMut(Value<'a, T>) -> Result<(), Error>) -> Result<(), Error>
    where
        T: 'a,
    {
        self.as_slice().values(each)
    }
}

impl<T, R: Row<T> + ?Sized> Row<T> for &R {
    fn values<'a>(&'a self, each: impl FnMut(Value<'a, T>) -> Result<(), Error>) -> Result<(), Error>
    where
        T: 'a,
    {
        (**self).values(each)
    }
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<Scalar, $($name: AsValue<Scalar>),*> Row<Scalar> for ($($name,)*) {
            #[allow(non_snake_case, reason = "the fields are named like their types")]
            fn values<'a>(
                &'a self,
                mut each: impl FnMut(Value<'a, Scalar>) -> Result<(), Error>,
            ) -> Result<(), Error>
            where
                Scalar: 'a,
            {
                let ($($name,)*) = self;
                $(each($name.value())?;)*
                Ok(())
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);

/// Checks a row against the columns; whatever is wrong is told with the column's name.
pub(super) fn check<T: Scalar>(fields: &[Field], row: &impl Row<T>) -> Result<(), Error> {
    let mut weightless = false;
    if fields.iter().any(|field| field.role == Role::Weight) {
        let mut place = 0;
        row.values(|value| {
            let is_weight = fields.get(place).is_some_and(|field| field.role == Role::Weight);
            place += 1;
            weightless |= is_weight
                && match value {
                    Value::Real(weight) => weight == T::zero(),
                    Value::Integer(weight) => weight == 0,
                    _ => false,
                };
            Ok(())
        })?;
    }
    let mut found = 0;
    row.values(|value| {
        let field = fields.get(found);
        found += 1;
        field.map_or(Ok(()), |field| check_value(field, value, weightless))
    })?;
    if found == fields.len() {
        return Ok(());
    }
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let problem = format!("it has {found} values, the channel {} columns: {}", fields.len(), names.join(", "));
    Err(Error::invalid("row", problem))
}

fn check_value<T: Scalar>(field: &Field, value: Value<'_, T>, weightless: bool) -> Result<(), Error> {
    let problem = match (&field.kind, value) {
        (Kind::Real { width: 1 }, Value::Real(number)) => {
            let is_in = |scale| number.is_nan() || rounded::<T>(recover(number.widen(), scale), scale) == number;
            if field.numbers.scale().is_none_or(is_in) {
                return check_role(field, &[number], weightless);
            }
            format!("it is {}, and the row has {number} in it", field.numbers)
        }
        (Kind::Real { width: 1 }, Value::Integer(integer)) => match digits_of(field.numbers, integer) {
            Some(_) => return check_role(field, &[rounded::<T>(integer, 0)], weightless),
            None => format!("it is {}, and the row has {integer} in it", field.numbers),
        },
        (Kind::Real { width }, Value::Reals(numbers)) if numbers.len() == *width => {
            return check_role(field, numbers, weightless);
        }
        (Kind::Index { cardinality }, Value::Index(index)) if index < *cardinality => return Ok(()),
        (Kind::Text, Value::Text(_)) => return Ok(()),
        (Kind::Real { .. } | Kind::Text, Value::Null) if field.nullable => return Ok(()),
        (Kind::Index { cardinality }, Value::Index(index)) => {
            format!("{index} is not below the cardinality {cardinality}")
        }
        (Kind::Real { width }, Value::Real(_) | Value::Integer(_)) => {
            format!("a row has {width} numbers in it, not one")
        }
        (Kind::Real { width }, Value::Reals(numbers)) => {
            format!("a row has {width} numbers in it, not {}", numbers.len())
        }
        (kind, Value::Null) => format!("it is {kind} and not nullable, and the row has no value in it"),
        (kind, Value::Index(index)) => format!("it is {kind}, and the row has the index {index} in it"),
        (kind, Value::Text(text)) => format!("it is {kind}, and the row has the text {text:?} in it"),
        (kind, Value::Real(_) | Value::Reals(_) | Value::Integer(_)) => {
            format!("it is {kind}, and the row has numbers in it")
        }
    };
    Err(Error::invalid(format!("column {}", field.name), problem))
}

/// As for rows in memory: targets and weights are finite, weights not below zero; the target of a row of weight zero may
/// be anything.
fn check_role<T: Scalar>(field: &Field, numbers: &[T], weightless: bool) -> Result<(), Error> {
    let (role, least) = match field.role {
        Role::Feature => return Ok(()),
        Role::Target if weightless => return Ok(()),
        Role::Target => ("target", T::min_value()),
        Role::Weight => ("weight", T::zero()),
    };
    match numbers.iter().find(|number| !number.is_finite() || **number < least) {
        None => Ok(()),
        Some(number) => {
            let expected = if field.role == Role::Weight { "a finite number from zero" } else { "finite" };
            Err(Error::invalid(format!("column {}", field.name), format!("the {role} {number} is not {expected}")))
        }
    }
}

/// Appends a row that was checked.
pub(super) fn push<T: Scalar>(batch: &mut Batch<T>, row: &impl Row<T>) {
    let appended = batch.append(1, |columns| {
        let mut columns = columns.iter_mut();
        row.values(|value| {
            columns.next().into_iter().for_each(|column| push_value(column, value));
            Ok(())
        })
    });
    debug_assert!(appended.is_ok(), "nothing above fails");
}

/// The digits of a whole number as a column has them; `None` where it has no such numbers.
fn digits_of(numbers: Numbers, integer: i128) -> Option<i128> {
    match numbers {
        Numbers::Real | Numbers::Rounded => Some(integer),
        Numbers::Signed { bits } => {
            let most = 1_i128 << (bits - 1);
            (-most..most).contains(&integer).then_some(integer)
        }
        Numbers::Unsigned { bits } => (0..1_i128 << bits).contains(&integer).then_some(integer),
        Numbers::Decimal { scale, .. } => {
            let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs()))?;
            if scale >= 0 { integer.checked_mul(power) } else { (integer % power == 0).then_some(integer / power) }
        }
    }
}

fn push_value<T: Scalar>(column: &mut Column<T>, value: Value<'_, T>) {
    let before = column.rows();
    match (column, value) {
        (Column::Real { values, nulls, digits, .. }, Value::Real(number)) => {
            values.push(number);
            let scale = digits.numbers().scale();
            if let Some(scale) = scale {
                digits.extend(values, [recover(number.widen(), scale)].into_iter());
            }
            if scale.is_some() && number.is_nan() {
                nulls.extend(before, [true]);
            } else {
                nulls.extend_valid(before, 1);
            }
        }
        (Column::Real { values, nulls, digits, .. }, Value::Integer(integer)) => {
            values.push(rounded(integer, 0));
            if let Some(exact) = digits_of(digits.numbers(), integer) {
                digits.extend(values, [exact].into_iter());
            }
            nulls.extend_valid(before, 1);
        }
        (Column::Real { values, nulls, .. }, Value::Reals(numbers)) => {
            values.extend_from_slice(numbers);
            nulls.extend_valid(before, 1);
        }
        (Column::Real { width, values, nulls, digits }, _) => {
            values.resize(values.len() + *width, T::zero());
            if digits.numbers().scale().is_some() {
                digits.extend(values, [0].into_iter());
            }
            nulls.extend(before, [true]);
        }
        (Column::Index { values }, Value::Index(index)) => values.push(index),
        (Column::Index { values }, _) => values.push(0),
        (Column::Text { bytes, ends, nulls }, Value::Text(text)) => {
            bytes.extend_from_slice(text.as_bytes());
            ends.push(bytes.len());
            nulls.extend_valid(before, 1);
        }
        (Column::Text { bytes, ends, nulls }, _) => {
            ends.push(bytes.len());
            nulls.extend(before, [true]);
        }
    }
}
