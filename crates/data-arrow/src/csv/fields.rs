/// Takes records apart into fields, as [`Records`](super::records::Records) finds them: a quote inside a field that does
/// not begin with one is a letter like others.
#[derive(Debug)]
pub(super) struct Fields {
    delimiter: u8,
    /// How many fields of a record are kept, whatever it has.
    most: usize,
    spans: Vec<Span>,
    count: usize,
    unescaped: Vec<u8>,
}

/// Where a field lies, with its quotes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    quotes: Quotes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    None,
    /// One at each end.
    Around,
    /// Doubled ones inside, or letters behind the last.
    Inside,
}

/// The text of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub text: &'a [u8],
    pub quoted: bool,
}

/// Where a record lies among some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub start: usize,
    /// Behind its line end.
    pub end: usize,
}

impl Fields {
    /// Keeps up to `most` fields of a record, and counts all.
    pub fn new(delimiter: u8, most: usize) -> Self {
        Self { delimiter, most, spans: Vec::new(), count: 0, unescaped: Vec::new() }
    }

    /// Takes the first record apart that begins at `at` or behind it; `None` where there are only empty lines. `bytes`
    /// end with a record.
    pub fn read(&mut self, bytes: &[u8], at: usize) -> Option<Record> {
        self.spans.clear();
        self.count = 0;
        let start = at + bytes[at..].iter().position(|byte| !matches!(byte, b'\n' | b'\r'))?;
        let mut at = start;
        loop {
            let (field, mut quotes) = (at, Quotes::None);
            if bytes.get(at) == Some(&b'"') {
                quotes = Quotes::Around;
                at = behind_quotes(bytes, at + 1, &mut quotes);
            }
            let rest = &bytes[at..];
            let ends = |&byte: &u8| byte == self.delimiter || byte == b'\n' || byte == b'\r';
            let letters = rest.iter().position(ends).unwrap_or(rest.len());
            if letters > 0 && quotes == Quotes::Around {
                quotes = Quotes::Inside;
            }
            at += letters;
            self.count += 1;
            if self.count <= self.most {
                self.spans.push(Span { start: field, end: at, quotes });
            }
            match bytes.get(at) {
                Some(&byte) if byte == self.delimiter => at += 1,
                Some(_) => return Some(Record { start, end: at + 1 }),
                None => return Some(Record { start, end: at }),
            }
        }
    }

    /// How many fields the record has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// A field of the record that is kept, of the bytes that it was read from.
    #[inline]
    pub fn get<'a>(&'a mut self, bytes: &'a [u8], field: usize) -> Field<'a> {
        let Span { start, end, quotes } = self.spans[field];
        match quotes {
            Quotes::None => Field { text: &bytes[start..end], quoted: false },
            Quotes::Around => Field { text: &bytes[start + 1..end - 1], quoted: true },
            Quotes::Inside => {
                unescape(&bytes[start + 1..end], &mut self.unescaped);
                Field { text: &self.unescaped, quoted: true }
            }
        }
    }
}

/// The first byte behind the closing quote.
fn behind_quotes(bytes: &[u8], mut at: usize, quotes: &mut Quotes) -> usize {
    while let Some(letters) = bytes[at..].iter().position(|&byte| byte == b'"') {
        at += letters + 1;
        if bytes.get(at) != Some(&b'"') {
            return at;
        }
        *quotes = Quotes::Inside;
        at += 1;
    }
    *quotes = Quotes::Inside;
    bytes.len()
}

/// What stands behind an opening quote, with single quotes for doubled ones and without the closing one.
fn unescape(quoted: &[u8], text: &mut Vec<u8>) {
    text.clear();
    let mut rest = quoted;
    while let Some(letters) = rest.iter().position(|&byte| byte == b'"') {
        text.extend_from_slice(&rest[..letters]);
        rest = &rest[letters + 1..];
        if rest.first() != Some(&b'"') {
            break;
        }
        text.push(b'"');
        rest = &rest[1..];
    }
    text.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use csv_core::{ReadRecordResult, Reader};

    use super::*;

    #[test]
    fn fields_are_without_their_quotes() {
        let check = |text: &str, expected: &[&str]| {
            let mut fields = Fields::new(b',', 32);
            let record = fields.read(text.as_bytes(), 0).unwrap();
            assert_eq!(record.end, text.len(), "{text:?}");
            let found: Vec<String> = (0..fields.len())
                .map(|i| String::from_utf8(fields.get(text.as_bytes(), i).text.to_vec()).unwrap())
                .collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("a,b\n", &["a", "b"]);
        check("\n\r\n,\r", &["", ""]);
        check("\"a,\n\",\"\"\n", &["a,\n", ""]);
        check("\"a\"\"b\",\"\"\"\"\n", &["a\"b", "\""]);
        check("\"a\"b\"c,d\"e\n", &["ab\"c", "d\"e"]);
        check(" \"a\",x", &[" \"a\"", "x"]);
    }

    /// Texts of what means something, and letters: fields are those of another reader of CSV.
    #[test]
    fn fields_are_those_of_another_reader() {
        let mut state = 11_u64;
        for _ in 0..20_000 {
            let letters = (0..12).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                b"a,\"\n\r\""[(state >> 33) as usize % 6]
            });
            let text: Vec<u8> = letters.chain([b'\n']).collect();
            let mut fields = Fields::new(b',', 32);
            let (mut reader, mut from, mut at) = (Reader::new(), 0, 0);
            loop {
                let (mut bytes, mut ends) = ([0; 32], [0; 32]);
                let (result, read, _, count) = reader.read_record(&text[from..], &mut bytes, &mut ends);
                from += read;
                // One that is cut off inside of quotes is refused before it is taken apart.
                if result != ReadRecordResult::Record {
                    break;
                }
                let record = fields.read(&text, at).unwrap();
                at = record.end;
                let expected: Vec<&[u8]> =
                    (0..count).map(|i| &bytes[if i == 0 { 0 } else { ends[i - 1] }..ends[i]]).collect();
                let found: Vec<Vec<u8>> = (0..fields.len()).map(|i| fields.get(&text, i).text.to_vec()).collect();
                assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&text));
            }
        }
    }
}
