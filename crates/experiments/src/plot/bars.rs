use super::shapes::{line, style_class, text};
use crate::markup::{Markup, Px};
use crate::summary::Spread;

/// One quantity of every strategy, as horizontal bars from zero.
pub(crate) struct BarPlot {
    /// What is to be seen, for those who cannot see it.
    pub(crate) description: String,
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
    /// How a value is written.
    pub(crate) text: fn(f64) -> String,
}

pub(crate) struct Bar {
    pub(crate) style: usize,
    pub(crate) label: String,
    pub(crate) spread: Option<Spread>,
}

const WIDTH: f64 = 300.0;
const TOP: f64 = 30.0;
const ROW: f64 = 42.0;
/// Room for the value behind the longest bar.
const VALUE: f64 = 76.0;

impl BarPlot {
    /// Whether there is anything to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.bars.iter().all(|bar| bar.spread.is_none())
    }

    pub(crate) fn svg(&self) -> String {
        let height = TOP + ROW * self.bars.len() as f64;
        let mut m = Markup::default();
        let view = format!("0 0 {} {}", Px(WIDTH), Px(height));
        m.open("svg")
            .attr("class", "plot bars")
            .attr("viewBox", view)
            .attr("role", "img")
            .attr("aria-label", &self.description);
        text(&mut m, "title strong", (0.0, 14.0), &self.title);
        let most = self.bars.iter().filter_map(|bar| bar.spread).map(|s| s.max).fold(0.0, f64::max);
        let place = |value: f64| if most > 0.0 { (value / most).clamp(0.0, 1.0) * (WIDTH - VALUE) } else { 0.0 };
        for (i, bar) in self.bars.iter().enumerate() {
            let y = TOP + ROW * i as f64;
            text(&mut m, "label", (0.0, y + 11.0), &bar.label);
            let Some(spread) = bar.spread else {
                text(&mut m, "tick", (0.0, y + 28.0), "no value");
                continue;
            };
            self.bar(&mut m, bar.style, spread, y + 16.0, place);
        }
        m.finish()
    }

    fn bar(&self, m: &mut Markup, style: usize, spread: Spread, y: f64, place: impl Fn(f64) -> f64) {
        let (low, middle, high) = (place(spread.min), place(spread.median), place(spread.max));
        m.open("g").attr("class", style_class(style));
        m.open("rect").attr("class", "bar").attr("x", 0).attr("y", Px(y)).attr("height", 14).attr("rx", 2);
        m.attr("width", Px(middle.max(1.5))).close().close();
        if high - low > 1.5 {
            line(m, "whisker", (low, y + 7.0), (high, y + 7.0));
            line(m, "whisker", (low, y + 3.5), (low, y + 10.5));
            line(m, "whisker", (high, y + 3.5), (high, y + 10.5));
        }
        text(m, "value", (high.max(middle) + 6.0, y + 11.5), &(self.text)(spread.median));
    }
}
