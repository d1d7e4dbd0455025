//! Lists of any length, by a choice of what becomes of them.

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use tidemill_data::Column;
use tidemill_data::tensor::Scalar;

use super::binary::flag;
use super::{Problem, View, real};
use crate::{ListAs, NullItems};

mod node;

use node::{List, Node};

/// How lists are made numbers or texts.
pub(super) struct Lists<'a> {
    /// Names of fields on the way to what is inside.
    pub(super) inside: &'a [String],
    pub(super) list: &'a ListAs,
    pub(super) nulls: NullItems,
}

impl Lists<'_> {
    /// Appends rows, or gives the one that cannot be taken.
    pub(super) fn append<T: Scalar>(&self, view: View, to: &mut Column<T>) -> Result<(), (usize, Problem)> {
        let View::Array { array, rows, .. } = view else { unreachable!("lists are no plain numbers") };
        let node = Node::new(array, self.inside);
        for row in rows.clone() {
            let items = match &node {
                Node::List(list) if !list.is_null(row) => Some(Items { list, row, nulls: self.nulls }),
                _ => None,
            };
            let pushed = match to {
                Column::Real { width, values, nulls, .. } => {
                    let before = values.len();
                    values.resize(before + *width, T::zero());
                    let known = self.numbers(items, &mut values[before..]);
                    known.map(|known| flag(nulls, before / *width, !known))
                }
                Column::Text { bytes, ends, nulls } => {
                    let known = self.text(items, bytes);
                    known.map(|known| {
                        flag(nulls, ends.len(), !known);
                        ends.push(bytes.len());
                    })
                }
                Column::Index { .. } => unreachable!("lists become texts or numbers"),
            };
            pushed.map_err(|problem| (row - rows.start, problem))?;
        }
        Ok(())
    }

    /// Writes a row's numbers, or says that there are none.
    fn numbers<T: Scalar>(&self, items: Option<Items>, to: &mut [T]) -> Result<bool, Problem> {
        let Some(items) = items else { return Ok(false) };
        match *self.list {
            ListAs::Length => {
                let nulls = if self.nulls == NullItems::Skip { 0 } else { 1 };
                let (mut length, list) = (0, items.list);
                list.items(items.row, &mut |run| {
                    length += run.map_or(nulls, |run| run.len());
                    Ok(())
                })?;
                to[0] = T::of(length as f64);
            }
            ListAs::Pad { width, fill } => {
                let length = items.count()?;
                if length > width {
                    return Err(Problem::TooLong { items: length, width });
                }
                items.write(0, to)?;
                to[length..].fill(T::of(fill));
            }
            ListAs::First { width, fill } => {
                let length = items.count()?.min(width);
                items.write(0, to)?;
                to[length..].fill(T::of(fill));
            }
            ListAs::Last { width, fill } => {
                let length = items.count()?;
                let missing = width.saturating_sub(length);
                to[..missing].fill(T::of(fill));
                items.write(length.saturating_sub(width), &mut to[missing..])?;
            }
            ref fold => return self.fold(fold, items, to),
        }
        Ok(true)
    }

    fn fold<T: Scalar>(&self, fold: &ListAs, items: Items, to: &mut [T]) -> Result<bool, Problem> {
        let (mut count, mut sum, mut least, mut most) = (0usize, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        items.each(&mut |numbers: &[f64]| {
            count += numbers.len();
            for &x in numbers {
                sum += x;
                // NaN, once found, stays.
                least = if x < least || x.is_nan() { x } else { least };
                most = if x > most || x.is_nan() { x } else { most };
            }
        })?;
        let value = match fold {
            ListAs::Sum => sum,
            _ if count == 0 => return Ok(false),
            ListAs::Mean => sum / count as f64,
            ListAs::Min => least,
            _ => most,
        };
        to[0] = T::of(value);
        Ok(true)
    }

    /// Appends a row's text, or says that there is none.
    fn text(&self, items: Option<Items>, bytes: &mut Vec<u8>) -> Result<bool, Problem> {
        let Some(items) = items else { return Ok(false) };
        let mut count = 0;
        items.runs(&mut |run| {
            for item in run.into_iter().flatten() {
                match self.list {
                    ListAs::Join { separator } => {
                        if count > 0 {
                            bytes.extend_from_slice(separator.as_bytes());
                        }
                        bytes.extend_from_slice(text_at(items.list.leaf(), item).as_bytes());
                    }
                    _ if count == 0 => bytes.extend_from_slice(text_at(items.list.leaf(), item).as_bytes()),
                    _ => {}
                }
                count += 1;
            }
        })?;
        Ok(count > 0 || matches!(self.list, ListAs::Join { .. }))
    }
}

fn text_at(array: &dyn Array, item: usize) -> &str {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(item),
        DataType::LargeUtf8 => array.as_string::<i64>().value(item),
        _ => array.as_string_view().value(item),
    }
}

/// What is inside one row's list.
struct Items<'a> {
    list: &'a List,
    row: usize,
    nulls: NullItems,
}

/// Numbers that are converted together.
const CHUNK: usize = 64;

impl Items<'_> {
    /// Gives runs of items that are there, in order, and a null that a number is to stand in for as `None`.
    fn runs(&self, give: &mut dyn FnMut(Option<Range<usize>>)) -> Result<(), Problem> {
        self.list.items(self.row, &mut |run| {
            match (run, self.nulls) {
                (None, NullItems::Refuse) => return Err(Problem::NullInside),
                (None, NullItems::Skip) => {}
                (run, _) => give(run),
            }
            Ok(())
        })
    }

    /// How many there are, nulls that are passed over not counted.
    fn count(&self) -> Result<usize, Problem> {
        let mut count = 0;
        self.runs(&mut |run| count += run.map_or(1, |run| run.len()))?;
        Ok(count)
    }

    /// Gives all numbers, some at a time.
    fn each<T: Scalar>(&self, give: &mut dyn FnMut(&[T])) -> Result<(), Problem> {
        let mut numbers = [T::zero(); CHUNK];
        self.runs(&mut |run| match (run, self.nulls) {
            (Some(run), _) => {
                for start in run.clone().step_by(CHUNK) {
                    let some = start..run.end.min(start + CHUNK);
                    let numbers = &mut numbers[..some.len()];
                    real::write(self.list.leaf(), some, numbers);
                    give(numbers);
                }
            }
            (None, NullItems::Fill(number)) => give(&[T::of(number)]),
            (None, _) => {}
        })
    }

    /// Writes the numbers behind the first `skip`, as many as there is room for.
    fn write<T: Scalar>(&self, mut skip: usize, to: &mut [T]) -> Result<(), Problem> {
        let mut at = 0;
        self.each(&mut |numbers: &[T]| {
            let passed = skip.min(numbers.len());
            skip -= passed;
            let numbers = &numbers[passed..];
            let numbers = &numbers[..numbers.len().min(to.len() - at)];
            to[at..at + numbers.len()].copy_from_slice(numbers);
            at += numbers.len();
        })
    }
}
