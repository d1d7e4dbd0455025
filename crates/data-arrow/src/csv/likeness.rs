//! What the texts of a column look like that are no values by their form: numbers and dates as people write them.

use super::values::boolean;

/// What is known of the texts of a column so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Likeness {
    /// Values that are numbers, and others.
    numbers: u64,
    others: u64,
    /// Whether all others are numbers with marks, such as `1,5` or `$ 3`, or dates or times.
    marked: bool,
    dated: bool,
    /// Whether they are all the same.
    same: bool,
    /// The first of the others, cut.
    first: [u8; LONGEST],
    length: usize,
}

/// What a column of texts seems to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    /// Numbers, with few exceptions or one that comes often: so many of all.
    MostlyNumbers { others: u64, all: u64 },
    /// Numbers with marks.
    Numbers,
    /// Dates or times.
    Times,
}

/// Bytes of a text that are kept.
const LONGEST: usize = 32;

/// With fewer numbers than this for each other text, where these differ, a column is one of texts.
const MOSTLY: u64 = 9;

impl Default for Likeness {
    fn default() -> Self {
        Self { numbers: 0, others: 0, marked: true, dated: true, same: true, first: [0; LONGEST], length: 0 }
    }
}

impl Likeness {
    #[inline]
    pub fn number(&mut self) {
        self.numbers += 1;
    }

    #[inline]
    pub fn other(&mut self, text: &[u8]) {
        if self.others == 0 {
            self.length = text.len();
            let kept = text.len().min(LONGEST);
            self.first[..kept].copy_from_slice(&text[..kept]);
        }
        self.others += 1;
        self.same = self.same
            && boolean(text).is_none()
            && text.len() == self.length
            && text.starts_with(&self.first[..text.len().min(LONGEST)]);
        self.marked = self.marked && is_marked_number(text);
        self.dated = self.dated && is_date_or_time(text);
    }

    /// What a column of texts looks like; nothing where they are texts.
    pub fn looks(&self) -> Option<Looks> {
        match () {
            () if self.others == 0 => None,
            () if self.dated && self.numbers == 0 => Some(Looks::Times),
            () if self.marked => Some(Looks::Numbers),
            () if self.numbers >= MOSTLY * self.others || self.same && self.numbers > self.others => {
                Some(Looks::MostlyNumbers { others: self.others, all: self.numbers + self.others })
            }
            () => None,
        }
    }

    /// The first text that is no number, and whether it is whole.
    pub fn first(&self) -> (String, bool) {
        let kept = &self.first[..self.length.min(LONGEST)];
        let text = String::from_utf8_lossy(kept).trim_end_matches('\u{fffd}').to_owned();
        (text, self.length <= LONGEST)
    }
}

/// Whether a text is a number with a decimal comma, separators of thousands, a currency, a percent sign or in brackets.
fn is_marked_number(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let text = text.strip_prefix('(').and_then(|inside| inside.strip_suffix(')')).unwrap_or(text);
    let marks = |c: char| "+-$€£¥%".contains(c) || c == ' ';
    let bare = text.trim_matches(marks);
    let (mut groups, mut separators) = (vec![0], Vec::new());
    for c in bare.chars() {
        match c {
            '0'..='9' => *groups.last_mut().expect("there is one") += 1,
            '.' | ',' | '\'' | '_' | ' ' | '\u{a0}' | '\u{202f}' => {
                separators.push(c);
                groups.push(0);
            }
            _ => return false,
        }
    }
    let Some((&last, between)) = groups.split_last() else { return false };
    let (Some(&decimal), Some((&first, middle))) = (separators.last(), between.split_first()) else {
        return last > 0;
    };
    let same = separators.iter().all(|separator| *separator == separators[0]);
    let before = &separators[..separators.len() - 1];
    let is_grouped = middle.iter().all(|&digits| digits == 3) && (middle.is_empty() || (1..=3).contains(&first));
    let is_number = match separators.len() {
        1 => decimal == '.' || decimal == ',' || (last == 3 && (1..=3).contains(&first)),
        _ if same => last == 3,
        _ => before.iter().all(|separator| *separator == before[0]) && (decimal == '.' || decimal == ','),
    };
    is_grouped && is_number && last > 0
}

/// Whether a text is a day by three numbers or by the name of the month, a time of the day, or both.
fn is_date_or_time(text: &[u8]) -> bool {
    let (day, time) = match text.iter().position(|byte| *byte == b':') {
        None => (Some(text), None),
        // Spaces may also be inside of a day.
        Some(colon) => match text[..colon].iter().rposition(|byte| b" T".contains(byte)) {
            Some(at) => (Some(&text[..at]), Some(&text[at + 1..])),
            None => (None, Some(text)),
        },
    };
    day.is_none_or(is_day) && time.is_none_or(is_time)
}

fn is_day(text: &[u8]) -> bool {
    let parts: Vec<&[u8]> = text.split(|byte| b"/.- ".contains(byte)).collect();
    let [first, month, last] = parts[..] else { return false };
    let number = |part: &[u8], lengths: &[usize]| part.iter().all(u8::is_ascii_digit) && lengths.contains(&part.len());
    let is_name = month.len() >= 3 && month.iter().all(u8::is_ascii_alphabetic);
    let is_month = is_name || number(month, &[1, 2]);
    is_month && (number(first, &[1, 2]) && number(last, &[2, 4]) || number(first, &[4]) && number(last, &[1, 2]))
}

fn is_time(text: &[u8]) -> bool {
    let is_digits = |part: &[u8]| matches!(part.len(), 1 | 2) && part.iter().all(u8::is_ascii_digit);
    let parts: Vec<&[u8]> = text.splitn(3, |byte| *byte == b':').collect();
    // Seconds may have decimals, a zone and half of the day behind them.
    let is_end = |part: &[u8]| part.first().is_some_and(u8::is_ascii_digit);
    match parts[..] {
        [hours, minutes] => is_digits(hours) && is_end(minutes),
        [hours, minutes, seconds] => is_digits(hours) && is_digits(minutes) && is_end(seconds),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_by_their_form() {
        let check = |is: fn(&[u8]) -> bool, texts: &[&str], expected| {
            texts.iter().for_each(|text| assert_eq!(is(text.as_bytes()), expected, "{text}"));
        };
        let numbers =
            ["1,5", "-0,25", "1,234", "1.234.567,8", "12 345", "1'000.5", "$3.20", "7 %", "(1.50)", "€ 1.000"];
        check(is_marked_number, &numbers, true);
        check(is_marked_number, &["192.168.1.1", "1-2", "a1", "", "1,,2", "$", "1.2.3", "2021/01/02", "1 2"], false);
        let times = [
            "01.02.2021",
            "1/2/21",
            "2021/1/02",
            "01-Apr-2021",
            "2024-01-01T10:00:00Z",
            "07:05",
            "7:05:00.25 PM",
            "3 March 2020",
            "01.02.2021 10:15",
            "3 March 2020 7:15",
        ];
        check(is_date_or_time, &times, true);
        check(is_date_or_time, &["a:b", "1.2.3", "10.0.0.1", "x", "", "2021", "mon-tue-wed", "1:"], false);
    }

    #[test]
    fn a_column_looks_like_most_of_its_texts() {
        let looks = |numbers: u64, others: &[&str]| {
            let mut likeness = Likeness::default();
            (0..numbers).for_each(|_| likeness.number());
            others.iter().for_each(|text| likeness.other(text.as_bytes()));
            likeness.looks()
        };
        assert_eq!(looks(5, &[]), None);
        assert_eq!(looks(9, &["abc"]), Some(Looks::MostlyNumbers { others: 1, all: 10 }));
        assert_eq!(looks(8, &["abc", "abd"]), None);
        assert_eq!(looks(3, &["-", "-"]), Some(Looks::MostlyNumbers { others: 2, all: 5 }));
        assert_eq!(looks(2, &["-", "-"]), None);
        assert_eq!(looks(3, &["true", "true"]), None);
        assert_eq!(looks(8, &["1,5", "2,5"]), Some(Looks::Numbers));
        assert_eq!(looks(0, &["01.02.2021", "2.3.2021"]), Some(Looks::Times));
        assert_eq!(looks(0, &["01.02.2021", "x"]), None);
        let mut likeness = Likeness::default();
        likeness.other(&[b'x'; 40]);
        assert_eq!(likeness.first(), ("x".repeat(32), false));
    }
}
