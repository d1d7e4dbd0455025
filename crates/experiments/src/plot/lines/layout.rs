use super::{LinePlot, Mark, Series, Shown, Size, Stroke, Ticks};
use crate::format::wrapped;
use crate::plot::place::legend_rows;
use crate::plot::scale::{Kind, Scale, padded};
use crate::plot::shapes::text_width;
use crate::summary::Spread;

pub(super) const LEGEND_ROW: f64 = 20.0;
pub(super) const TITLE_ROW: f64 = 16.0;

/// Everything that has its place.
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// The title of the y axis, in lines that fit.
    pub(super) y_title: Vec<String>,
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

    /// From the first place to the last, names along the axis included; without what comes before all lines enter.
    pub(super) fn x_range(&self) -> (f64, f64) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (x, _) in self.marks() {
            (low, high) = (low.min(x), high.max(x));
        }
        match &self.x.ticks {
            Ticks::Named(names) if low <= high => {
                let places = names.iter().map(|(x, _)| *x).filter(|x| x.is_finite());
                places.fold((low, high), |(low, high), x| (low.min(x), high.max(x)))
            }
            Ticks::Named(_) => (low, high),
            Ticks::Counts => {
                let entries = self.series.iter().flat_map(|series| &series.strokes).filter_map(|s| self.entry(s));
                (entries.fold(f64::INFINITY, f64::min).max(low), high)
            }
        }
    }

    /// The place before the one at which the stroke is first seen.
    fn entry(&self, stroke: &Stroke) -> Option<f64> {
        let (low, high) = self.y_range();
        let seen = |mark: &Mark| mark.spread.is_some_and(|s| (low..=high).contains(&s.median));
        let first = stroke.marks.iter().position(seen)?;
        Some(stroke.marks[first.saturating_sub(1)].x)
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
        let near_levels = self.references.iter().filter(|r| r.shown == Shown::WhenNear).map(|r| r.y);
        for y in edges.chain(near_levels).filter(|y| near(*y)) {
            (low, high) = (low.min(y), high.max(y));
        }
        for y in self.references.iter().filter(|r| r.shown == Shown::Always).map(|r| r.y) {
            (low, high) = (low.min(y), high.max(y));
        }
        let (least, most) = self.limits;
        if least < high && low < most { (low.max(least), high.min(most)) } else { (low, high) }
    }

    pub(super) fn layout(&self, size: Size) -> Layout {
        let (width, height): (f64, f64) = if size == Size::Wide { (920.0, 380.0) } else { (400.0, 330.0) };
        let labels: Vec<&str> = self.series.iter().map(|series| series.label.as_str()).collect();
        let longest = labels.iter().map(|label| text_width(label)).fold(0.0, f64::max);
        let at_ends = size == Size::Wide && longest < 240.0 && self.ends_together();
        let right = if at_ends { width - longest - 22.0 } else { width - 14.0 };
        let rows = if at_ends { 0 } else { legend_rows(&labels, width - 8.0).last().map_or(0, |entry| entry.1 + 1) };
        let y_title = wrapped(&self.y_title, (width / 6.9) as usize);
        // Legend and title do not take the room of the lines.
        let above = rows as f64 * LEGEND_ROW + (y_title.len() - 1) as f64 * TITLE_ROW;
        let (top, height) = (34.0 + above, height + above);
        let x_range = match self.x.kind {
            Kind::Linear => padded(self.x_range(), 0.03),
            Kind::Log => self.x_range(),
        };
        let x = Scale::new(self.x.kind, x_range, (58.0, right));
        let y = Scale::new(Kind::Linear, padded(self.y_range(), 0.06), (height - 46.0, top));
        Layout { width, height, top, right, x, y, y_title, at_ends }
    }

    /// Whether all lines end at about the same place, so that they can be named there.
    pub(super) fn ends_together(&self) -> bool {
        let x = Scale::new(self.x.kind, self.x_range(), (0.0, 1.0));
        let mut ends = self.series.iter().filter_map(Series::end).map(|(at, _)| x.place(at));
        ends.all(|place| place > 0.97)
    }
}
