//! Definition levels of one bit: which rows of a page have a value.

use std::ops::Range;

use super::runs::{Runs, Segment};

/// How many of `rows` rows have a value; `None` where the levels end early.
pub(super) fn count_defined(page: &[u8], levels: Range<usize>, rows: usize) -> Option<usize> {
    let (mut runs, mut defined, mut left) = (Runs::new(1, rows, levels), 0, rows);
    while left > 0 {
        let (ones, count) = match runs.next(page, left)? {
            Segment::Repeated { value: 1, count } => (count, count),
            Segment::Repeated { value: 0, count } => (0, count),
            Segment::Repeated { .. } => return None,
            // A run begins with its first bit here: no piece of it was taken before.
            Segment::Packed { at, count, .. } => (ones(&page[at..], count), count),
        };
        defined += ones;
        left -= count;
    }
    Some(defined)
}

/// How many of the first bits are set.
fn ones(packed: &[u8], bits: usize) -> usize {
    let (whole, tail) = packed[..bits.div_ceil(8)].split_at(bits / 8);
    let (eights, rest) = whole.as_chunks::<8>();
    let eights: u32 = eights.iter().map(|bytes| u64::from_le_bytes(*bytes).count_ones()).sum();
    let rest: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
    let tail: u32 = tail.iter().map(|byte| (byte & ((1 << (bits % 8)) - 1)).count_ones()).sum();
    (eights + rest + tail) as usize
}

/// Writes of the next rows whether each has no value, and gives how many have one.
pub(super) fn read_nulls(runs: &mut Runs, page: &[u8], nulls: &mut [bool]) -> Option<usize> {
    let (mut filled, mut defined) = (0, 0);
    while filled < nulls.len() {
        let most = nulls.len() - filled;
        filled += match runs.next(page, most)? {
            Segment::Repeated { value, count } => {
                nulls[filled..filled + count].fill(value == 0);
                defined += if value == 0 { 0 } else { count };
                count
            }
            Segment::Packed { at, first, count } => {
                let to = &mut nulls[filled..filled + count];
                unpack(&page[at..], first, to);
                defined += to.iter().map(|&null| usize::from(!null)).sum::<usize>();
                count
            }
        };
    }
    Some(defined)
}

/// Bits from number `first` on: a row of a cleared bit is null.
fn unpack(packed: &[u8], first: usize, nulls: &mut [bool]) {
    let bit = |place: usize| packed[place / 8] >> (place % 8) & 1 == 0;
    let head = nulls.len().min(first.wrapping_neg() % 8);
    let (head, rest) = nulls.split_at_mut(head);
    head.iter_mut().zip(first..).for_each(|(null, place)| *null = bit(place));
    let first = first + head.len();
    let (eights, tail) = rest.as_chunks_mut::<8>();
    for (nulls, byte) in eights.iter_mut().zip(&packed[first / 8..]) {
        *nulls = std::array::from_fn(|place| byte >> place & 1 == 0);
    }
    let tail_first = first + 8 * eights.len();
    tail.iter_mut().zip(tail_first..).for_each(|(null, place)| *null = bit(place));
}

#[cfg(test)]
mod tests {
    use super::super::runs::SLACK;
    use super::*;

    #[test]
    fn runs_and_packed_levels() {
        for (bytes, rows, defined) in [
            (&[20, 1][..], 10, Some(10)),
            (&[20, 1], 9, Some(9)),
            (&[20, 1], 11, None),
            (&[20, 0], 10, Some(0)),
            (&[20, 2], 10, None),
            (&[20], 10, None),
            (&[0x80, 0x80, 0x08, 1], 65_536, Some(65_536)),
            (&[0x80, 0x80, 0x08, 1], 65_537, None),
            (&[10, 1, 10, 1], 10, Some(10)),
            (&[10, 1, 10, 0], 10, Some(5)),
            (&[10, 1, 10, 0], 5, Some(5)),
            (&[5, 0xff, 0x03], 10, Some(10)),
            (&[5, 0xff, 0x03], 11, Some(10)),
            (&[5, 0xff, 0x02], 10, Some(9)),
            (&[5, 0xfe, 0x03], 10, Some(9)),
            (&[5, 0xff], 10, None),
            (&[3, 0xff, 4, 1], 10, Some(10)),
            (&[3, 0xff, 2, 1], 10, None),
            (&[0, 1], 1, None),
            (&[1], 1, None),
            (&[0xff, 0xff, 0xff, 0xff, 0xff], 1, None),
            (&[], 1, None),
            (&[], 0, Some(0)),
        ] {
            let page = [bytes, &[0; SLACK]].concat();
            assert_eq!(count_defined(&page, 0..bytes.len(), rows), defined, "{bytes:?}, {rows} rows");
            for piece in [1, 3, 8, rows.max(1)] {
                let (mut runs, mut nulls, mut count) = (Runs::new(1, rows, 0..bytes.len()), vec![false; rows], Some(0));
                for nulls in nulls.chunks_mut(piece) {
                    count = count.and_then(|sum| Some(sum + read_nulls(&mut runs, &page, nulls)?));
                }
                let expected = defined.or(count.filter(|_| bytes == [20, 2]));
                assert_eq!(count, expected, "{bytes:?}, {rows} rows, {piece} at a time");
                assert!(count.is_none_or(|count| nulls.iter().filter(|null| !**null).count() == count));
            }
        }
    }
}
