//! As much of Thrift's compact protocol as is needed to look at a footer or a page header before a decoder trusts it.

use crate::shape::{Fields, Shape};
use crate::varint::varint;

/// How deep structures may nest inside each other before they count as malformed.
const DEPTH: usize = 32;

/// A field's wire types, as far as they are told apart here.
pub(crate) mod kind {
    pub(crate) const TRUE: u8 = 1;
    pub(crate) const FALSE: u8 = 2;
    pub(crate) const BYTE: u8 = 3;
    pub(crate) const I16: u8 = 4;
    pub(crate) const I32: u8 = 5;
    pub(crate) const I64: u8 = 6;
    pub(crate) const DOUBLE: u8 = 7;
    pub(crate) const BINARY: u8 = 8;
    pub(crate) const LIST: u8 = 9;
    pub(crate) const SET: u8 = 10;
    pub(crate) const MAP: u8 = 11;
    pub(crate) const STRUCT: u8 = 12;
}

/// A position in compactly written bytes. Every method gives `None` where the bytes end or make no sense.
#[derive(Clone)]
pub(crate) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
    decoded: u64,
}

impl<'a> Compact<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, decoded: 0 }
    }

    /// More than what a decoder allocates for the values that were [checked](Self::check) so far.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        self.decoded
    }

    /// Bytes passed so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Calls `read` with the number and wire type of each field of a struct; `read` passes over the field's value.
    pub(crate) fn fields(&mut self, mut read: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head & 0x0f == 0 {
                return Some(());
            }
            id = if head >> 4 == 0 { self.integer()? } else { id + i64::from(head >> 4) };
            // The decoder takes any number modulo 2¹⁶.
            if !(1..=i64::from(i16::MAX)).contains(&id) {
                return None;
            }
            read(self, id, head & 0x0f)?;
        }
    }

    /// How many elements a list has, and their wire type.
    pub(crate) fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Some((length, head & 0x0f))
    }

    /// An integer of 16, 32 or 64 bits.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let zigzag = self.varint()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// Passes over the fields of a struct, all of which must be what they should.
    pub(crate) fn check(&mut self, shape: Fields) -> Option<()> {
        self.fields(|inner, id, wire| match shape.iter().find(|(known, _)| *known == id) {
            Some((_, shape)) => inner.check_value(shape, wire),
            None => inner.skip(wire),
        })
    }

    fn check_value(&mut self, shape: &Shape, wire: u8) -> Option<()> {
        match (shape, wire) {
            (Shape::Struct(fields), kind::STRUCT) => self.check(fields),
            (Shape::List(element), kind::LIST) => {
                let (length, wire) = self.list()?;
                let each = element.decoded_bytes();
                (0..length).try_for_each(|_| {
                    self.decoded = self.decoded.saturating_add(each);
                    self.check_value(element, wire)
                })
            }
            (Shape::OneByOne(element), kind::LIST) => {
                let (length, wire) = self.list()?;
                let before = self.decoded;
                let mut largest = 0;
                for _ in 0..length {
                    self.decoded = element.decoded_bytes();
                    self.check_value(element, wire)?;
                    largest = largest.max(self.decoded);
                }
                self.decoded = before.saturating_add(largest);
                Some(())
            }
            (Shape::Binary, kind::BINARY) => {
                let start = self.at;
                self.skip(wire)?;
                self.decoded = self.decoded.saturating_add((self.at - start) as u64);
                Some(())
            }
            (Shape::Truth, kind::TRUE | kind::FALSE)
            | (Shape::Byte, kind::BYTE)
            | (Shape::Integer, kind::I16 | kind::I32 | kind::I64)
            | (Shape::Double, kind::DOUBLE) => self.skip(wire),
            _ => None,
        }
    }

    /// Passes over a field's value.
    pub(crate) fn skip(&mut self, wire: u8) -> Option<()> {
        self.skip_nested(wire, DEPTH)
    }

    fn skip_nested(&mut self, wire: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match wire {
            kind::TRUE | kind::FALSE => Some(()),
            kind::BYTE => self.advance(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(|_| ()),
            kind::DOUBLE => self.advance(8),
            kind::BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            kind::LIST | kind::SET => {
                let (length, element) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(element, depth))
            }
            kind::MAP => {
                let length = self.varint()?;
                if length == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..length).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)
                })
            }
            kind::STRUCT => self.fields(|inner, _, wire| inner.skip_nested(wire, depth)),
            _ => None,
        }
    }

    /// A truth value is in its field's header, but takes a byte of its own in a list. The decoder passes over none, and
    /// would go on in the midst of it; neither footers nor headers of pages have such lists.
    fn skip_element(&mut self, wire: u8, depth: usize) -> Option<()> {
        match wire {
            kind::TRUE | kind::FALSE => None,
            _ => self.skip_nested(wire, depth),
        }
    }

    fn advance(&mut self, bytes: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let (value, length) = varint(&self.bytes[self.at..])?;
        self.at += length;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_and_passes_over_others() {
        // 1: i32 = 3; 2: binary "ab"; 3: list of two structs, each with 1: true; long form 5: i64 = -2; stop.
        let bytes = [0x15, 6, 0x18, 2, b'a', b'b', 0x19, 0x2c, 0x11, 0, 0x11, 0, 0x06, 10, 3, 0, 99];
        let mut found = Vec::new();
        let mut reader = Compact::new(&bytes);
        reader
            .fields(|inner, id, wire| match wire {
                kind::I32 | kind::I64 => {
                    found.push((id, inner.integer()?));
                    Some(())
                }
                _ => inner.skip(wire),
            })
            .unwrap();
        assert_eq!(found, [(1, 3), (5, -2)]);
        assert_eq!(reader.position(), bytes.len() - 1);
    }

    #[test]
    fn values_of_another_type_than_they_should_be() {
        let pairs: Fields = &[(1, Shape::Binary), (3, Shape::List(&Shape::Struct(&[(2, Shape::Truth)])))];
        let outcome = |bytes: &[u8]| Compact::new(bytes).check(pairs).is_some();
        for good in [
            &[0x18, 1, b'a', 0x29, 0x1c, 0x21, 0, 0][..],
            &[0x29, 0x1c, 0x22, 0, 0],
            // An empty list of nothing in particular; a field that is not known, in the struct and in the list's.
            &[0x39, 0, 0],
            &[0x25, 4, 0],
            &[0x39, 0x1c, 0x15, 4, 0x12, 0, 0],
        ] {
            assert!(outcome(good), "{good:?}");
        }
        for bad in [
            &[0x15, 2, 0][..],
            &[0x38, 1, b'a', 0],
            &[0x39, 0x15, 2, 0],
            &[0x39, 0x1c, 0x25, 2, 0, 0],
            &[0x18, 200, 1, 0],
            // 2¹⁶ + 1, zero, and one less than that.
            &[0x08, 0x82, 0x80, 0x08, 1, b'a', 0],
            &[0x05, 0, 2, 0],
            &[0x05, 1, 2, 0],
        ] {
            assert!(!outcome(bad), "{bad:?}");
        }
    }

    #[test]
    fn malformed_bytes_give_none() {
        assert_eq!(Compact::new(&[0xff; 20]).integer(), None);
        assert_eq!(Compact::new(&[0x18, 200, 1]).fields(|inner, _, wire| inner.skip(wire)), None);
        assert_eq!(Compact::new(&[0x1c; 100]).fields(|inner, _, wire| inner.skip(wire)), None);
        assert_eq!(Compact::new(&[0x19, 0xf1, 0xff, 0xff, 0xff, 0x7f]).fields(|i, _, wire| i.skip(wire)), None);
        // A list of two truth values, as the decoder does not know to pass over.
        assert_eq!(Compact::new(&[0x19, 0x21, 1, 1, 0]).fields(|i, _, wire| i.skip(wire)), None);
        assert_eq!(Compact::new(&[0x19, 0x23, 1, 1, 0]).fields(|i, _, wire| i.skip(wire)), Some(()));
    }
}
