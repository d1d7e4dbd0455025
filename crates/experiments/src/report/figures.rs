use super::page::section;
use crate::format::{bytes, count, decimal, exact, seconds};
use crate::markup::Markup;
use crate::plot::{Bar, BarPlot, Boundary, Kind, LinePlot, Mark, Reference, Series, Size, Stroke, Ticks, XAxis};
use crate::results::{Direction, Metric, ModelState, Point, Results, Segment};
use crate::summary::{Spread, Summary, band};

/// All plots, each with what to look at below it.
pub(super) fn figures(m: &mut Markup, results: &Results, summaries: &[Summary]) {
    let (loss, score) = (&results.metrics.loss, &results.metrics.score);
    let segment = &results.data.segment;
    section(m, "Over time");
    let explained = format!(
        "Each point is a {segment}. Hollow markers: predicted just before being trained on (prequential). \
         Full markers: held out, predicted by the final model, which learns no more."
    );
    let by_loss = over_time(results, "loss", loss, |s| s.loss);
    let by_score = over_time(results, "score", score, |s| s.score);
    figure(m, &by_loss, &format!("{} by {segment}", loss.name), &explained);
    figure(m, &by_score, &format!("{} by {segment}", score.name), "The same rows and models, by the score.");
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
    m.open("figure").element("h3", crate::format::capitalized(title));
    if plot.is_empty() {
        m.element("figcaption", "There are no values to show yet.").close();
        return;
    }
    m.raw(&plot.svg(Size::Wide)).raw(&plot.svg(Size::Narrow));
    let cut = plot.cut_off().map_or_else(String::new, |y| {
        format!(" Values far from all others are cut off, the farthest at {}.", decimal(y))
    });
    m.element("figcaption", format!("{caption}{cut}")).close();
}

fn y_title(metric: &Metric) -> String {
    let better = match metric.direction {
        Direction::Lower => "lower is better",
        Direction::Higher => "higher is better",
    };
    format!("{}, {better}", metric.title())
}

/// How well every segment was predicted.
fn over_time(results: &Results, id: &str, metric: &Metric, value: fn(&Segment) -> f64) -> LinePlot {
    let middle = |s: &Segment| s.first_row as f64 + s.rows as f64 / 2.0;
    let series = results.strategies.iter().enumerate().map(|(style, strategy)| {
        let stroke = |state: ModelState| {
            let segments = |run: &'_ crate::results::Run| -> Vec<Segment> {
                run.segments.iter().filter(|s| s.state == state).cloned().collect()
            };
            let runs: Vec<Vec<Segment>> = results.runs_of(&strategy.name).map(segments).collect();
            Stroke { hollow: state == ModelState::Prequential, marks: segment_marks(&runs, middle, value) }
        };
        let strokes = [ModelState::Prequential, ModelState::HeldOut].map(stroke).into();
        Series { style, label: strategy.label.clone(), strokes }
    });
    let series: Vec<Series> = series.filter(has_values).collect();
    let mut ticks: Vec<(f64, String)> =
        results.runs.iter().flat_map(|run| &run.segments).map(|s| (middle(s), s.label.clone())).collect();
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    ticks.dedup_by(|a, b| a.0 == b.0);
    let baseline = results.baseline.as_ref().filter(|_| metric == &results.metrics.loss);
    LinePlot {
        id: format!("time-{id}"),
        description: format!("{} of every {} for each way to train", metric.name, results.data.segment),
        x: XAxis {
            title: format!("Rows of the stream in time order, by {}", results.data.segment),
            kind: Kind::Linear,
            ticks: Ticks::Named(ticks),
        },
        y_title: y_title(metric),
        series,
        boundary: Some(Boundary {
            x: results.data.training_rows as f64,
            before: "training rows".into(),
            after: "held out".into(),
        }),
        references: baseline
            .map(|b| Reference { y: b.held_out.loss, label: format!("{}, held out", b.label) })
            .into_iter()
            .collect(),
    }
}

/// The spread over runs at every segment that one of them has, in order.
fn segment_marks(runs: &[Vec<Segment>], middle: fn(&Segment) -> f64, value: fn(&Segment) -> f64) -> Vec<Mark> {
    let mut places: Vec<(f64, &str)> = runs.iter().flatten().map(|s| (middle(s), s.label.as_str())).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.dedup_by(|a, b| a.0 == b.0);
    let mark = |(x, label): (f64, &str)| {
        let here = runs.iter().flatten().filter(|s| middle(s) == x);
        Mark { x, spread: Spread::of(here.map(value)), name: label.into() }
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
    let target = results.metrics.target_loss.map(|y| Reference { y, label: format!("target {}", decimal(y)) });
    LinePlot {
        id: "learning".into(),
        description: format!("held-out {} of each way to train against the rows it has trained on", loss.name),
        x: XAxis { title: "Rows trained, logarithmic".into(), kind: Kind::Log, ticks: Ticks::Counts },
        y_title: format!("Held-out {}", lower_first(&y_title(loss), &loss.name)),
        series: series.filter(has_values).collect(),
        boundary: None,
        references: target.into_iter().collect(),
    }
}

/// The title with the metric's own spelling, inside a sentence.
fn lower_first(title: &str, name: &str) -> String {
    title.chars().skip(name.chars().count()).fold(name.to_string(), |mut text, c| {
        text.push(c);
        text
    })
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
