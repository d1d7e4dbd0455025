/// Finds where records end: at line ends outside of quotes.
#[derive(Clone, Debug)]
pub(super) struct Records {
    quoted: bool,
}

/// Whole records at the start of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// Bytes up to the end of the last one.
    pub bytes: usize,
    pub records: usize,
}

impl Records {
    /// At the start of a record.
    pub fn new() -> Self {
        Self { quoted: false }
    }

    /// Whether the bytes so far end inside quotes.
    pub fn is_quoted(&self) -> bool {
        self.quoted
    }

    /// The records that end in `bytes`, which follow those of earlier calls; no more than `most`.
    pub fn find(&mut self, bytes: &[u8], most: usize) -> Whole {
        let mut whole = Whole::default();
        let mut quoted = self.quoted;
        for (at, &byte) in bytes.iter().enumerate() {
            if byte == b'"' {
                quoted = !quoted;
            } else if byte == b'\n' && !quoted {
                whole = Whole { bytes: at + 1, records: whole.records + 1 };
                if whole.records == most {
                    break;
                }
            }
        }
        // What is behind the last record is looked at again.
        self.quoted = if whole.records > 0 { false } else { quoted };
        whole
    }
}

/// The line on which record `record` of some whole records begins, counted from zero; lines without anything are no
/// records.
pub(super) fn line_of(bytes: &[u8], record: usize) -> usize {
    let (mut line, mut found, mut start, mut quoted) = (0, 0, 0, false);
    let mut first_line = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == b'"' {
            quoted = !quoted;
        }
        if byte != b'\n' {
            continue;
        }
        line += 1;
        if !quoted {
            let empty = bytes[start..at].iter().all(|&byte| byte == b'\r');
            if !empty {
                if found == record {
                    return first_line;
                }
                found += 1;
            }
            (start, first_line) = (at + 1, line);
        }
    }
    first_line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_outside_of_quotes() {
        let check = |text: &str, most, bytes, records| {
            assert_eq!(Records::new().find(text.as_bytes(), most), Whole { bytes, records }, "{text:?}");
        };
        check("", 9, 0, 0);
        check("a,b", 9, 0, 0);
        check("a,b\n1,2\n3", 9, 8, 2);
        check("a,b\n1,2\n3", 1, 4, 1);
        check("a,\"b\n1\",2\n3", 9, 10, 1);
        check("a,\"\"\"b\n1\",2\n3\n", 9, 14, 2);
        check("a,\"b\n1,2\n3", 9, 0, 0);
    }

    #[test]
    fn lines_are_counted_with_those_inside_of_quotes() {
        let text = b"a\n\r\n\"b\nb\"\n\nc\n";
        assert_eq!([0, 1, 2].map(|record| line_of(text, record)), [0, 2, 5]);
    }
}
