use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use crate::Problem;
use crate::records::unfolded;

/// An array with lists and structs around its values.
pub(super) enum Node {
    Values { values: ArrayRef, nulls: Option<NullBuffer> },
    Struct { nulls: Option<NullBuffer>, field: Box<Node> },
    List(List),
}

pub(super) struct List {
    lists: ArrayRef,
    items: Box<Node>,
}

pub(super) type Give<'g> = &'g mut dyn FnMut(Option<Range<usize>>) -> Result<(), Problem>;

impl Node {
    pub(super) fn new(array: &dyn Array, inside: &[String]) -> Self {
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
                let entries: ArrayRef = Arc::new(array.as_map().entries().clone());
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
    pub(super) fn is_null(&self, place: usize) -> bool {
        self.lists.is_null(place)
    }

    /// Gives what is in one list.
    pub(super) fn items(&self, place: usize, give: Give) -> Result<(), Problem> {
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
    pub(super) fn leaf(&self) -> &dyn Array {
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
