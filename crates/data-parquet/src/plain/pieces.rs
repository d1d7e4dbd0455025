use std::ops::Range;

use super::Declined;
use super::codec::Scratch;
use super::header::{Data, Form, Values};
use super::levels::{count_defined, read_nulls};
use super::runs::{Runs, SLACK};

/// Values of consecutive rows.
#[derive(Debug, Default)]
pub(crate) struct PlainPage {
    pub(super) bytes: Vec<u8>,
    /// Where the values begin.
    pub(super) start: usize,
    pub(super) width: usize,
    pub(super) rows: usize,
    /// Whether each row has no value; nothing where all have one.
    pub(super) nulls: Vec<bool>,
}

impl PlainPage {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The values of some rows, in little-endian order; zero where there is none.
    pub(crate) fn values(&self, rows: Range<usize>) -> &[u8] {
        &self.bytes[self.start + rows.start * self.width..self.start + rows.end * self.width]
    }

    /// Whether each of some rows has no value, unless all of the page have one.
    pub(crate) fn nulls(&self, rows: Range<usize>) -> Option<&[bool]> {
        if self.nulls.is_empty() { None } else { Some(&self.nulls[self.rows_passed() + rows.start..][..rows.len()]) }
    }

    /// Makes it an empty buffer for so many rows of another page's kind.
    pub(crate) fn begin(&mut self, like: &Self, rows: usize) {
        self.width = like.width;
        self.clear(rows * like.width);
    }

    /// Appends the first rows of another page.
    pub(crate) fn append(&mut self, page: &Self, rows: usize) {
        self.bytes.extend_from_slice(page.values(0..rows));
        match page.nulls(0..rows) {
            Some(nulls) => {
                self.nulls.resize(self.rows, false);
                self.nulls.extend_from_slice(nulls);
            }
            None if self.nulls.is_empty() => {}
            None => self.nulls.resize(self.rows + rows, false),
        }
        self.rows += rows;
    }

    /// Drops the first rows.
    pub(super) fn pass(&mut self, rows: usize) {
        self.start += rows * self.width;
        self.rows -= rows;
    }

    fn rows_passed(&self) -> usize {
        self.nulls.len() - self.rows
    }

    /// An empty page that has room for as many bytes.
    pub(super) fn clear(&mut self, bytes: usize) {
        (self.rows, self.start) = (0, 0);
        self.nulls.clear();
        make_room(&mut self.bytes, bytes);
    }
}

/// Empties a buffer, which has then room for as many bytes.
pub(super) fn make_room(buffer: &mut Vec<u8>, bytes: usize) {
    buffer.clear();
    if buffer.capacity() < bytes {
        // What is there is freed first: both would not be within the budget.
        *buffer = Vec::new();
        buffer.reserve_exact(bytes);
    }
}

/// The parts of a data page.
pub(super) struct Parts {
    /// The definition levels, where there are any.
    levels: Option<Range<usize>>,
    values: Range<usize>,
    rows: usize,
    pub(super) defined: usize,
}

impl Parts {
    /// Finds them in the decompressed bytes of a page, which are followed by some zeros.
    pub(super) fn find(data: Data, optional: bool, page: &[u8], end: usize) -> Option<Self> {
        let Data { rows, form, .. } = data;
        let levels = match (form, optional) {
            (Form::V1, true) => {
                let length = u32::from_le_bytes(*page[..end].first_chunk::<4>()?) as usize;
                Some(4..length.checked_add(4).filter(|levels| *levels <= end)?)
            }
            (Form::V2 { levels, .. }, true) => Some(0..levels),
            (Form::V1, false) | (Form::V2 { levels: 0, nulls: 0, .. }, false) => None,
            (Form::V2 { .. }, false) => return None,
        };
        let start = levels.as_ref().map_or(0, |levels| levels.end);
        let defined = match &levels {
            Some(levels) => count_defined(page, levels.clone(), rows)?,
            None => rows,
        };
        let said = match form {
            Form::V2 { nulls, .. } => rows.checked_sub(nulls)?,
            Form::V1 => defined,
        };
        (defined == said).then_some(Self { levels, values: start..end, rows, defined })
    }

    /// Where the values of a plain page without nulls begin, if all are there.
    pub(super) fn whole(&self, width: usize) -> Option<usize> {
        let bytes = self.rows.checked_mul(width)?;
        (self.defined == self.rows && self.values.len() >= bytes).then_some(self.values.start)
    }
}

/// A page that is decoded some rows at a time: what it unfolds to may be much larger than itself.
pub(super) struct Pieces {
    levels: Option<Runs>,
    values: PieceValues,
    left: usize,
}

enum PieceValues {
    /// The next value's place.
    Plain(usize),
    Places(Runs),
}

impl Pieces {
    pub(super) fn new(parts: Parts, values: Values, page: &[u8], width: usize) -> Option<Self> {
        let Parts { levels, values: Range { start, end }, rows, defined } = parts;
        let values = match values {
            Values::Plain => {
                let whole = defined.checked_mul(width).is_some_and(|bytes| bytes <= end - start);
                PieceValues::Plain(whole.then_some(start)?)
            }
            // Without a value there need be no width.
            Values::Places if defined == 0 => PieceValues::Places(Runs::new(0, 0, end..end)),
            Values::Places => {
                let places = u32::from(*page[start..end].first()?);
                PieceValues::Places(Runs::new((places <= Runs::WIDEST).then_some(places)?, defined, start + 1..end))
            }
        };
        let levels = levels.filter(|_| defined < rows).map(|levels| Runs::new(1, rows, levels));
        Some(Self { levels, values, left: rows })
    }

    /// Rows that are not decoded yet.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Decodes the next rows, at most `most`.
    pub(super) fn next(
        &mut self,
        encoded: &[u8],
        dictionary: &[u8],
        most: usize,
        scratch: &mut Scratch,
        page: &mut PlainPage,
    ) -> Result<(), Declined> {
        let rows = self.left.min(most);
        let width = page.width;
        page.clear(rows * width);
        let defined = match &mut self.levels {
            None => rows,
            Some(levels) => {
                page.nulls.reserve_exact(rows);
                page.nulls.resize(rows, false);
                read_nulls(levels, encoded, &mut page.nulls).ok_or(Declined)?
            }
        };
        match &mut self.values {
            PieceValues::Plain(at) => {
                let start = *at;
                *at += defined * width;
                // Zeros follow the last value.
                let values = encoded.get(start..*at + SLACK).ok_or(Declined)?;
                unfold(values, width, rows, defined, page, |place| place);
            }
            PieceValues::Places(_) if defined == 0 => page.bytes.resize(rows * width, 0),
            PieceValues::Places(runs) => {
                let places = scratch.places(defined + 1);
                places[defined] = 0;
                runs.read(encoded, &mut places[..defined]).ok_or(Declined)?;
                let values = u32::try_from(dictionary.len() / width).map_err(|_| Declined)?;
                if places.iter().fold(false, |beyond, &place| beyond | (place >= values)) {
                    return Err(Declined);
                }
                let places = &*places;
                unfold(dictionary, width, rows, defined, page, |place| places[place] as usize);
            }
        }
        if defined == rows {
            page.nulls.clear();
        }
        page.rows = rows;
        self.left -= rows;
        Ok(())
    }
}

/// Writes a value for each row that has one, zero for the others. The value of the row that is the `n`th to have one is at
/// `place(n)`; there is one more place than such rows.
fn unfold(
    values: &[u8],
    width: usize,
    rows: usize,
    defined: usize,
    page: &mut PlainPage,
    place: impl Fn(usize) -> usize,
) {
    page.bytes.resize(rows * width, 0);
    let (to, nulls) = (&mut page.bytes, if defined == rows { &[] } else { page.nulls.as_slice() });
    match width {
        4 => unfold_of(values.as_chunks().0, nulls, to, place, |value, is_there| {
            (u32::from_le_bytes(value) & u32::from(is_there).wrapping_neg()).to_le_bytes()
        }),
        _ => unfold_of(values.as_chunks().0, nulls, to, place, |value, is_there| {
            (u64::from_le_bytes(value) & u64::from(is_there).wrapping_neg()).to_le_bytes()
        }),
    }
}

/// Values of one width; which rows are null is hard to foresee, so that no branch depends on it.
fn unfold_of<const WIDTH: usize>(
    values: &[[u8; WIDTH]],
    nulls: &[bool],
    to: &mut [u8],
    place: impl Fn(usize) -> usize,
    or_zero: impl Fn([u8; WIDTH], bool) -> [u8; WIDTH],
) {
    let to = to.as_chunks_mut::<WIDTH>().0;
    if nulls.is_empty() {
        to.iter_mut().enumerate().for_each(|(n, to)| *to = values[place(n)]);
        return;
    }
    let mut n = 0;
    for (to, &null) in to.iter_mut().zip(nulls) {
        *to = or_zero(values[place(n)], !null);
        n += usize::from(!null);
    }
}

/// The bytes of a page with the zeros that unpacking may look at.
pub(super) fn pad(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&[0; SLACK]);
}
