mod frame;
mod layout;
mod strokes;

use super::scale::Kind;
use crate::markup::{Markup, Px};
use crate::summary::Spread;

/// Lines over a common x, each with the range over seeds as a band around it.
pub(crate) struct LinePlot {
    /// Unique on the page.
    pub(crate) id: String,
    /// What is to be seen, for those who cannot see it.
    pub(crate) description: String,
    pub(crate) x: XAxis,
    pub(crate) y_title: String,
    /// Beyond these the y axis never reaches.
    pub(crate) limits: (f64, f64),
    pub(crate) series: Vec<Series>,
    /// Where two parts of the x axis meet.
    pub(crate) boundary: Option<Boundary>,
    /// Level lines.
    pub(crate) references: Vec<Reference>,
}

pub(crate) struct XAxis {
    pub(crate) title: String,
    pub(crate) kind: Kind,
    pub(crate) ticks: Ticks,
}

/// What stands along the x axis.
pub(crate) enum Ticks {
    /// Round numbers.
    Counts,
    /// Names at their places.
    Named(Vec<(f64, String)>),
}

pub(crate) struct Series {
    pub(crate) style: usize,
    pub(crate) label: String,
    pub(crate) strokes: Vec<Stroke>,
}

/// A line without interruption.
pub(crate) struct Stroke {
    pub(crate) hollow: bool,
    pub(crate) marks: Vec<Mark>,
}

pub(crate) struct Mark {
    pub(crate) x: f64,
    /// None where there is no finite value, which breaks the line.
    pub(crate) spread: Option<Spread>,
    /// What is told on hovering, before the value.
    pub(crate) name: String,
}

pub(crate) struct Boundary {
    pub(crate) x: f64,
    pub(crate) before: String,
    pub(crate) after: String,
}

pub(crate) struct Reference {
    pub(crate) y: f64,
    pub(crate) label: String,
    pub(crate) shown: Shown,
}

/// Whether the y axis is made to reach a level line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Always,
    /// When it is not far from the values.
    WhenNear,
}

/// For which page the plot is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Wide,
    Narrow,
}

impl LinePlot {
    /// Whether there is anything to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.marks().next().is_none()
    }

    /// The farthest value left out because it would flatten all others; none when all are shown.
    pub(crate) fn cut_off(&self) -> Option<f64> {
        let (low, high) = self.y_range();
        let edges = self.marks().flat_map(|(_, s)| [s.min, s.max]);
        let off = edges.filter(|y| !(low..=high).contains(y));
        off.max_by(|a, b| (a - high).abs().total_cmp(&(b - high).abs()))
    }

    pub(crate) fn svg(&self, size: Size) -> String {
        let layout = self.layout(size);
        let mut m = Markup::default();
        let view = format!("0 0 {} {}", Px(layout.width), Px(layout.height));
        let class = if size == Size::Wide { "plot wide" } else { "plot narrow" };
        m.open("svg")
            .attr("class", class)
            .attr("viewBox", view)
            .attr("role", "img")
            .attr("aria-label", &self.description);
        self.frame(&mut m, &layout);
        self.x_axis(&mut m, &layout, size);
        self.level_lines(&mut m, &layout);

        let clip = format!("{}-{}", self.id, if size == Size::Wide { "w" } else { "n" });
        m.open("clipPath").attr("id", &clip).open("rect");
        let (left, bottom) = (layout.x.place(layout.x.low()), layout.y.place(layout.y.low()));
        m.attr("x", Px(left - 6.0)).attr("y", Px(layout.top - 1.0));
        m.attr("width", Px(layout.right - left + 12.0)).attr("height", Px(bottom - layout.top + 2.0)).close().close();
        m.open("g").attr("clip-path", format!("url(#{clip})"));
        self.series.iter().for_each(|series| strokes::bands(&mut m, &layout, series));
        self.series.iter().for_each(|series| strokes::strokes(&mut m, &layout, series));
        m.close();

        if layout.at_ends {
            self.end_labels(&mut m, &layout)
        } else {
            self.legend(&mut m, &layout)
        }
        m.finish()
    }
}

impl Series {
    /// The last place and the values there.
    pub(crate) fn end(&self) -> Option<(f64, Spread)> {
        let marks = self.strokes.iter().flat_map(|stroke| &stroke.marks);
        let ends = marks.filter_map(|mark| Some((mark.x, mark.spread?)));
        ends.max_by(|a, b| a.0.total_cmp(&b.0))
    }
}
