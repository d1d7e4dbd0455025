use super::layout::Layout;
use super::{Mark, Series};
use crate::format::decimal;
use crate::markup::{Markup, Px};
use crate::plot::shapes::{Fill, band, marker, polyline, style_class};
use crate::summary::Spread;

/// Most markers and most places to hover over along a stroke.
const MARKERS: usize = 13;
const HOVERS: usize = 60;

pub(super) fn bands(m: &mut Markup, layout: &Layout, series: &Series) {
    m.open("g").attr("class", style_class(series.style));
    for stroke in &series.strokes {
        let edge = |mark: &Mark| {
            let (x, spread) = (layout.x.place(mark.x), mark.spread?);
            x.is_finite().then(|| (x, layout.y.place(spread.max), layout.y.place(spread.min)))
        };
        band(m, &stroke.marks.iter().map(edge).collect::<Vec<_>>());
    }
    m.close();
}

pub(super) fn strokes(m: &mut Markup, layout: &Layout, series: &Series) {
    m.open("g").attr("class", style_class(series.style));
    for stroke in &series.strokes {
        let place = |mark: &Mark| {
            let (x, y) = (layout.x.place(mark.x), layout.y.place(mark.spread?.median));
            (x.is_finite() && y.is_finite()).then_some((x, y))
        };
        let places: Vec<Option<(f64, f64)>> = stroke.marks.iter().map(place).collect();
        polyline(m, series.style, &places);
        let last = places.len().saturating_sub(1);
        let (marked, hovered) = (places.len().div_ceil(MARKERS).max(1), places.len().div_ceil(HOVERS).max(1));
        let fill = if stroke.hollow { Fill::Hollow } else { Fill::Full };
        for (i, (mark, at)) in stroke.marks.iter().zip(&places).enumerate() {
            let (Some(at), Some(spread)) = (at, mark.spread) else { continue };
            // Counted from the end, so that the last point is always marked.
            if (last - i).is_multiple_of(marked) {
                marker(m, series.style, fill, *at, if i == last { 4.4 } else { 3.6 });
            }
            if (last - i).is_multiple_of(hovered) {
                hover(m, *at, &format!("{}, {}: {}", series.label, mark.name, told(spread)));
            }
        }
    }
    m.close();
}

/// An unseen spot that tells its value when the pointer rests on it.
fn hover(m: &mut Markup, (x, y): (f64, f64), told: &str) {
    m.open("circle").attr("class", "hover").attr("cx", Px(x)).attr("cy", Px(y)).attr("r", 9);
    m.element("title", told).close();
}

fn told(spread: Spread) -> String {
    let median = decimal(spread.median);
    if spread.count < 2 {
        return median;
    }
    format!("{median} ({} to {} over {} seeds)", decimal(spread.min), decimal(spread.max), spread.count)
}
