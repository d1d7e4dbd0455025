use super::values::real;

/// How numbers are written: `1234.5`, or as `1.234,5` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numerals {
    /// What stands before decimals.
    pub decimal: u8,
    /// What may stand before each three digits of a whole part.
    pub thousands: Option<u8>,
}

impl Default for Numerals {
    fn default() -> Self {
        Self { decimal: b'.', thousands: None }
    }
}

/// What a text is, as far as the marks in numbers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read<'a> {
    /// What numbers, times and booleans are read from.
    Value(&'a [u8]),
    /// No number, though it would be one with other marks.
    Text,
}

impl Numerals {
    /// A text without spaces around it, its number as `1234.5`; `buffer` is overwritten.
    #[inline]
    pub fn read<'a>(self, text: &'a [u8], buffer: &'a mut Vec<u8>) -> Read<'a> {
        if self == Self::default() {
            return Read::Value(text);
        }
        if self.rewrite(text, buffer) {
            return Read::Value(buffer);
        }
        // With decimal commas, 1.5 is no number: whoever writes 1.500 so may mean thousands.
        if self.decimal != b'.' && text.contains(&b'.') && real(text).is_some() {
            Read::Text
        } else {
            Read::Value(text)
        }
    }

    /// Writes a number without separators, and with a point; `false` where the text is none.
    fn rewrite(self, text: &[u8], buffer: &mut Vec<u8>) -> bool {
        buffer.clear();
        let (sign, rest) = match text {
            [sign @ (b'-' | b'+'), rest @ ..] => (Some(*sign), rest),
            rest => (None, rest),
        };
        buffer.extend(sign);
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let first = digits(rest);
        buffer.extend_from_slice(&rest[..first]);
        let mut rest = &rest[first..];
        let mut any = first > 0;
        while let Some(([mark, group @ ..], behind)) = rest.split_first_chunk::<4>()
            && Some(*mark) == self.thousands
            && (1..=3).contains(&first)
            && digits(group) == 3
        {
            buffer.extend_from_slice(group);
            rest = behind;
        }
        if let Some((mark, decimals)) = rest.split_first()
            && *mark == self.decimal
        {
            let count = digits(decimals);
            buffer.push(b'.');
            buffer.extend_from_slice(&decimals[..count]);
            any |= count > 0;
            rest = &decimals[count..];
        }
        match rest {
            [] => any,
            [b'e' | b'E', exponent @ ..] if any && real(&[b"1e", exponent].concat()).is_some() => {
                buffer.push(b'e');
                buffer.extend_from_slice(exponent);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_marks() {
        let check = |numerals: Numerals, text: &str, expected: Option<f64>| {
            let mut buffer = b"left".to_vec();
            let found = match numerals.read(text.as_bytes(), &mut buffer) {
                Read::Value(text) => real(text),
                Read::Text => None,
            };
            assert_eq!(found, expected, "{text} with {numerals:?}");
        };
        let comma = Numerals { decimal: b',', thousands: None };
        check(comma, "-1,5", Some(-1.5));
        check(comma, "12", Some(12.0));
        check(comma, ",5", Some(0.5));
        check(comma, "5,", Some(5.0));
        check(comma, "1,5e3", Some(1500.0));
        check(comma, "1,5e", None);
        check(comma, "1.5", None);
        check(comma, "1,2,3", None);
        check(comma, ",", None);
        check(comma, "inf", Some(f64::INFINITY));
        let points = Numerals { decimal: b',', thousands: Some(b'.') };
        check(points, "1.234.567,25", Some(1_234_567.25));
        check(points, "1.234", Some(1234.0));
        check(points, "1.23", None);
        check(points, "1234.567", None);
        check(points, "1.234.56", None);
        let english = Numerals { decimal: b'.', thousands: Some(b',') };
        check(english, "+12,345.5", Some(12_345.5));
        check(english, "12,34", None);
        check(english, "1.5", Some(1.5));
        let spaces = Numerals { decimal: b',', thousands: Some(b' ') };
        check(spaces, "12 345,5", Some(12_345.5));
        check(Numerals::default(), "1,234", None);
    }
}
