use super::layout::{LEGEND_ROW, Layout, TITLE_ROW};
use super::{LinePlot, Size, Ticks};
use crate::format::count;
use crate::markup::{Markup, Px};
use crate::plot::place::{legend_rows, spread_out};
use crate::plot::scale::{Kind, tick_texts};
use crate::plot::shapes::{line, sample, style_class, text, text_width};

impl LinePlot {
    pub(super) fn frame(&self, m: &mut Markup, layout: &Layout) {
        let (left, bottom) = (layout.x.place(layout.x.low()), layout.y.place(layout.y.low()));
        if let Some(boundary) = self.boundary.as_ref().filter(|b| layout.x.holds(b.x)) {
            let x = layout.x.place(boundary.x);
            m.open("rect").attr("class", "zone").attr("x", Px(x)).attr("y", Px(layout.top));
            m.attr("width", Px(layout.right - x)).attr("height", Px(bottom - layout.top)).close();
        }
        let ticks = layout.y.ticks(5);
        let names = tick_texts(&ticks);
        for (tick, name) in ticks.into_iter().zip(names) {
            let y = layout.y.place(tick);
            line(m, "grid", (left, y), (layout.right, y));
            text(m, "tick end", (left - 8.0, y + 4.0), &name.replace('-', "\u{2212}"));
        }
        for (i, title) in layout.y_title.iter().rev().enumerate() {
            text(m, "title", (0.0, layout.top - 16.0 - i as f64 * TITLE_ROW), title);
        }
        line(m, "axis", (left, bottom), (layout.right, bottom));
        if let Some(boundary) = self.boundary.as_ref().filter(|b| layout.x.holds(b.x)) {
            let x = layout.x.place(boundary.x);
            line(m, "boundary", (x, layout.top - 6.0), (x, bottom));
            text(m, "zone-name end", (x - 7.0, layout.top + 8.0), &boundary.before);
            text(m, "zone-name", (x + 7.0, layout.top + 8.0), &boundary.after);
        }
    }

    pub(super) fn x_axis(&self, m: &mut Markup, layout: &Layout, size: Size) {
        let bottom = layout.y.place(layout.y.low());
        let wanted = if size == Size::Wide { 9 } else { 5 };
        let ticks: Vec<(f64, String)> = match &self.x.ticks {
            Ticks::Counts => layout.x.ticks(wanted).into_iter().map(|tick| (tick, tick_count(tick))).collect(),
            Ticks::Named(names) => names.clone(),
        };
        let mut free = f64::NEG_INFINITY;
        for (value, name) in ticks {
            let (x, half) = (layout.x.place(value), text_width(&name) / 2.0);
            if !layout.x.holds(value) || !x.is_finite() {
                continue;
            }
            line(m, "axis", (x, bottom), (x, bottom + 4.0));
            if x - half >= free {
                text(m, "tick middle", (x, bottom + 19.0), &name);
                free = x + half + 8.0;
            }
        }
        let left = layout.x.place(layout.x.low());
        text(m, "title middle", (left.midpoint(layout.right), bottom + 39.0), &self.x.title);
    }

    pub(super) fn level_lines(&self, m: &mut Markup, layout: &Layout) {
        let left = layout.x.place(layout.x.low());
        for reference in self.references.iter().filter(|reference| layout.y.holds(reference.y)) {
            let y = layout.y.place(reference.y);
            line(m, "reference", (left, y), (layout.right, y));
            // Lines come down from the left along a logarithmic axis, and end at the right of others.
            let (class, x) = match self.x.kind {
                Kind::Linear => ("reference-name", left + 6.0),
                Kind::Log => ("reference-name end", layout.right - 6.0),
            };
            text(m, class, (x, y - 5.0), &reference.label);
        }
    }

    pub(super) fn end_labels(&self, m: &mut Markup, layout: &Layout) {
        let (top, bottom) = (layout.top + 4.0, layout.y.place(layout.y.low()));
        let ends: Vec<_> = self.series.iter().filter_map(|s| Some((s, s.end()?))).collect();
        let heights: Vec<f64> =
            ends.iter().map(|(_, (_, spread))| layout.y.place(spread.median).clamp(top, bottom)).collect();
        for ((series, (x, _)), (at, wanted)) in
            ends.iter().zip(spread_out(&heights, top, bottom).into_iter().zip(&heights))
        {
            let x = layout.x.place(*x);
            m.open("g").attr("class", style_class(series.style));
            line(m, "leader", (x + 7.0, *wanted), (layout.right + 8.0, at));
            m.close();
            text(m, "label", (layout.right + 12.0, at + 4.0), &series.label);
        }
    }

    pub(super) fn legend(&self, m: &mut Markup, layout: &Layout) {
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        for (series, (x, row)) in self.series.iter().zip(legend_rows(&labels, layout.width - 8.0)) {
            let y = 8.0 + row as f64 * LEGEND_ROW;
            sample(m, series.style, (x + 4.0, y));
            text(m, "label", (x + 36.0, y + 4.0), &series.label);
        }
    }
}

/// A round count without digits that say nothing: `200 k`, not `200.0 k`.
fn tick_count(value: f64) -> String {
    let text = count(value);
    match text.split_once(' ') {
        Some((digits, unit)) if digits.contains('.') => {
            format!("{} {unit}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}
