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
    /// Reads the header at the start of `bytes`; `None` where it is cut off or of any other page.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut page_type, mut uncompressed, mut compressed) = (None, None, None);
        let (mut v1, mut v2) = (None, None);
        let mut reader = Compact::new(bytes);
        reader.fields(|header, id, wire| {
            match (id, wire) {
                (1, kind::I32) => page_type = Some(header.integer()?),
                (2, kind::I32) => uncompressed = Some(header.integer()?),
                (3, kind::I32) => compressed = Some(header.integer()?),
                (5, kind::STRUCT) => v1 = Some(Particular::parse(header)?),
                (8, kind::STRUCT) => v2 = Some(Particular::parse(header)?),
                _ => header.skip(wire)?,
            }
            Some(())
        })?;
        let (rows, form) = match (page_type?, v1, v2) {
            (DATA, Some(page), None) => page.v1()?,
            (DATA_V2, None, Some(page)) => page.v2()?,
            _ => return None,
        };
        let size = |size: i64| usize::try_from(size).ok();
        let (compressed, uncompressed) = (size(compressed?)?, size(uncompressed?)?);
        Some(Self { bytes: reader.position(), compressed, uncompressed, rows, form })
    }
}

/// The fields of either form's own header, by their numbers.
#[derive(Clone, Copy)]
struct Particular {
    integers: [Option<i64>; 7],
    is_compressed: bool,
}

impl Particular {
    fn parse(header: &mut Compact) -> Option<Self> {
        let mut found = Self { integers: [None; 7], is_compressed: true };
        header.fields(|header, id, wire| {
            match (id, wire) {
                (1..=6, kind::I32) => found.integers[id as usize] = Some(header.integer()?),
                (7, kind::FALSE) => found.is_compressed = false,
                _ => header.skip(wire)?,
            }
            Some(())
        })?;
        Some(found)
    }

    fn v1(&self) -> Option<(usize, Form)> {
        let [_, values, encoding, definition_levels, ..] = self.integers;
        let plain = encoding == Some(PLAIN) && definition_levels == Some(RLE);
        Some((usize::try_from(values?).ok().filter(|_| plain)?, Form::V1))
    }

    fn v2(&self) -> Option<(usize, Form)> {
        let [_, values, nulls, rows, encoding, definition_levels, repetition_levels] = self.integers;
        let plain = encoding == Some(PLAIN) && nulls == Some(0) && rows == values && repetition_levels == Some(0);
        let levels = usize::try_from(definition_levels?).ok()?;
        let form = Form::V2 { levels, is_compressed: self.is_compressed };
        Some((usize::try_from(values?).ok().filter(|_| plain)?, form))
    }
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
