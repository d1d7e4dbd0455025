//! `or` of `and` of `not` of comparisons and brackets, by recursive descent.

use super::literal::Literal;
use super::time::{days, seconds};
use super::{Comparison, Node, Value};
use crate::Error;

/// Brackets and `not`s within each other, at most.
const DEPTH: usize = 64;

const WORDS: [&str; 9] = ["and", "or", "not", "in", "is", "null", "between", "true", "false"];

pub(super) fn parse(text: &str) -> Result<Node, Error> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let node = parser.any()?;
    if parser.rest().is_empty() { Ok(node) } else { Err(parser.expected("`and`, `or` or the end")) }
}

/// Whether a column's name needs no quotes.
pub(super) fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(starts_word)
        && chars.all(in_word)
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Node, Error> {
        self.joined("or", Self::all, Node::Or)
    }

    fn all(&mut self) -> Result<Node, Error> {
        self.joined("and", Self::one, Node::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Node, Error>,
        join: fn(Vec<Node>) -> Node,
    ) -> Result<Node, Error> {
        let first = part(self)?;
        let mut nodes = vec![first];
        while self.word(word) {
            nodes.push(part(self)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { join(nodes) })
    }

    fn one(&mut self) -> Result<Node, Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error("brackets are nested too deep"));
        }
        let node = if self.word("not") {
            Node::Not(Box::new(self.one()?))
        } else if self.sign("(") {
            let node = self.any()?;
            self.need(")", "`)`, `and` or `or`")?;
            node
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Error> {
        // A value in front: `500 < distance`.
        if let Some(value) = self.value()? {
            let comparison = self.operator().ok_or_else(|| self.expected("a comparison such as `=` or `<`"))?;
            let column = self.column()?;
            return Ok(Node::Compare { column, comparison: comparison.turned(), value });
        }
        let column = self.column()?;
        if self.word("is") {
            let not = self.word("not");
            if !self.word("null") {
                return Err(self.expected(if not { "`null`" } else { "`null` or `not null`" }));
            }
            let node = Node::IsNull { column };
            return Ok(if not { Node::Not(Box::new(node)) } else { node });
        }
        let not = self.word("not");
        let node = if self.word("in") {
            self.among(column)?
        } else if self.word("between") {
            let low = self.some_value()?;
            if !self.word("and") {
                return Err(self.expected("`and`"));
            }
            let high = self.some_value()?;
            let bound = |comparison, value| Node::Compare { column: column.clone(), comparison, value };
            Node::And(vec![bound(Comparison::GreaterOrEqual, low), bound(Comparison::LessOrEqual, high)])
        } else if not {
            return Err(self.expected("`in` or `between`"));
        } else if let Some(comparison) = self.operator() {
            return Ok(Node::Compare { column, comparison, value: self.some_value()? });
        } else {
            let name =
                if self.rest().is_empty() { "" } else { ", or double quotes around a name that is no plain word," };
            return Err(self.expected(&format!("a comparison such as `=`, `<`, `in` or `is null`{name}")));
        };
        Ok(if not { Node::Not(Box::new(node)) } else { node })
    }

    fn among(&mut self, column: String) -> Result<Node, Error> {
        self.need("(", "`(`")?;
        let mut values = Vec::new();
        loop {
            let at = self.at;
            let value = self.some_value()?;
            if values.first().is_some_and(|first| matches!(first, Value::Text(_)) != matches!(value, Value::Text(_))) {
                self.at = at;
                return Err(self.error("numbers and texts in one list"));
            }
            values.push(value);
            if !self.sign(",") {
                break;
            }
        }
        self.need(")", "`,` or `)`")?;
        Ok(Node::In { column, values })
    }

    fn column(&mut self) -> Result<String, Error> {
        let rest = self.rest();
        if rest.starts_with('"') {
            return self.quoted('"');
        }
        let length = rest.char_indices().find(|&(_, c)| !in_word(c)).map_or(rest.len(), |(at, _)| at);
        if !is_plain(&rest[..length]) {
            return Err(self.expected("the name of a column"));
        }
        self.at += length;
        Ok(rest[..length].to_owned())
    }

    fn some_value(&mut self) -> Result<Value, Error> {
        if let Some(value) = self.value()? {
            return Ok(value);
        }
        let start = self.at;
        let is_missing = ["nan", "null", "none"].into_iter().any(|word| self.word(word));
        self.at = start;
        let advice = if is_missing { "; `is null` asks for missing values, NaN among them," } else { "" };
        Err(self.expected(&format!("a number or a text in single quotes{advice}")))
    }

    fn value(&mut self) -> Result<Option<Value>, Error> {
        let rest = self.rest();
        if rest.starts_with('\'') {
            return self.quoted('\'').map(|text| Some(Value::Text(text)));
        }
        for (word, number) in [("true", 1), ("false", 0)] {
            if self.word(word) {
                return Ok(Some(Value::Number(Literal::of_integer(number))));
            }
        }
        for word in ["date", "timestamp"] {
            let start = self.at;
            if self.word(word) {
                if !self.rest().starts_with('\'') {
                    self.at = start;
                    return Ok(None);
                }
                let at = self.at;
                let text = self.quoted('\'')?;
                let value = match word {
                    "date" => days(&text).map(|days| Value::Date { days, text }),
                    _ => seconds(&text).map(|seconds| Value::Timestamp { seconds, text }),
                };
                if value.is_none() {
                    self.at = at;
                    let form = if word == "date" { "'2013-07-01'" } else { "'2013-07-01 12:00:00'" };
                    return Err(self.expected(&format!("a {word} such as {form}")));
                }
                return Ok(value);
            }
        }
        let in_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '_');
        let mut length = rest.find(|c: char| !matches!(c, '-' | '+')).unwrap_or(rest.len()).min(1);
        length += rest[length..].find(|c| !in_number(c)).unwrap_or(rest.len() - length);
        if !rest[..length].contains(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['-', '+']));
            let digits = exponent[sign..].find(|c: char| !c.is_ascii_digit()).unwrap_or(exponent.len() - sign);
            if digits > 0 {
                length += 1 + sign + digits;
            }
        }
        match Literal::parse(&rest[..length].replace('_', "")) {
            Some(number) => {
                self.at += length;
                Ok(Some(Value::Number(number)))
            }
            None => Err(self.expected("a number")),
        }
    }

    /// A text or name in quotes, a quote in it written twice.
    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        let rest = self.rest();
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c != quote {
                text.push(c);
            } else if chars.next_if(|&(_, next)| next == quote).is_some() {
                text.push(quote);
            } else {
                self.at += at + 1;
                return Ok(text);
            }
        }
        Err(self.error(&format!("there is no {quote} that ends")))
    }

    fn operator(&mut self) -> Option<Comparison> {
        let signs = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("!=", Comparison::NotEqual),
            ("<>", Comparison::NotEqual),
            ("==", Comparison::Equal),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        signs.into_iter().find_map(|(sign, comparison)| self.sign(sign).then_some(comparison))
    }

    fn need(&mut self, sign: &str, expected: &str) -> Result<(), Error> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(in_word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// What is left, without the spaces in front.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn expected(&mut self, what: &str) -> Error {
        self.error(&format!("expected {what}"))
    }

    fn error(&mut self, problem: &str) -> Error {
        let rest = self.rest();
        let place = self.text[..self.at].chars().count() + 1;
        let shown: String = rest.chars().take(24).collect();
        let more = if shown.len() < rest.len() { "…" } else { "" };
        let at = if rest.is_empty() { "the end".into() } else { format!("`{shown}{more}`, character {place}") };
        Error::invalid("condition", format!("{problem} at {at}"))
    }
}
