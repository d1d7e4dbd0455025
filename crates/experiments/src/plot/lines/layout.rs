use super::{LinePlot, Series, Size};
use crate::plot::place::legend_rows;
use crate::plot::scale::{Kind, Scale, padded};
use crate::plot::shapes::text_width;
use crate::summary::Spread;

pub(super) const LEGEND_ROW: f64 = 20.0;

/// Everything that has its place.
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// Whether the series are named at the ends of their lines.
    pub(super) at_ends: bool,
}

impl LinePlot {
    /// Places of all values that can be shown.
    pub(super) fn marks(&self) -> impl Iterator<Item = (f64, Spread)> {
        let all = self.series.iter().flat_map(|series| &series.strokes).flat_map(|stroke| &stroke.marks);
        all.filter(|mark| mark.x.is_finite() && (self.x.kind == Kind::Linear || mark.x > 0.0))
            .filter_map(|mark| Some((mark.x, mark.spread?)))
    }

    pub(super) fn x_range(&self) -> (f64, f64) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (x, _) in self.marks() {
            (low, high) = (low.min(x), high.max(x));
        }
        (low, high)
    }

    /// The range of the values, without those few that would flatten all others.
    pub(super) fn y_range(&self) -> (f64, f64) {
        let mut medians: Vec<f64> = self.marks().map(|(_, s)| s.median).collect();
        if medians.is_empty() {
            return (0.0, 1.0);
        }
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[((medians.len() - 1) as f64 * share).round() as usize];
        let (tenth, ninth) = (at(0.1), at(0.9));
        let reach = 1.5 * (ninth - tenth);
        let near = |y: f64| reach == 0.0 || (tenth - reach..=ninth + reach).contains(&y);
        let (mut low, mut high) = (tenth, ninth);
        let edges = self.marks().flat_map(|(_, s)| [s.min, s.median, s.max]);
        for y in edges.chain(self.references.iter().map(|reference| reference.y)).filter(|y| near(*y)) {
            (low, high) = (low.min(y), high.max(y));
        }
        (low, high)
    }

    pub(super) fn layout(&self, size: Size) -> Layout {
        let (width, height): (f64, f64) = if size == Size::Wide { (920.0, 380.0) } else { (400.0, 330.0) };
        let at_ends = size == Size::Wide && self.ends_together();
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        let longest = labels.iter().map(|label| text_width(label)).fold(0.0, f64::max);
        let right = if at_ends { width - longest.min(220.0) - 22.0 } else { width - 14.0 };
        let rows = if at_ends { 0 } else { legend_rows(&labels, width - 8.0).last().map_or(0, |entry| entry.1 + 1) };
        let top = 34.0 + rows as f64 * LEGEND_ROW;
        // A legend does not take the room of the lines.
        let height = height + rows as f64 * LEGEND_ROW;
        let x_range = match self.x.kind {
            Kind::Linear => padded(self.x_range(), 0.03),
            Kind::Log => self.x_range(),
        };
        let x = Scale::new(self.x.kind, x_range, (58.0, right));
        let y = Scale::new(Kind::Linear, padded(self.y_range(), 0.06), (height - 46.0, top));
        Layout { width, height, top, right, x, y, at_ends }
    }

    /// Whether all lines end at about the same place, so that they can be named there.
    pub(super) fn ends_together(&self) -> bool {
        let x = Scale::new(self.x.kind, self.x_range(), (0.0, 1.0));
        let mut ends = self.series.iter().filter_map(end).map(|(at, _)| x.place(at));
        ends.all(|place| place > 0.97)
    }
}

/// The last value of a series.
pub(super) fn end(series: &Series) -> Option<(f64, f64)> {
    let marks = series.strokes.iter().flat_map(|stroke| &stroke.marks);
    let ends = marks.filter_map(|mark| Some((mark.x, mark.spread?.median)));
    ends.max_by(|a, b| a.0.total_cmp(&b.0))
}
