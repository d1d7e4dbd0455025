/// Finds where records end, as the decoder does: at line ends outside of quoted fields. A quote inside a field that does
/// not begin with one is a letter like others.
#[derive(Clone, Debug)]
pub(super) struct Records {
    delimiter: u8,
    place: Place,
}

/// What was before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    RecordStart,
    FieldStart,
    Plain,
    Quoted,
    /// A quote inside quotes: the last of them, or the first of two that stand for one.
    Quote,
}

/// What a byte ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Nothing,
    Record,
    EmptyLine,
}

/// Whole records at the start of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// Bytes up to the end of the last one, and of the empty lines behind it.
    pub bytes: usize,
    pub records: usize,
}

impl Records {
    /// At the start of a record.
    pub fn new(delimiter: u8) -> Self {
        Self { delimiter, place: Place::RecordStart }
    }

    /// Begins a record.
    pub fn restart(&mut self) {
        self.place = Place::RecordStart;
    }

    /// Whether the bytes so far end inside quotes.
    pub fn is_quoted(&self) -> bool {
        self.place == Place::Quoted
    }

    /// The records that end in `bytes`, which follow those of earlier calls; no more than `most`, and nothing behind
    /// those.
    pub fn find(&mut self, bytes: &[u8], most: usize) -> Whole {
        let (mut whole, mut at) = (Whole::default(), 0);
        while let Some(passed) = self.pass(&bytes[at..]) {
            at += passed;
            match self.step(bytes[at]) {
                Ends::Nothing => {}
                Ends::EmptyLine => whole.bytes = at + 1,
                Ends::Record => {
                    whole = Whole { bytes: at + 1, records: whole.records + 1 };
                    if whole.records == most {
                        break;
                    }
                }
            }
            at += 1;
        }
        whole
    }

    /// Passes over bytes that are part of a field, and gives how many there are before one that may end something.
    #[inline]
    fn pass(&mut self, bytes: &[u8]) -> Option<usize> {
        let delimiter = self.delimiter;
        if self.place == Place::Quoted {
            return bytes.iter().position(|&byte| byte == b'"');
        }
        let means = |byte: u8| byte == delimiter || byte == b'\n' || byte == b'"' || byte == b'\r';
        let found = bytes.iter().position(|&byte| means(byte));
        if found.unwrap_or(bytes.len()) > 0 {
            self.place = Place::Plain;
        }
        found
    }

    fn step(&mut self, byte: u8) -> Ends {
        let (place, ends) = match (self.place, byte) {
            (Place::RecordStart | Place::FieldStart | Place::Quote, b'"') => (Place::Quoted, Ends::Nothing),
            (Place::Quoted, b'"') => (Place::Quote, Ends::Nothing),
            (Place::Quoted, _) => (Place::Quoted, Ends::Nothing),
            (Place::RecordStart, b'\n' | b'\r') => (Place::RecordStart, Ends::EmptyLine),
            (_, b'\n' | b'\r') => (Place::RecordStart, Ends::Record),
            (_, byte) if byte == self.delimiter => (Place::FieldStart, Ends::Nothing),
            _ => (Place::Plain, Ends::Nothing),
        };
        self.place = place;
        ends
    }
}

/// Line ends.
pub(super) fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use csv_core::{ReadRecordResult, Reader};

    use super::*;

    #[test]
    fn records_end_outside_of_quotes() {
        let check = |text: &str, most, bytes, records| {
            assert_eq!(Records::new(b',').find(text.as_bytes(), most), Whole { bytes, records }, "{text:?}");
        };
        check("", 9, 0, 0);
        check("a,b", 9, 0, 0);
        check("a,b\n1,2\n3", 9, 8, 2);
        check("a,b\n1,2\n3", 1, 4, 1);
        check("a,\"b\n1\",2\n3", 9, 10, 1);
        check("a,\"\"\"b\n1\",2\n3\n", 9, 14, 2);
        check("a,\"b\n1,2\n3", 9, 0, 0);
        check("a\"b,c\n3,\"\n", 9, 6, 1);
        check("\r\n\na\r\nb\r\n", 9, 9, 2);
        check("a\rb\r", 9, 4, 2);
    }

    /// Texts of what means something, and letters: records end where the decoder's do.
    #[test]
    fn records_are_those_of_the_decoder() {
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    b"a,\"\n\r\""[(state >> 33) as usize % 6]
                })
                .collect();
            let (mut decoder, mut at, mut ends) = (Reader::new(), 0, Vec::new());
            loop {
                let (result, read, _, _) = decoder.read_record(&text[at..], &mut [0; 16], &mut [0; 16]);
                at += read;
                match result {
                    ReadRecordResult::Record if at < text.len() => ends.push(at),
                    ReadRecordResult::Record => break ends.push(at),
                    _ => break,
                }
            }
            let (mut records, mut at, mut found) = (Records::new(b','), 0, Vec::new());
            loop {
                let whole = records.find(&text[at..], 1);
                at += whole.bytes;
                match whole.records {
                    0 => break,
                    _ => found.push(at),
                }
            }
            assert_eq!(found, ends, "{:?}", String::from_utf8_lossy(&text));
        }
    }
}
