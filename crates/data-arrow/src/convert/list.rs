//! Lists of any length, by a choice of what becomes of them.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use tidemill_data::Column;
use tidemill_data::tensor::Scalar;

use super::binary::flag;
use super::{Problem, View, real};
use crate::records::unfolded;
use crate::{ListAs, NullItems};

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
                Column::Real { width, values, nulls } => {
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
                // One that is none stays.
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

/// An array with lists and structs around its values.
enum Node {
    Values { values: ArrayRef, nulls: Option<NullBuffer> },
    Struct { nulls: Option<NullBuffer>, field: Box<Node> },
    List(List),
}

struct List {
    lists: ArrayRef,
    items: Box<Node>,
}

type Give<'g> = &'g mut dyn FnMut(Option<Range<usize>>) -> Result<(), Problem>;

impl Node {
    fn new(array: &dyn Array, inside: &[String]) -> Self {
        Self::of(&array.slice(0, array.len()), inside)
    }

    fn of(array: &ArrayRef, inside: &[String]) -> Self {
        let list = |items: &ArrayRef| {
            Self::List(List { lists: ArrayRef::clone(array), items: Box::new(Self::of(items, inside)) })
        };
        match array.data_type() {
            DataType::List(_) => list(array.as_list::<i32>().values()),
            DataType::LargeList(_) => list(array.as_list::<i64>().values()),
            DataType::ListView(_) => list(array.as_list_view::<i32>().values()),
            DataType::LargeListView(_) => list(array.as_list_view::<i64>().values()),
            DataType::FixedSizeList(..) => list(array.as_fixed_size_list().values()),
            DataType::Map(..) => {
                let entries: ArrayRef = std::sync::Arc::new(array.as_map().entries().clone());
                let field = inside.split_first().map(|(name, inside)| {
                    let place = usize::from(name != "key");
                    (array.as_map().entries().column(place), inside)
                });
                let items = match field {
                    Some((field, inside)) => Self::of(field, inside),
                    None => Self::values(entries),
                };
                Self::List(List { lists: ArrayRef::clone(array), items: Box::new(items) })
            }
            DataType::Struct(_) => match inside.split_first() {
                Some((name, inside)) => {
                    let field = array.as_struct().column_by_name(name).expect("the path was found in the schema");
                    Self::Struct { nulls: array.nulls().cloned(), field: Box::new(Self::of(field, inside)) }
                }
                None => Self::values(ArrayRef::clone(array)),
            },
            _ => Self::values(unfolded(array).unwrap_or_else(|_| ArrayRef::clone(array))),
        }
    }

    fn values(values: ArrayRef) -> Self {
        let nulls = values.logical_nulls();
        Self::Values { values, nulls }
    }

    /// Gives what is in some places, runs of values and nulls.
    fn visit(&self, places: Range<usize>, give: Give) -> Result<(), Problem> {
        match self {
            Self::Values { nulls, .. } => runs(nulls.as_ref(), places, give),
            Self::Struct { nulls, field } => {
                let mut each = |run: Option<Range<usize>>| match run {
                    Some(run) => field.visit(run, give),
                    None => give(None),
                };
                runs(nulls.as_ref(), places, &mut each)
            }
            Self::List(list) => {
                for place in places {
                    if list.is_null(place) {
                        give(None)?;
                    } else {
                        list.items(place, give)?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl List {
    fn is_null(&self, place: usize) -> bool {
        self.lists.is_null(place)
    }

    /// Gives what is in one list.
    fn items(&self, place: usize, give: Give) -> Result<(), Problem> {
        self.items.visit(self.range(place), give)
    }

    fn range(&self, place: usize) -> Range<usize> {
        let lists = &self.lists;
        let between = |start: usize, end: usize| start..end;
        let behind = |start: usize, size: usize| start..start + size;
        match lists.data_type() {
            DataType::List(_) => {
                let offsets = lists.as_list::<i32>().value_offsets();
                between(offsets[place] as usize, offsets[place + 1] as usize)
            }
            DataType::LargeList(_) => {
                let offsets = lists.as_list::<i64>().value_offsets();
                between(offsets[place] as usize, offsets[place + 1] as usize)
            }
            DataType::ListView(_) => {
                let lists = lists.as_list_view::<i32>();
                behind(lists.value_offset(place) as usize, lists.value_size(place) as usize)
            }
            DataType::LargeListView(_) => {
                let lists = lists.as_list_view::<i64>();
                behind(lists.value_offset(place) as usize, lists.value_size(place) as usize)
            }
            DataType::Map(..) => {
                let offsets = lists.as_map().value_offsets();
                between(offsets[place] as usize, offsets[place + 1] as usize)
            }
            _ => {
                let lists = lists.as_fixed_size_list();
                behind(lists.value_offset_at(place), lists.value_length() as usize)
            }
        }
    }

    /// The values inside of all lists.
    fn leaf(&self) -> &dyn Array {
        let mut node = &*self.items;
        loop {
            node = match node {
                Node::Values { values, .. } => return values.as_ref(),
                Node::Struct { field, .. } => field,
                Node::List(list) => &list.items,
            };
        }
    }
}

/// Gives runs of places that are not null, and each null.
fn runs(nulls: Option<&NullBuffer>, places: Range<usize>, give: Give) -> Result<(), Problem> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return if places.is_empty() { Ok(()) } else { give(Some(places)) };
    };
    let mut start = places.start;
    for place in places.clone() {
        if nulls.is_null(place) {
            if start < place {
                give(Some(start..place))?;
            }
            give(None)?;
            start = place + 1;
        }
    }
    if start < places.end { give(Some(start..places.end)) } else { Ok(()) }
}
