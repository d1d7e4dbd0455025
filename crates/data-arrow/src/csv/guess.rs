//! What a column holds, told from its texts.

use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};
use tidemill_data::Error;

use super::blocks::Blocks;
use super::decode::ragged;
use super::fields::Fields;
use super::likeness::Likeness;
use super::numerals::Read;
use super::values::{boolean, date, digits, integer, real, time, unsigned};

/// Kinds of values, each a bit; a column is of the first that all its texts can be.
const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const UNSIGNED: u8 = 4;
const REAL: u8 = 8;
const DATE: u8 = 16;
const TIME: u8 = 32;
/// A time with a zone, which is not one without.
const ZONED: u8 = 64;
const ALL: u8 = 127;

/// What is known of a column by the texts seen so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    may: u8,
    seen: bool,
    /// Whether all are integers, of any size.
    whole: bool,
    digits: u8,
    /// Times that nanoseconds of 64 bits do not reach.
    far: bool,
    /// Integers begin with a zero that means nothing; in quotes, they are texts.
    zeros: bool,
    quoted_zeros: bool,
    /// Integers of more digits than every `f64` holds.
    long: bool,
    /// Of a column of texts, what these look like.
    likeness: Likeness,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            may: ALL,
            seen: false,
            whole: true,
            digits: 0,
            far: false,
            zeros: false,
            quoted_zeros: false,
            long: false,
            likeness: Likeness::default(),
        }
    }
}

impl Guess {
    /// Notes a text that stands for a value, without spaces around it.
    #[inline]
    pub fn observe(&mut self, text: &[u8], quoted: bool) {
        self.seen = true;
        let whole = digits(text);
        let is_number = whole.is_some() || begins_as_number(text) && real(text).is_some();
        if is_number {
            self.likeness.number();
        } else {
            self.likeness.other(text);
        }
        if self.may == 0 {
            return;
        }
        if let Some(digits) = whole {
            if digits.len() > 1 && digits[0] == b'0' {
                self.zeros = true;
                self.quoted_zeros |= quoted;
            }
            self.long |= digits.len() > f64::DIGITS as usize;
            let signed = if integer(text).is_some() { INTEGER } else { 0 };
            let unsigned = if unsigned(text).is_some() { UNSIGNED } else { 0 };
            self.may &= signed | unsigned | REAL;
            return;
        }
        self.whole = false;
        self.may &= if is_number { REAL } else { self.other(text) };
    }

    /// Notes a text that is no value but itself.
    fn observe_text(&mut self, text: &[u8]) {
        self.seen = true;
        self.whole = false;
        self.may = 0;
        self.likeness.other(text);
    }

    fn other(&mut self, text: &[u8]) -> u8 {
        if self.may & BOOLEAN != 0 && boolean(text).is_some() {
            return BOOLEAN;
        }
        if self.may & (DATE | TIME | ZONED) == 0 {
            return 0;
        }
        let Some(time) = time(text) else { return 0 };
        self.far |= time.nanoseconds().is_none();
        if date(text).is_some() {
            return DATE | TIME;
        }
        self.digits = self.digits.max(time.digits);
        if time.zoned { ZONED } else { TIME }
    }

    /// What the column holds; nothing where no text stood for a value.
    pub fn data_type(&self) -> DataType {
        let is = |kind: u8| self.may & kind != 0;
        if !self.seen {
            return DataType::Null;
        }
        if self.quoted_zeros && self.whole {
            return DataType::Utf8;
        }
        let unit = if self.digits > 6 { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        match () {
            () if is(BOOLEAN) => DataType::Boolean,
            () if is(INTEGER) => DataType::Int64,
            () if is(UNSIGNED) => DataType::UInt64,
            () if is(REAL) && !self.whole => DataType::Float64,
            () if is(DATE) => DataType::Date32,
            () if self.far && self.digits > 6 => DataType::Utf8,
            () if is(TIME) => DataType::Timestamp(unit, None),
            () if is(ZONED) => DataType::Timestamp(unit, Some(Arc::from("UTC"))),
            () => DataType::Utf8,
        }
    }

    /// What the texts are like.
    pub fn likeness(&self) -> &Likeness {
        &self.likeness
    }

    /// Whether integers begin with zeros, which a column of numbers loses.
    pub fn has_zeros(&self) -> bool {
        self.zeros
    }

    /// Whether there are integers of more than 15 digits, which `f64` may round.
    pub fn has_long_integers(&self) -> bool {
        self.long
    }

    /// Whether there are only integers, some of which have more than 64 bits.
    pub fn is_too_wide(&self) -> bool {
        self.seen && self.whole && self.may & (INTEGER | UNSIGNED) == 0 && self.may & REAL != 0
    }
}

/// Whether a text may be a number, by its first character: `inf` and `nan` are numbers too.
fn begins_as_number(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I' | b'n' | b'N'))
}

/// Notes the values of whole records, so many bytes of the text; gives how many records there are.
pub(super) fn observe(blocks: &Blocks, bytes: usize, guesses: &mut [Guess]) -> Result<u64, Error> {
    let (text, missing) = (&blocks.text, &blocks.format.missing);
    let block = &text.bytes[..bytes];
    let mut fields = Fields::new(blocks.format.delimiter, guesses.len());
    let (mut rows, mut at, mut buffer) = (0, 0, Vec::new());
    while let Some(record) = fields.read(block, at) {
        if fields.len() != guesses.len() {
            return Err(ragged(text, &block[..record.start], guesses.len(), fields.len()));
        }
        for (column, guess) in guesses.iter_mut().enumerate() {
            let field = fields.get(block, column);
            let value = field.text.trim_ascii();
            if !missing.is(value) {
                match blocks.format.numerals.read(value, &mut buffer) {
                    Read::Value(value) => guess.observe(value, field.quoted),
                    Read::Text => guess.observe_text(value),
                }
            }
        }
        (rows, at) = (rows + 1, record.end);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_what_all_its_texts_can_be() {
        let check = |texts: &[&str], expected: DataType| {
            let mut guess = Guess::default();
            texts.iter().for_each(|text| guess.observe(text.as_bytes(), false));
            assert_eq!(guess.data_type(), expected, "{texts:?}");
        };
        let (int, text) = (DataType::Int64, DataType::Utf8);
        let time = |unit| DataType::Timestamp(unit, None);
        check(&[], DataType::Null);
        check(&["1", "-2", "+3", "007"], int.clone());
        check(&["1", "18446744073709551615"], DataType::UInt64);
        check(&["-1", "18446744073709551615"], text.clone());
        check(&["1", "18446744073709551616"], text.clone());
        check(&["1", "18446744073709551616", "0.5"], DataType::Float64);
        check(&["1", "2.5"], DataType::Float64);
        check(&["1e3", "-.5", "5.", "inf", "-Infinity"], DataType::Float64);
        check(&["1", "2.5", "x"], text.clone());
        check(&["true", "False", "TRUE"], DataType::Boolean);
        check(&["true", "1"], text.clone());
        check(&["2024-01-01"], DataType::Date32);
        check(&["2024-01-01", "2024-01-01 10:00:00"], time(TimeUnit::Microsecond));
        check(&["2024-01-01", "2024-01-01 10:00:00.123456"], time(TimeUnit::Microsecond));
        check(&["2024-01-01T10:00:00.1234567"], time(TimeUnit::Nanosecond));
        check(&["2024-01-01T10:00:00Z"], DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))));
        check(&["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"], text.clone());
        check(&["2024-01-01", "20240101"], text.clone());
        check(&["2024-02-30"], text.clone());
        check(&["9999-01-01", "2024-01-01T10:00:00.1234567"], text);
    }

    #[test]
    fn zeros_at_the_start_are_kept_where_they_are_quoted() {
        let guess = |fields: &[(&str, bool)]| {
            let mut guess = Guess::default();
            fields.iter().for_each(|(text, quoted)| guess.observe(text.as_bytes(), *quoted));
            (guess.data_type(), guess.has_zeros())
        };
        assert_eq!(guess(&[("7", true), ("007", true)]), (DataType::Utf8, true));
        assert_eq!(guess(&[("7", true), ("70", true)]), (DataType::Int64, false));
        assert_eq!(guess(&[("007", false)]), (DataType::Int64, true));
        assert_eq!(guess(&[("0", true), ("0.5", true)]), (DataType::Float64, false));
        assert_eq!(guess(&[("007", false), ("x", false)]), (DataType::Utf8, true));
    }
}
