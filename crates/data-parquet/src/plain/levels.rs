/// Whether definition levels of one bit, run-length encoded or packed, say of `rows` rows that each has a value. Levels
/// that end early do not.
pub(super) fn all_defined(mut bytes: &[u8], mut rows: usize) -> bool {
    while rows > 0 {
        let Some((head, rest)) = varint(bytes) else { return false };
        let count = head >> 1;
        if head & 1 == 0 {
            let Some((&1, rest)) = rest.split_first() else { return false };
            bytes = rest;
            rows = rows.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
            if count == 0 {
                return false;
            }
        } else {
            let needed = usize::try_from(count).unwrap_or(usize::MAX).min(rows.div_ceil(8));
            if needed == 0 || rest.len() < needed {
                return false;
            }
            let (packed, rest) = rest.split_at(needed);
            let (whole, tail) = packed.split_at(needed.min(rows / 8));
            let mask = (1u16 << (rows % 8)) - 1;
            if whole.iter().any(|&byte| byte != 0xff) || tail.iter().any(|&byte| u16::from(byte) & mask != mask) {
                return false;
            }
            bytes = rest;
            rows = rows.saturating_sub(8 * needed);
        }
    }
    true
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::all_defined;

    #[test]
    fn runs_and_packed_levels() {
        for (bytes, rows, expected) in [
            (&[20, 1][..], 10, true),
            (&[20, 1], 9, true),
            (&[20, 1], 11, false),
            (&[20, 0], 10, false),
            (&[20], 10, false),
            (&[0x80, 0x80, 0x08, 1], 65_536, true),
            (&[0x80, 0x80, 0x08, 1], 65_537, false),
            (&[10, 1, 10, 1], 10, true),
            (&[10, 1, 10, 0], 10, false),
            (&[10, 1, 10, 0], 5, true),
            (&[5, 0xff, 0x03], 10, true),
            (&[5, 0xff, 0x03], 11, false),
            (&[5, 0xff, 0x02], 10, false),
            (&[5, 0xfe, 0x03], 10, false),
            (&[5, 0xff], 10, false),
            (&[3, 0xff, 4, 1], 10, true),
            (&[3, 0xff, 2, 1], 10, false),
            (&[0, 1], 1, false),
            (&[1], 1, false),
            (&[0xff, 0xff, 0xff, 0xff, 0xff], 1, false),
            (&[], 1, false),
            (&[], 0, true),
        ] {
            assert_eq!(all_defined(bytes, rows), expected, "{bytes:?}, {rows} rows");
        }
    }
}
