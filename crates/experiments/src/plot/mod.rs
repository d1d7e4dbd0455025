//! Plots as SVG: axes, lines with a band around them, bars. Colours and fonts are the page's, by class.

mod bars;
mod lines;
mod place;
mod scale;
mod shapes;

pub(crate) use bars::{Bar, BarPlot};
pub(crate) use lines::{Boundary, LinePlot, Mark, Reference, Series, Shown, Size, Stroke, Ticks, XAxis};
pub(crate) use scale::Kind;
pub(crate) use shapes::legend_sample;
