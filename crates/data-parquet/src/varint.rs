//! Integers of as many bytes as they need, seven bits in each.

/// The number at the start of `bytes`, of up to 64 bits, and how many of them it takes.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((value, place + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::varint;

    #[test]
    fn numbers_and_their_lengths() {
        for (bytes, expected) in [
            (&[0][..], Some((0, 1))),
            (&[0x7f, 9], Some((127, 1))),
            (&[0x80, 1], Some((128, 2))),
            (&[0xff; 9], None),
            (&[0x80, 0x80], None),
            (&[], None),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some((u64::MAX, 10))),
            (&[0x80; 20], None),
        ] {
            assert_eq!(varint(bytes), expected, "{bytes:?}");
        }
    }
}
