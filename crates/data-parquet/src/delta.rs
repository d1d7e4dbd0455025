//! Numbers written as differences, passed over.

use crate::varint::varint;

/// How many numbers are said to be there, and where they end; `None` where that makes no sense.
pub(crate) fn walk(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut at = 0;
    let next = |at: &mut usize| {
        let (value, length) = varint(bytes.get(*at..)?)?;
        *at += length;
        Some(value)
    };
    let block = next(&mut at)?;
    let parts = usize::try_from(next(&mut at)?).ok().filter(|&parts| parts > 0)?;
    let count = next(&mut at)?;
    next(&mut at)?;
    let per_part = block / parts as u64;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        next(&mut at)?;
        let widths = at;
        at = at.checked_add(parts).filter(|&end| end <= bytes.len())?;
        for &width in &bytes[widths..at] {
            if left == 0 {
                break;
            }
            let length = per_part.checked_mul(width.into())?.div_ceil(8);
            // The last one may be cut off where its numbers end.
            at = at.saturating_add(usize::try_from(length).ok()?).min(bytes.len());
            left = left.saturating_sub(per_part.max(1));
        }
    }
    Some((count, at))
}

#[cfg(test)]
mod tests {
    use super::walk;

    #[test]
    fn numbers_are_passed_over() {
        // Blocks of 128 in 4 parts; the first number; then a block: the least difference, widths of the parts.
        let head = |count: u8| vec![0x80, 1, 4, count, 0];
        for (count, blocks, expected) in [
            (0, vec![], Some((0, 5))),
            (1, vec![], Some((1, 5))),
            (3, vec![0, 0, 0, 0, 0], Some((3, 10))),
            (3, vec![0, 2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9], Some((3, 18))),
            (100, vec![0, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6], Some((100, 26))),
            (3, vec![0, 0, 0], None),
            (3, vec![], None),
        ] {
            let bytes = [head(count), blocks].concat();
            let found = walk(&bytes);
            assert_eq!(found.map(|(count, _)| count), expected.map(|(count, _)| count), "{bytes:?}");
            assert!(found.is_none_or(|(_, end)| end <= bytes.len()), "{bytes:?}");
        }
        assert_eq!(walk(&[0x80, 1, 0, 5, 0]), None);
        // A block without an end says that there are 2³² numbers.
        assert_eq!(walk(&[0x80, 0x80, 0x80, 0x80, 0x40, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0]).unwrap().0, 1 << 32);
    }
}
