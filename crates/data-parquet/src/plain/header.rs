use crate::thrift::{Compact, kind};

/// The header of a data page whose values are written plainly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the header itself.
    pub(super) bytes: usize,
    pub(super) compressed: usize,
    pub(super) uncompressed: usize,
    pub(super) rows: usize,
    pub(super) form: Form,
}

/// The two forms of a data page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Levels are compressed with the values, and say themselves how long they are.
    V1,
    /// Levels come first and are never compressed.
    V2 { levels: usize, is_compressed: bool },
}

const DATA: i64 = 0;
const DATA_V2: i64 = 3;
const PLAIN: i64 = 0;
const RLE: i64 = 3;

impl Header {
    /// Reads the header at the start of `bytes`; `None` where it is cut off, of any other page, or not quite in order.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut integers, mut form) = ([None; 5], None);
        let mut reader = Compact::new(bytes);
        reader.fields(|header, id, wire| match (id, wire) {
            // Type, both sizes, checksum.
            (1..=4, kind::I32) => set(&mut integers[id as usize], header.integer()?),
            (5, kind::STRUCT) => set(&mut form, (DATA, Particular::parse(header)?)),
            (8, kind::STRUCT) => set(&mut form, (DATA_V2, Particular::parse(header)?)),
            _ => None,
        })?;
        let [_, page_type, uncompressed, compressed, _] = integers;
        let (rows, form) = match (page_type?, form?) {
            (DATA, (DATA, page)) => page.v1()?,
            (DATA_V2, (DATA_V2, page)) => page.v2()?,
            _ => return None,
        };
        let size = |size: i64| i32::try_from(size).ok().and_then(|size| usize::try_from(size).ok());
        let (compressed, uncompressed) = (size(compressed?)?, size(uncompressed?)?);
        Some(Self { bytes: reader.position(), compressed, uncompressed, rows, form })
    }
}

/// A field comes once.
fn set<V>(field: &mut Option<V>, value: V) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// The fields of either form's own header.
struct Particular {
    /// By their numbers.
    integers: [Option<i64>; 7],
    is_compressed: Option<bool>,
    statistics: Option<i64>,
}

impl Particular {
    fn parse(header: &mut Compact) -> Option<Self> {
        let mut found = Self { integers: [None; 7], is_compressed: None, statistics: None };
        header.fields(|header, id, wire| match (id, wire) {
            (1..=6, kind::I32) => set(&mut found.integers[id as usize], header.integer()?),
            (7, kind::TRUE | kind::FALSE) => set(&mut found.is_compressed, wire == kind::TRUE),
            (5 | 8, kind::STRUCT) => {
                header.skip(wire)?;
                set(&mut found.statistics, id)
            }
            _ => None,
        })?;
        Some(found)
    }

    fn v1(&self) -> Option<(usize, Form)> {
        let Self { integers, is_compressed: None, statistics: None | Some(5) } = self else { return None };
        let [_, values, Some(PLAIN), Some(RLE), Some(RLE), None, None] = *integers else { return None };
        Some((rows(values)?, Form::V1))
    }

    fn v2(&self) -> Option<(usize, Form)> {
        let Self { integers, is_compressed, statistics: None | Some(8) } = self else { return None };
        let [_, values, Some(0), rows_said, Some(PLAIN), levels, Some(0)] = *integers else { return None };
        let levels = usize::try_from(levels?).ok()?;
        let form = Form::V2 { levels, is_compressed: is_compressed.unwrap_or(true) };
        Some((rows(values.filter(|_| rows_said == values))?, form))
    }
}

fn rows(values: Option<i64>) -> Option<usize> {
    i32::try_from(values?).ok().and_then(|values| usize::try_from(values).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: [u8; 17] = [0x15, 0, 0x15, 80, 0x15, 60, 0x2c, 0x15, 20, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
    const V2: [u8; 22] =
        [0x15, 6, 0x15, 80, 0x15, 60, 0x5c, 0x15, 20, 0x15, 0, 0x15, 20, 0x15, 0, 0x15, 4, 0x15, 0, 0x12, 0, 0];

    #[test]
    fn plain_pages() {
        let v1 = Header { bytes: 17, compressed: 30, uncompressed: 40, rows: 10, form: Form::V1 };
        assert_eq!(Header::parse(&V1), Some(v1));
        let form = Form::V2 { levels: 2, is_compressed: false };
        assert_eq!(Header::parse(&V2), Some(Header { bytes: 22, form, ..v1 }));
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
            (&V1, 10, 16),
            (&V1, 12, 8),
            (&V1, 14, 8),
            (&V2, 10, 2),
            (&V2, 12, 18),
            (&V2, 14, 16),
            (&V2, 18, 2),
        ] {
            let mut bytes = header.to_vec();
            bytes[at] = byte;
            assert_eq!(Header::parse(&bytes), None, "byte {at}");
        }
    }
}
