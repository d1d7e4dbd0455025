use crate::thrift::{Compact, kind};

/// The header of a page of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the header itself.
    pub(super) bytes: usize,
    pub(super) compressed: usize,
    pub(super) uncompressed: usize,
    pub(super) page: Page,
}

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The values that the pages behind it refer to.
    Dictionary {
        values: usize,
    },
    Data(Data),
}

/// A data page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) rows: usize,
    pub(super) form: Form,
    pub(super) values: Values,
}

/// The two forms of a data page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Levels are compressed with the values, and say themselves how long they are.
    V1,
    /// Levels come first and are never compressed.
    V2 { levels: usize, nulls: usize, is_compressed: bool },
}

/// How the values of a data page are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// One behind the other.
    Plain,
    /// As places in the dictionary.
    Places,
}

const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

// Encodings.
const PLAIN: i64 = 0;
const PLAIN_DICTIONARY: i64 = 2;
const RLE: i64 = 3;
const RLE_DICTIONARY: i64 = 8;

impl Header {
    /// Reads the header at the start of `bytes`; `None` where it is cut off, of any other page, or not quite in order.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut integers, mut own) = ([None; 5], None);
        let mut reader = Compact::new(bytes);
        reader.fields(|header, id, wire| match (id, wire) {
            // Type, both sizes, checksum.
            (1..=4, kind::I32) => set(&mut integers[id as usize], header.integer()?),
            (5, kind::STRUCT) => set(&mut own, (DATA, Own::parse(header)?.v1()?)),
            (7, kind::STRUCT) => set(&mut own, (DICTIONARY, Own::parse(header)?.dictionary()?)),
            (8, kind::STRUCT) => set(&mut own, (DATA_V2, Own::parse(header)?.v2()?)),
            _ => None,
        })?;
        let [_, page_type, uncompressed, compressed, _] = integers;
        let page = own.and_then(|(of, page)| (page_type == Some(of)).then_some(page))?;
        let (compressed, uncompressed) = (size(compressed?)?, size(uncompressed?)?);
        Some(Self { bytes: reader.position(), compressed, uncompressed, page })
    }
}

/// A field comes once.
fn set<V>(field: &mut Option<V>, value: V) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// The fields of the header that a kind of page has of its own, by their numbers.
#[derive(Default)]
struct Own {
    integers: [Option<i64>; 7],
    flag: Option<(i64, bool)>,
    statistics: Option<i64>,
}

impl Own {
    fn parse(header: &mut Compact) -> Option<Self> {
        let mut found = Self::default();
        header.fields(|header, id, wire| match (id, wire) {
            (1..=6, kind::I32) => set(&mut found.integers[id as usize], header.integer()?),
            (3 | 7, kind::TRUE | kind::FALSE) => set(&mut found.flag, (id, wire == kind::TRUE)),
            (5 | 8, kind::STRUCT) => {
                header.skip(wire)?;
                set(&mut found.statistics, id)
            }
            _ => None,
        })?;
        Some(found)
    }

    fn dictionary(&self) -> Option<Page> {
        // Whether it is sorted does not matter.
        let Self { integers, flag: None | Some((3, _)), statistics: None } = self else { return None };
        let [_, values, Some(PLAIN | PLAIN_DICTIONARY), None, None, None, None] = *integers else { return None };
        Some(Page::Dictionary { values: size(values?)? })
    }

    fn v1(&self) -> Option<Page> {
        let Self { integers, flag: None, statistics: None | Some(5) } = self else { return None };
        let [_, rows, encoding, Some(RLE), Some(RLE), None, None] = *integers else { return None };
        Some(Page::Data(Data { rows: size(rows?)?, form: Form::V1, values: Values::of(encoding?)? }))
    }

    fn v2(&self) -> Option<Page> {
        let Self { integers, flag, statistics: None | Some(8) } = self else { return None };
        let [_, values, nulls, rows, encoding, levels, Some(0)] = *integers else { return None };
        let is_compressed = match flag {
            None => true,
            Some((7, is_compressed)) => *is_compressed,
            Some(_) => return None,
        };
        let form = Form::V2 { levels: size(levels?)?, nulls: size(nulls?)?, is_compressed };
        let rows = size(rows.filter(|_| rows == values)?)?;
        Some(Page::Data(Data { rows, form, values: Values::of(encoding?)? }))
    }
}

impl Values {
    fn of(encoding: i64) -> Option<Self> {
        match encoding {
            PLAIN => Some(Self::Plain),
            PLAIN_DICTIONARY | RLE_DICTIONARY => Some(Self::Places),
            _ => None,
        }
    }
}

/// A number that is not negative.
fn size(number: i64) -> Option<usize> {
    i32::try_from(number).ok().and_then(|number| usize::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: [u8; 17] = [0x15, 0, 0x15, 80, 0x15, 60, 0x2c, 0x15, 20, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
    const V2: [u8; 22] =
        [0x15, 6, 0x15, 80, 0x15, 60, 0x5c, 0x15, 20, 0x15, 0, 0x15, 20, 0x15, 0, 0x15, 4, 0x15, 0, 0x12, 0, 0];

    const DICTIONARY: [u8; 13] = [0x15, 4, 0x15, 80, 0x15, 60, 0x4c, 0x15, 20, 0x15, 0, 0, 0];

    #[test]
    fn data_pages() {
        let data = Data { rows: 10, form: Form::V1, values: Values::Plain };
        let v1 = Header { bytes: 17, compressed: 30, uncompressed: 40, page: Page::Data(data) };
        assert_eq!(Header::parse(&V1), Some(v1));
        let form = Form::V2 { levels: 2, nulls: 0, is_compressed: false };
        let page = Page::Data(Data { form, ..data });
        assert_eq!(Header::parse(&V2), Some(Header { bytes: 22, page, ..v1 }));
        // Places in a dictionary, by either name; nulls.
        for (encoding, byte) in [(Values::Plain, 0), (Values::Places, 4), (Values::Places, 16)] {
            let mut bytes = V1;
            bytes[10] = byte;
            let page = Page::Data(Data { values: encoding, ..data });
            assert_eq!(Header::parse(&bytes), Some(Header { page, ..v1 }));
        }
        let mut bytes = V2;
        bytes[10] = 6;
        let form = Form::V2 { levels: 2, nulls: 3, is_compressed: false };
        let page = Page::Data(Data { form, ..data });
        assert_eq!(Header::parse(&bytes), Some(Header { bytes: 22, page, ..v1 }));
    }

    #[test]
    fn dictionary_pages() {
        let expected = Header { bytes: 13, compressed: 30, uncompressed: 40, page: Page::Dictionary { values: 10 } };
        assert_eq!(Header::parse(&DICTIONARY), Some(expected));
        let sorted = [&DICTIONARY[..11], &[0x11, 0, 0]].concat();
        assert_eq!(Header::parse(&sorted), Some(Header { bytes: 14, ..expected }));
    }

    #[test]
    fn other_pages() {
        for length in 0..V1.len() {
            assert_eq!(Header::parse(&V1[..length]), None, "{length} bytes");
        }
        // Page type, sizes, count, encoding, levels' encoding; V2: count of nulls and of rows, repetition levels.
        for (header, at, byte) in [
            (&V1[..], 1, 4),
            (&V1, 1, 6),
            (&V1, 3, 1),
            (&V1, 5, 1),
            (&V1, 8, 1),
            (&V1, 10, 10),
            (&V1, 12, 8),
            (&V1, 14, 8),
            (&V2, 10, 1),
            (&V2, 12, 18),
            (&V2, 14, 10),
            (&DICTIONARY, 1, 0),
            (&DICTIONARY, 8, 1),
            (&DICTIONARY, 10, 16),
            (&V2, 18, 2),
        ] {
            let mut bytes = header.to_vec();
            bytes[at] = byte;
            assert_eq!(Header::parse(&bytes), None, "byte {at}");
        }
    }
}
