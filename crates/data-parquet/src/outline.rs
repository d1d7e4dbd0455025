//! Where the parts of a footer are, found without decoding it: a footer grows with the number of row groups, and no
//! more than one of them is ever needed.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use crate::shape::FILE;
use crate::thrift::{Compact, kind};

/// Groups inside groups that a schema may have: decoders recurse, and a stack ends without an error.
const NESTING: usize = 100;

/// A footer in parts, by positions in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) print: Fingerprint,
    /// The list of row groups.
    pub(crate) list: Range<u64>,
    /// Each of them.
    pub(crate) groups: Vec<Range<u64>>,
}

/// Bytes that the parts of a footer take, by its lengths alone: every length that a decoder allocates by is one that the
/// footer has bytes for.
pub(crate) fn decoded_bytes(footer: &[u8]) -> Result<u64, String> {
    let mut checked = Compact::new(footer);
    checked.check(FILE).ok_or_else(malformed)?;
    let mut groups = 0u64;
    let counted = Compact::new(footer).fields(|footer, id, wire| {
        if id == 4 {
            groups = groups.saturating_add(footer.clone().list()?.0);
        }
        footer.skip(wire)
    });
    counted.ok_or_else(malformed)?;
    // A vector that grows holds three times its length for a moment.
    Ok(checked.decoded_bytes().saturating_add(groups.saturating_mul(3 * size_of::<Range<u64>>() as u64)))
}

fn malformed() -> String {
    "its footer is malformed".into()
}

impl Outline {
    /// The parts of a footer of which [`decoded_bytes`] found nothing wrong.
    pub(crate) fn of(footer: &[u8]) -> Result<Self, String> {
        let (mut deepest, mut list, mut groups) = (0, None, Vec::new());
        let walked = Compact::new(footer).fields(|footer, id, wire| {
            match id {
                2 => deepest = deepest.max(schema_depth(footer)?),
                4 if list.is_none() => {
                    let start = footer.position();
                    groups = elements(footer)?;
                    list = Some(start as u64..footer.position() as u64);
                }
                4 => return None,
                _ => footer.skip(wire)?,
            }
            Some(())
        });
        if deepest > NESTING {
            return Err(format!("its schema is nested {deepest} deep, {NESTING} are read"));
        }
        let (Some(()), Some(list)) = (walked, list) else { return Err(malformed()) };
        let mut print = Printer::default();
        print.add(footer);
        Ok(Self { print: print.finish(), list, groups })
    }

    /// The list of no row groups, to be put in place of the one that there is.
    pub(crate) const NO_GROUPS: [u8; 1] = [kind::STRUCT];

    /// A footer of one row group alone, for decoders that are given the schema.
    pub(crate) fn of_one(group: &[u8]) -> Vec<u8> {
        // Version 1; 2³⁴ rows, as readers take no more at a time than the file has; a list of one struct.
        let mut footer = vec![0x15, 0x02, 0x26, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x19, 0x10 | kind::STRUCT];
        footer.extend_from_slice(group);
        footer.push(0);
        footer
    }
}

/// The positions of a list of structs.
fn elements(list: &mut Compact) -> Option<Vec<Range<u64>>> {
    let (length, wire) = list.list()?;
    let mut elements = Vec::new();
    for _ in 0..length {
        let start = list.position() as u64;
        list.skip(wire)?;
        elements.push(start..list.position() as u64);
    }
    Some(elements)
}

/// How deep a schema is: a list of elements that say how many of those behind are inside them. `None` where it is no
/// tree: where an element is inside no other, or fewer elements follow than are said to be inside.
fn schema_depth(footer: &mut Compact) -> Option<usize> {
    let (elements, _) = footer.list()?;
    let (mut open, mut deepest) = (Vec::new(), 0);
    for index in 0..elements {
        let mut children = 0;
        footer.fields(|element, id, wire| match id {
            5 => {
                // The decoder makes room for as many.
                children = u64::try_from(element.integer()?).ok().filter(|&children| children < elements - index)?;
                Some(())
            }
            _ => element.skip(wire),
        })?;
        while open.last() == Some(&0) {
            open.pop();
        }
        match open.last_mut() {
            Some(left) => *left -= 1,
            None if index > 0 => return None,
            None => {}
        }
        if children > 0 {
            open.push(children);
            deepest = deepest.max(open.len());
        }
    }
    open.iter().all(|&left| left == 0).then_some(deepest)
}

/// Tells footers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) bytes: u64,
    hash: u64,
}

/// Makes a [`Fingerprint`] of bytes that come in pieces.
#[derive(Default)]
pub(crate) struct Printer {
    bytes: u64,
    hasher: DefaultHasher,
}

impl Printer {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hasher.write(bytes);
    }

    pub(crate) fn finish(self) -> Fingerprint {
        Fingerprint { bytes: self.bytes, hash: self.hasher.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer of a schema whose elements have these numbers of children, and two row groups.
    fn footer(children: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xfc, children.len() as u8];
        for &n in children {
            bytes.extend([0x55, n * 2, 0]);
        }
        bytes.extend([0x29, 0x2c, 0x36, 14, 0, 0x36, 16, 0, 0]);
        bytes
    }

    #[test]
    fn depth_of_schemas() {
        for (children, depth) in [(&[2, 0, 0][..], 1), (&[2, 1, 0, 0], 2), (&[1, 1, 1, 0], 3), (&[2, 1, 0, 1, 0], 2)] {
            let bytes = footer(children);
            let mut reader = Compact::new(&bytes[1..]);
            assert_eq!(schema_depth(&mut reader), Some(depth), "{children:?}");
        }
        let chain = |depth: usize| [vec![1; depth], vec![0]].concat();
        assert!(Outline::of(&footer(&chain(90))).is_ok());
        assert!(Outline::of(&footer(&chain(120))).unwrap_err().contains("nested 120 deep"));
        assert!(Outline::of(&[0x29, 0xfc]).is_err());
    }

    /// Decoders make room for as many children as an element says that it has.
    #[test]
    fn schemas_that_are_no_trees() {
        // 2³¹ − 1 children of the root, of an element inside, and fewer than none.
        let many = [0x55, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0];
        let none = [0x55, 0, 0];
        let one = [0x55, 2, 0];
        let less = [0x55, 1, 0];
        let list = |elements: &[&[u8]]| {
            let head = [0x29, (elements.len() as u8) << 4 | 0xc];
            [&head[..], &elements.concat(), &[0x29, 0x0c, 0]].concat()
        };
        for good in [&[&none[..]][..], &[&one, &none], &[&one, &one, &none]] {
            assert!(Outline::of(&list(good)).is_ok(), "{good:?}");
        }
        for bad in [
            &[&many[..]][..],
            &[&many, &none],
            &[&one, &many],
            &[&one, &many, &none],
            &[&one],
            &[&one, &one],
            &[&one, &none, &none],
            &[&none, &none],
            &[&less],
            &[&one, &less],
        ] {
            assert_eq!(Outline::of(&list(bad)).unwrap_err(), "its footer is malformed", "{bad:?}");
        }
    }

    /// Elements of a byte each stand for far more where they are decoded.
    #[test]
    fn decoded_sizes() {
        let list =
            |field: u8, elements: u8| [&[field << 4 | 9, 0xfc, elements][..], &vec![0; elements.into()], &[0]].concat();
        let schema = decoded_bytes(&list(2, 100)).unwrap();
        assert!((100 * 400..100 * 1000).contains(&schema), "{schema}");
        // Row groups are decoded one at a time, but all of their places are kept.
        let groups = decoded_bytes(&list(4, 100)).unwrap();
        assert!((100 * 48..100 * 48 + 1000).contains(&groups), "{groups}");
        assert_eq!(decoded_bytes(&[0x29, 0xfc, 100]), Err(malformed()));
    }

    #[test]
    fn parts_of_footers() {
        let bytes = footer(&[1, 0]);
        let outline = Outline::of(&bytes).unwrap();
        let part = |range: &Range<u64>| &bytes[range.start as usize..range.end as usize];
        assert_eq!(part(&outline.list), [0x2c, 0x36, 14, 0, 0x36, 16, 0]);
        assert_eq!(outline.groups.iter().map(part).collect::<Vec<_>>(), [[0x36, 14, 0], [0x36, 16, 0]]);
        let one = Outline::of_one(&[0x36, 14, 0]);
        assert_eq!(one[Outline::of(&one).unwrap().list.start as usize + 1..], [0x36, 14, 0, 0]);
        let (mut whole, mut pieces) = (Printer::default(), Printer::default());
        whole.add(&bytes);
        bytes.chunks(3).for_each(|piece| pieces.add(piece));
        assert_eq!((whole.finish() == outline.print, pieces.finish().bytes), (true, bytes.len() as u64));
    }
}
