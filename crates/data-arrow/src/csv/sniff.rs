//! What a text is like, told from its first lines.

use super::fields::Fields;
use super::numerals::Read;
use super::records::Records;
use super::text::Format;
use super::values::real;

/// Delimiters that are looked for: a comma is also what decimals have, and sentences.
const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];

/// Lines that are looked at.
pub(super) const LINES: usize = 64;

/// The delimiter: the first that divides all records into as many fields, more than one; else the one that the first
/// record has most of; else a comma.
pub(super) fn delimiter(bytes: &[u8]) -> u8 {
    let consistent = |delimiter| widths(bytes, delimiter).is_some_and(|(width, _)| width > 1);
    DELIMITERS.into_iter().find(|&delimiter| consistent(delimiter)).unwrap_or_else(|| {
        let first = |delimiter| {
            let mut fields = Fields::new(delimiter, 0);
            fields.read(bytes, 0).map_or(1, |_| fields.len())
        };
        DELIMITERS.into_iter().rev().max_by_key(|&d| (first(d), d == b',')).unwrap_or(b',')
    })
}

/// Whether the first bytes of a file of an unknown kind are those of CSV: at least two records of the same number of
/// fields, more than one.
pub fn looks_like_csv(bytes: &[u8]) -> bool {
    // A sample may end inside of a letter.
    let is_text = std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_text
        && !bytes.contains(&0)
        && DELIMITERS.iter().any(|&d| widths(bytes, d).is_some_and(|(width, records)| width > 1 && records > 1))
}

/// How many fields the whole records of a text have, where that is the same for all, and how many there are.
fn widths(bytes: &[u8], delimiter: u8) -> Option<(usize, usize)> {
    let bytes = &bytes[..Records::new(delimiter).find(bytes, usize::MAX).bytes];
    let mut fields = Fields::new(delimiter, 0);
    let (mut width, mut at, mut records) = (0, 0, 0);
    while let Some(record) = fields.read(bytes, at) {
        if records > 0 && fields.len() != width {
            return None;
        }
        (width, at, records) = (fields.len(), record.end, records + 1);
    }
    (records > 0).then_some((width, records))
}

/// Whether a first record, of up to `most` fields, is one of data rather than a header: all its values are numbers.
pub(super) fn is_data(record: &[u8], format: &Format) -> bool {
    let Format { delimiter, missing, columns: most, .. } = format;
    let (mut fields, mut buffer) = (Fields::new(*delimiter, *most), Vec::new());
    let mut numbers = 0;
    if fields.read(record, 0).is_none() || fields.len() > *most {
        return false;
    }
    for field in 0..fields.len() {
        let text = fields.get(record, field).text.trim_ascii();
        let is_number = match format.numerals.read(text, &mut buffer) {
            Read::Value(text) => real(text).is_some_and(f64::is_finite),
            Read::Text => false,
        };
        if is_number {
            numbers += 1;
        } else if !missing.is(text) {
            return false;
        }
    }
    numbers > 0
}

#[cfg(test)]
mod tests {
    use super::super::numerals::Numerals;
    use super::super::values::{MISSING, Missing};
    use super::*;

    #[test]
    fn the_delimiter_divides_all_records_alike() {
        let check = |text: &str, expected| assert_eq!(char::from(delimiter(text.as_bytes())), expected, "{text:?}");
        check("", ',');
        check("a\n1\n", ',');
        check("a,b\n1,2\n", ',');
        check("a\tb\n1,5\t2\n", '\t');
        check("a;b\n1,5;2,5\n", ';');
        check("1,5;2,5\n3,5;4,5\n", ';');
        check("a|b\n1|2\n", '|');
        check("a,b\nx,\"1;2\n;\"\ny,1;2;3\n", ',');
        check("title,genre\nx,a|b\ny,c|d\n", ',');
        check("a,b,c\n1,2\n", ',');
        check("a;b;c,d\n1;2\n", ';');
        check("\"a;b\";c\n1;2\n\"cut;", ';');
    }

    #[test]
    fn a_first_record_of_numbers_is_data() {
        let check = |text: &str, expected| {
            let missing = Missing::new(&MISSING);
            let (numerals, delimiter) = (Numerals::default(), b',');
            let format = Format { delimiter, header: false, missing, numerals, piece: 99, most: 99, columns: 9 };
            assert_eq!(is_data(text.as_bytes(), &format), expected, "{text:?}");
        };
        check("1,2.5,-3e5\n", true);
        check("1,,NA\n", true);
        check(",,\n", false);
        check("1,a\n", false);
        check("a,b\n", false);
        check("nan,inf\n", false);
    }

    #[test]
    fn a_table_is_told_from_prose() {
        assert!(looks_like_csv(b"a,b\n1,2\n"));
        assert!(!looks_like_csv(b"a,b\n"), "one line");
        assert!(!looks_like_csv(b"Hello, world.\nThis is a text, with commas, and more.\n"));
        assert!(!looks_like_csv(b"{\"a\": 1, \"b\": 2}\n{\"a\": 1}\n"));
        assert!(!looks_like_csv(b"a,b\n1,\xff\n"));
    }
}
