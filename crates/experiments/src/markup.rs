//! HTML and SVG text: every tag that is opened is closed, every text and attribute escaped.

use std::fmt::{Display, Write};

use crate::printable::printable;

/// A document under construction.
#[derive(Debug, Default)]
pub(crate) struct Markup {
    out: String,
    open: Vec<&'static str>,
    in_tag: bool,
}

impl Markup {
    /// Opens an element; attributes may follow.
    pub(crate) fn open(&mut self, tag: &'static str) -> &mut Self {
        self.end_tag();
        self.out.push('<');
        self.out.push_str(tag);
        self.open.push(tag);
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element that was just opened.
    pub(crate) fn attr(&mut self, name: &str, value: impl Display) -> &mut Self {
        debug_assert!(self.in_tag, "attribute {name} follows no tag");
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        push_escaped(&mut self.out, &value.to_string());
        self.out.push('"');
        self
    }

    /// Adds text to the element.
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Self {
        self.end_tag();
        push_escaped(&mut self.out, &text.to_string());
        self
    }

    /// Adds markup that is complete in itself.
    pub(crate) fn raw(&mut self, markup: &str) -> &mut Self {
        self.end_tag();
        self.out.push_str(markup);
        self
    }

    /// Closes the innermost open element.
    pub(crate) fn close(&mut self) -> &mut Self {
        self.end_tag();
        if let Some(tag) = self.open.pop() {
            let _ = write!(self.out, "</{tag}>");
            if matches!(tag, "p" | "tr" | "section" | "figure" | "svg" | "table" | "li" | "g" | "h2" | "div") {
                self.out.push('\n');
            }
        }
        self
    }

    /// An element with nothing but text.
    pub(crate) fn element(&mut self, tag: &'static str, text: impl Display) -> &mut Self {
        self.open(tag).text(text).close()
    }

    /// The document, with all elements closed.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // Control characters are not allowed in XML or HTML, not even as references.
            c => out.push_str(&printable(c.encode_utf8(&mut [0; 4]))),
        }
    }
}

/// A length on a page, to a tenth of a pixel; zero when it is not finite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Px(pub(crate) f64);

impl Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() / 10.0 } else { 0.0 };
        write!(f, "{}", if tenths == 0.0 { 0.0 } else { tenths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_attributes_are_escaped() {
        let mut m = Markup::default();
        m.open("a").attr("b", "\"<'").text("x < y & z\u{7}");
        assert_eq!(m.finish(), "<a b=\"&quot;&lt;&#39;\">x &lt; y &amp; z\\u{7}</a>");
    }

    #[test]
    fn lengths_are_finite() {
        let texts: Vec<String> = [1.26, -0.01, f64::NAN, 3.0].map(|v| Px(v).to_string()).into();
        assert_eq!(texts, ["1.3", "0", "0", "3"]);
    }
}
