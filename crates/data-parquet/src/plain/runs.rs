//! Small integers as Parquet writes them: runs of one value, and values packed bit by bit.

use std::ops::Range;

use crate::varint::varint;

/// Bytes behind the last one that unpacking may look at; whoever holds the bytes keeps so many zeros there.
pub(super) const SLACK: usize = 8;

/// The position in integers of `width` bits, of which `left` are wanted.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    width: u32,
    left: usize,
    /// Where the next run begins, and where the last must end.
    bytes: Range<usize>,
    run: Run,
}

/// What is left of a run.
#[derive(Clone, Debug)]
enum Run {
    Repeated {
        value: u32,
        left: usize,
    },
    /// Values from number `first` on of those packed from byte `at` on.
    Packed {
        at: usize,
        first: usize,
        left: usize,
    },
}

/// Some consecutive values of one run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Repeated { value: u32, count: usize },
    Packed { at: usize, first: usize, count: usize },
}

impl Runs {
    /// The widest integers.
    pub(super) const WIDEST: u32 = 32;

    /// The first `count` integers of `width` bits in those bytes.
    pub(super) fn new(width: u32, count: usize, bytes: Range<usize>) -> Self {
        Self { width, left: count, bytes, run: Run::Repeated { value: 0, left: 0 } }
    }

    /// The next values, at most `most`, which is not zero; `None` where they end early or are malformed.
    pub(super) fn next(&mut self, bytes: &[u8], most: usize) -> Option<Segment> {
        let left = match &self.run {
            Run::Repeated { left, .. } | Run::Packed { left, .. } => *left,
        };
        if left == 0 {
            self.run = self.begin(bytes)?;
        }
        let count = |left: &mut usize| {
            let count = most.min(*left);
            *left -= count;
            count
        };
        let (segment, count) = match &mut self.run {
            Run::Repeated { value, left } => {
                let count = count(left);
                (Segment::Repeated { value: *value, count }, count)
            }
            Run::Packed { at, first, left } => {
                let count = count(left);
                let segment = Segment::Packed { at: *at, first: *first, count };
                *first += count;
                (segment, count)
            }
        };
        self.left -= count;
        Some(segment)
    }

    fn begin(&mut self, bytes: &[u8]) -> Option<Run> {
        let rest = bytes.get(self.bytes.clone())?;
        let (head, length) = varint(rest)?;
        let (start, count) = (self.bytes.start + length, usize::try_from(head >> 1).ok()?);
        let (run, taken) = if head & 1 == 0 {
            let size = self.width.div_ceil(8) as usize;
            let mut value = [0; 4];
            value[..size].copy_from_slice(rest.get(length..length + size)?);
            (Run::Repeated { value: u32::from_le_bytes(value), left: count.min(self.left) }, size)
        } else {
            let count = count.checked_mul(8)?.min(self.left);
            // The last group may be cut off behind what is wanted of it.
            let size = count.checked_mul(self.width as usize)?.div_ceil(8);
            (Run::Packed { at: start, first: 0, left: count }, size)
        };
        self.bytes.start = start.checked_add(taken).filter(|end| *end <= self.bytes.end)?;
        (count > 0).then_some(run)
    }

    /// Writes the next integers.
    pub(super) fn read(&mut self, bytes: &[u8], to: &mut [u32]) -> Option<()> {
        let mut filled = 0;
        while filled < to.len() {
            let most = to.len() - filled;
            filled += match self.next(bytes, most)? {
                Segment::Repeated { value, count } => {
                    to[filled..filled + count].fill(value);
                    count
                }
                Segment::Packed { at, first, count } => {
                    unpack(self.width, &bytes[at..], first, &mut to[filled..filled + count]);
                    count
                }
            };
        }
        Some(())
    }
}

/// Unpacks integers from number `first` on.
fn unpack(width: u32, packed: &[u8], first: usize, to: &mut [u32]) {
    let width = width as usize;
    let one = |place: usize| {
        let bit = place * width;
        let word = packed[bit / 8..].first_chunk::<8>().expect("zeros follow the last byte");
        (u64::from_le_bytes(*word) >> (bit % 8)) as u32 & (u64::MAX >> (64 - width)) as u32
    };
    if width == 0 {
        return to.fill(0);
    }
    let head = to.len().min(first.wrapping_neg() % 8);
    let (head, rest) = to.split_at_mut(head);
    head.iter_mut().zip(first..).for_each(|(to, place)| *to = one(place));
    let first = first + head.len();
    let (eights, tail) = rest.as_chunks_mut::<8>();
    let tail_first = first + 8 * eights.len();
    unpack_eights(width, &packed[first / 8 * width..], eights);
    tail.iter_mut().zip(tail_first..).for_each(|(to, place)| *to = one(place));
}

/// Unpacks eight integers at a time, which begin with a byte: the shifts are then known for each width.
fn unpack_eights(width: usize, packed: &[u8], to: &mut [[u32; 8]]) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_eights_of::<$width>(packed, to),)*
                other => unreachable!("integers of {other} bits"),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

fn unpack_eights_of<const WIDTH: usize>(packed: &[u8], to: &mut [[u32; 8]]) {
    let mask = (u64::MAX >> (64 - WIDTH)) as u32;
    for (group, to) in to.iter_mut().enumerate() {
        let packed = &packed[group * WIDTH..][..WIDTH - 1 + SLACK];
        for (place, to) in to.iter_mut().enumerate() {
            let bit = place * WIDTH;
            let word = packed[bit / 8..].first_chunk::<8>().expect("it is inside the group and the slack");
            *to = (u64::from_le_bytes(*word) >> (bit % 8)) as u32 & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes with the zeros that must follow.
    fn padded(bytes: &[u8]) -> Vec<u8> {
        [bytes, &[0; SLACK]].concat()
    }

    /// One bit at a time.
    fn pack(width: u32, values: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; values.len().next_multiple_of(8) * width as usize / 8];
        for (place, value) in values.iter().enumerate() {
            for bit in 0..width as usize {
                let at = place * width as usize + bit;
                bytes[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
            }
        }
        bytes
    }

    #[test]
    fn integers_of_every_width_in_any_pieces() {
        for width in 0..=Runs::WIDEST {
            let mask = if width == 0 { 0 } else { u32::MAX >> (32 - width) };
            let values: Vec<u32> = (0..61u32).map(|i| i.wrapping_mul(0x9e37_79b9).rotate_left(i) & mask).collect();
            let repeated = [&[14][..], &mask.to_le_bytes()[..width.div_ceil(8) as usize]].concat();
            let bytes = [repeated, vec![(61usize.div_ceil(8) << 1 | 1) as u8], pack(width, &values)].concat();
            let expected = [vec![mask; 7], values].concat();
            for piece in [1, 3, 8, 13, 68] {
                let mut runs = Runs::new(width, 68, 0..bytes.len());
                let mut got = vec![0; 68];
                for to in got.chunks_mut(piece) {
                    runs.read(&padded(&bytes), to).unwrap();
                }
                assert_eq!(got, expected, "{width} bits, {piece} at a time");
            }
        }
    }

    #[test]
    fn runs_that_are_not_whole() {
        for (width, bytes, count, whole) in [
            (1, &[20, 1][..], 10, true),
            (1, &[20, 1], 11, false),
            (1, &[20], 10, false),
            (1, &[0, 1], 1, false),
            (1, &[1], 1, false),
            (1, &[0xff, 0xff, 0xff, 0xff, 0xff], 1, false),
            (1, &[5, 0xff, 3], 10, true),
            (1, &[5, 0xff], 10, false),
            (1, &[5, 0xff], 8, true),
            (9, &[20, 1, 1], 10, true),
            (9, &[20, 1], 10, false),
            (9, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8, true),
            (9, &[3, 0, 0, 0, 0, 0, 0, 0, 0], 8, false),
            (9, &[3, 0, 0], 1, true),
            (32, &[0xff, 0xff, 0xff, 0xff, 0x0f], 1, false),
        ] {
            let mut runs = Runs::new(width, count, 0..bytes.len());
            let read = runs.read(&padded(bytes), &mut vec![0; count]);
            assert_eq!(read.is_some(), whole, "{bytes:?}, {count} of {width} bits");
        }
    }
}
