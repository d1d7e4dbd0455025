use super::page::section;
use crate::format::{bytes, capitalized, count, decimal, exact, seconds};
use crate::markup::Markup;
use crate::plot::{Bar, BarPlot, Boundary, Kind, LinePlot, Mark, Reference, Series, Shown, Size, Stroke, Ticks, XAxis};
use crate::results::{Direction, Metric, ModelState, Point, Results, Run, Segment, Strategy};
use crate::summary::{Spread, Summary, band};

/// All plots, each with what to look at below it.
pub(super) fn figures(m: &mut Markup, results: &Results, summaries: &[Summary]) {
    let (loss, score) = (&results.metrics.loss, &results.metrics.score);
    let segment = &results.data.segment;
    section(m, "Over time");
    let explained = format!(
        "Each point is a {segment}. Hollow markers: predicted before being trained on (prequential). \
         Full markers: held out, predicted by the final model, which learns no more."
    );
    let by_loss = over_time(results, "time-loss", loss, |s| s.loss);
    let by_score = over_time(results, "time-score", score, |s| s.score);
    figure(m, &by_loss, &format!("{} by {segment}", loss.name), &explained);
    figure(m, &by_score, &format!("{} by {segment}", score.name), "The same rows and models, by the score.");
    if let Some((reference, plot)) = most_tested(results).and_then(|way| Some((way, against(results, way)?))) {
        let caption = format!(
            "{0} is the level line. Every point is the difference between two runs with the same seed on the same rows, \
             tested in the same manner.",
            reference.label
        );
        figure(m, &plot, &format!("{} by {segment}, against {}", loss.name, reference.label), &caption);
    }
    m.close();

    section(m, "Quality against cost");
    let learning = learning(results);
    let caption = "How far each way had come after training on that many rows, a row counted every time. \
                   The further left a line comes down, the fewer rows it needs.";
    figure(m, &learning, &format!("held-out {} against rows trained", loss.name), caption);
    m.open("figure").element("h3", "What each way costs").open("div").attr("class", "panels");
    bars(summaries).iter().filter(|plot| !plot.is_empty()).for_each(|plot| {
        m.raw(&plot.svg());
    });
    m.close().close().close();
}

fn figure(m: &mut Markup, plot: &LinePlot, title: &str, caption: &str) {
    m.open("figure").element("h3", capitalized(title));
    if plot.is_empty() {
        m.element("figcaption", "There are no values to show yet.").close();
        return;
    }
    m.raw(&plot.svg(Size::Wide)).raw(&plot.svg(Size::Narrow));
    let cut = plot
        .cut_off()
        .map_or_else(String::new, |y| format!(" Values beyond the axis are cut off; the farthest is {}.", decimal(y)));
    m.element("figcaption", format!("{caption}{cut}")).close();
}

fn y_title(what: &str, metric: &Metric) -> String {
    let better = match metric.direction {
        Direction::Lower => "lower is better",
        Direction::Higher => "higher is better",
    };
    format!("{}, {better}", axis_title(what, metric))
}

/// The metric with its unit, as on an axis.
fn axis_title(what: &str, metric: &Metric) -> String {
    let name = capitalized(&format!("{what}{}", metric.name));
    if metric.unit.is_empty() { name } else { format!("{name} ({})", metric.unit) }
}

/// How well every segment was predicted.
fn over_time(results: &Results, id: &str, metric: &Metric, value: fn(&Segment) -> f64) -> LinePlot {
    let segment = &results.data.segment;
    LinePlot {
        description: format!("{} of every {segment} for each way to train", metric.name),
        y_title: y_title("", metric),
        series: segment_series(results, |run| run.segments.clone(), value),
        ..time_plot(results, id)
    }
}

/// The loss of every segment less that of one strategy with the same seed; none when only one strategy has any.
///
/// Months differ more than strategies do, which hides how the strategies differ.
fn against(results: &Results, reference: &Strategy) -> Option<LinePlot> {
    let metric = &results.metrics.loss;
    let differences = |run: &Run| -> Vec<Segment> {
        let other = results.runs_of(&reference.name).find(|other| other.seed == run.seed);
        let pair = |segment: &Segment| {
            let same =
                |s: &&Segment| (s.state, s.first_row, s.rows) == (segment.state, segment.first_row, segment.rows);
            let other = other?.segments.iter().find(same)?;
            Some(Segment { loss: segment.loss - other.loss, ..segment.clone() })
        };
        run.segments.iter().filter_map(pair).collect()
    };
    let mut series = segment_series(results, differences, |s| s.loss);
    series.retain(|series| series.label != reference.label);
    let better = match metric.direction {
        Direction::Lower => "below",
        Direction::Higher => "above",
    };
    let plot = LinePlot {
        description: format!("difference of the {} of each way to train to {}", metric.name, reference.label),
        y_title: format!("{} less that of {}, {better} zero is better", axis_title("", metric), reference.label),
        series,
        references: vec![Reference { y: 0.0, label: reference.label.clone(), shown: Shown::Always }],
        ..time_plot(results, "difference")
    };
    (!plot.is_empty()).then_some(plot)
}

/// The strategy that was tested on the most segments, to which all others can be compared.
fn most_tested(results: &Results) -> Option<&Strategy> {
    let tested = |strategy: &Strategy| {
        let segments = results.runs_of(&strategy.name).flat_map(|run| &run.segments);
        let mut keys: Vec<_> = segments.map(|s| (s.state == ModelState::HeldOut, s.first_row)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    };
    // The first of equals.
    results.strategies.iter().rev().max_by_key(|strategy| tested(strategy))
}

/// What plots over time have in common.
fn time_plot(results: &Results, id: &str) -> LinePlot {
    let segments = results.runs.iter().flat_map(|run| &run.segments);
    let mut ticks: Vec<(f64, String)> = segments.map(|s| (middle(s), s.label.clone())).collect();
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    ticks.dedup_by(|a, b| a.0 == b.0);
    let (before, after) = ("training rows".into(), "held out".into());
    LinePlot {
        id: id.into(),
        description: String::new(),
        x: XAxis {
            title: format!("Rows of the stream in time order, by {}", results.data.segment),
            kind: Kind::Linear,
            ticks: Ticks::Named(ticks),
        },
        y_title: String::new(),
        limits: (f64::NEG_INFINITY, f64::INFINITY),
        series: Vec::new(),
        boundary: Some(Boundary { x: results.data.training_rows as f64, before, after }),
        references: Vec::new(),
    }
}

/// A line for each strategy and each state of its model.
fn segment_series(
    results: &Results,
    segments: impl Fn(&Run) -> Vec<Segment>,
    value: fn(&Segment) -> f64,
) -> Vec<Series> {
    let series = results.strategies.iter().enumerate().map(|(style, strategy)| {
        let all: Vec<Segment> = results.runs_of(&strategy.name).flat_map(&segments).collect();
        let stroke = |state: ModelState| {
            let here: Vec<&Segment> = all.iter().filter(|s| s.state == state).collect();
            Stroke { hollow: state == ModelState::Prequential, marks: segment_marks(&here, value) }
        };
        let strokes = [ModelState::Prequential, ModelState::HeldOut].map(stroke).into();
        Series { style, label: strategy.label.clone(), strokes }
    });
    series.filter(has_values).collect()
}

fn middle(segment: &Segment) -> f64 {
    segment.first_row as f64 + segment.rows as f64 / 2.0
}

/// The spread over runs at every segment that one of them has, in order.
fn segment_marks(segments: &[&Segment], value: fn(&Segment) -> f64) -> Vec<Mark> {
    let mut places: Vec<(f64, &str)> = segments.iter().map(|s| (middle(s), s.label.as_str())).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.dedup_by(|a, b| a.0 == b.0);
    let mark = |(x, label): (f64, &str)| {
        let here = segments.iter().filter(|s| middle(s) == x);
        Mark { x, spread: Spread::of(here.map(|s| value(s))), name: label.into() }
    };
    places.into_iter().map(mark).collect()
}

/// Held-out loss against rows trained.
fn learning(results: &Results) -> LinePlot {
    let loss = &results.metrics.loss;
    let series = results.strategies.iter().enumerate().map(|(style, strategy)| {
        let curve = |points: &[Point]| -> Vec<(f64, f64)> {
            let mut curve: Vec<_> = points.iter().map(|p| (p.rows_trained as f64, p.loss)).collect();
            curve.sort_by(|a, b| a.0.total_cmp(&b.0));
            curve
        };
        let curves: Vec<_> = results.runs_of(&strategy.name).map(|run| curve(&run.curve)).collect();
        let mark = |point: crate::summary::BandPoint| Mark {
            x: point.x,
            spread: point.spread,
            name: format!("{} rows", exact(point.x as u64)),
        };
        // A model that has seen nothing has no place on a logarithmic axis.
        let marks = band(&curves).into_iter().filter(|point| point.x > 0.0).map(mark).collect();
        Series { style, label: strategy.label.clone(), strokes: vec![Stroke { hollow: false, marks }] }
    });
    let series: Vec<Series> = series.filter(has_values).collect();
    let target = results.metrics.target_loss.map(|y| (y, format!("target {}", decimal(y))));
    let baseline = results.baseline.as_ref().map(|b| (b.held_out.loss, b.label.clone()));
    let level = |(y, label)| Reference { y, label, shown: Shown::WhenNear };
    LinePlot {
        id: "learning".into(),
        description: format!("held-out {} of each way to train against the rows it has trained on", loss.name),
        x: XAxis { title: "Rows trained, logarithmic".into(), kind: Kind::Log, ticks: Ticks::Counts },
        y_title: y_title("held-out ", loss),
        limits: limits(results, &series),
        series,
        boundary: None,
        references: target.into_iter().chain(baseline).map(level).collect(),
    }
}

/// Leaves out how bad every strategy was at first, so that it is seen how they end.
///
/// No loss worse than the baseline needs room once every strategy has become better than that; without a baseline, none
/// that is far worse than the worst end.
fn limits(results: &Results, series: &[Series]) -> (f64, f64) {
    let direction = results.metrics.loss.direction;
    let worse = |a: f64, b: f64| if direction.better(a, b) { b } else { a };
    let ends: Vec<Spread> = series.iter().filter_map(Series::end).map(|(_, spread)| spread).collect();
    let strokes = series.iter().flat_map(|series| &series.strokes);
    let all = strokes.flat_map(|stroke| &stroke.marks).filter_map(|mark| Some(mark.spread?.median));
    let (Some(worst), Some(worst_end)) = (all.reduce(worse), ends.iter().map(|s| worse(s.min, s.max)).reduce(worse))
    else {
        return (f64::NEG_INFINITY, f64::INFINITY);
    };
    let between = ends.iter().map(|end| (end.median - worst_end).abs()).fold(0.0, f64::max);
    let room = (4.0 * between).max(0.1 * (worst - worst_end).abs());
    let baseline = results.baseline.as_ref().map(|b| b.held_out.loss).filter(|b| direction.better(worst_end, *b));
    match direction {
        Direction::Lower => (f64::NEG_INFINITY, baseline.unwrap_or(worst_end + room)),
        Direction::Higher => (baseline.unwrap_or(worst_end - room), f64::INFINITY),
    }
}

fn has_values(series: &Series) -> bool {
    series.strokes.iter().flat_map(|stroke| &stroke.marks).any(|mark| mark.spread.is_some())
}

fn bars(summaries: &[Summary]) -> [BarPlot; 3] {
    let plot = |title: &str, text: fn(f64) -> String, value: fn(&Summary) -> Option<Spread>| BarPlot {
        description: format!("{title} of each way to train"),
        title: title.into(),
        bars: summaries.iter().map(|s| Bar { style: s.index, label: s.label.clone(), spread: value(s) }).collect(),
        text,
    };
    [
        plot("Rows trained", count, |s| s.rows_trained),
        plot("Training time", seconds, |s| s.training_seconds),
        plot("Peak memory", bytes, |s| s.peak_memory),
    ]
}
