//! The small parts that plots are drawn from.

use crate::markup::{Markup, Px};

/// Styles told apart by colour, dash and marker; more series start again.
pub(super) const STYLES: usize = 6;

const DASHES: [&str; STYLES] = ["none", "8 4", "2.5 3", "10 3 2 3", "14 4", "5 3 1.5 3 1.5 3"];

/// How a marker is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Full,
    Hollow,
}

pub(super) fn style_class(style: usize) -> String {
    format!("s{}", style % STYLES)
}

pub(super) fn line(m: &mut Markup, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    m.open("line").attr("class", class);
    m.attr("x1", Px(x1)).attr("y1", Px(y1)).attr("x2", Px(x2)).attr("y2", Px(y2)).close();
}

pub(super) fn text(m: &mut Markup, class: &str, (x, y): (f64, f64), text: &str) {
    m.open("text").attr("class", class).attr("x", Px(x)).attr("y", Px(y)).text(text).close();
}

/// A line through points, broken where one is missing.
pub(super) fn polyline(m: &mut Markup, style: usize, points: &[Option<(f64, f64)>]) {
    let mut path = String::new();
    let mut pen_down = false;
    for point in points {
        if let Some((x, y)) = point {
            path += &format!("{}{} {}", if pen_down { "L" } else { "M" }, Px(*x), Px(*y));
        }
        pen_down = point.is_some();
    }
    if !path.is_empty() {
        let dash = DASHES[style % STYLES];
        m.open("path").attr("class", "line").attr("stroke-dasharray", dash).attr("d", path).close();
    }
}

/// The area between two lines over the same places, in pieces where points are missing: `(x, upper y, lower y)`.
pub(super) fn band(m: &mut Markup, points: &[Option<(f64, f64, f64)>]) {
    for piece in points.split(Option::is_none).filter(|piece| piece.len() > 1) {
        let there = piece.iter().flatten().map(|&(x, upper, _)| (x, upper));
        let back = piece.iter().rev().flatten().map(|&(x, _, lower)| (x, lower));
        let corners: Vec<String> = there.chain(back).map(|(x, y)| format!("{},{}", Px(x), Px(y))).collect();
        m.open("polygon").attr("class", "band").attr("points", corners.join(" ")).close();
    }
}

/// A marker whose shape tells the style.
pub(super) fn marker(m: &mut Markup, style: usize, fill: Fill, (x, y): (f64, f64), size: f64) {
    let r = size;
    let corners: &[(f64, f64)] = match style % STYLES {
        0 => &[],
        1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2 => &[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
        3 => &[(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)],
        4 => &[(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
        // A plus.
        _ => &[
            (-0.45, -1.3),
            (0.45, -1.3),
            (0.45, -0.45),
            (1.3, -0.45),
            (1.3, 0.45),
            (0.45, 0.45),
            (0.45, 1.3),
            (-0.45, 1.3),
            (-0.45, 0.45),
            (-1.3, 0.45),
            (-1.3, -0.45),
            (-0.45, -0.45),
        ],
    };
    let class = match fill {
        Fill::Full => "full",
        Fill::Hollow => "hollow",
    };
    if corners.is_empty() {
        m.open("circle").attr("class", class).attr("cx", Px(x)).attr("cy", Px(y)).attr("r", Px(r)).close();
        return;
    }
    let points: Vec<String> = corners.iter().map(|(dx, dy)| format!("{},{}", Px(x + dx * r), Px(y + dy * r))).collect();
    m.open("polygon").attr("class", class).attr("points", points.join(" ")).close();
}

/// A piece of line with its marker, as the legend shows it.
pub(super) fn sample(m: &mut Markup, style: usize, (x, y): (f64, f64)) {
    m.open("g").attr("class", style_class(style));
    polyline(m, style, &[Some((x, y)), Some((x + 26.0, y))]);
    marker(m, style, Fill::Full, (x + 13.0, y), 3.6);
    m.close();
}

/// The sample as a picture of its own, for tables.
pub(crate) fn legend_sample(style: usize) -> String {
    let mut m = Markup::default();
    m.open("svg").attr("class", "sample").attr("width", 26).attr("height", 10).attr("viewBox", "0 0 26 10");
    m.attr("aria-hidden", "true");
    sample(&mut m, style, (0.0, 5.0));
    m.finish()
}

/// About how wide a text is, in the page's font at 13 pixels.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | '\'' | '|' | '!' => 3.7,
            'f' | 't' | 'r' | ' ' | '(' | ')' | '-' => 4.9,
            'm' | 'w' | 'M' | 'W' => 11.0,
            c if c.is_uppercase() => 8.9,
            c if c.is_ascii() => 7.2,
            _ => 9.0,
        })
        .sum()
}
