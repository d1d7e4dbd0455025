use tidemill_experiments::report::html;
use tidemill_experiments::results::{Baseline, Failure, ModelState, Point, Results, Scores, Setting};

use crate::samples::results;

/// Elements that HTML never closes.
const VOID: [&str; 1] = ["meta"];

/// Checks that every tag is closed in order, every attribute quoted, every id unique, and nothing points elsewhere.
fn check(page: &str) {
    let body = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    let (before, rest) = body.split_once("<style>").expect("a style");
    let (_, after) = rest.split_once("</style>").expect("an end of the style");
    let body = format!("{before}{after}");
    let mut open: Vec<&str> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    let mut parts = body.split('<');
    assert_eq!(parts.next().map(str::trim), Some(""), "text before the first tag");
    for part in parts {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("no end of <{part}"));
        assert!(!text.contains('>'), "a > that is not escaped: {text}");
        check_escapes(text);
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes another element");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        check_attributes(attributes, &mut ids);
        if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is used twice");
    for word in ["NaN", "inf ", "inf\"", "<script", "http://", "https://", "url(http", "@import"] {
        assert!(!page.contains(word), "the page has {word:?}");
    }
}

fn check_escapes(text: &str) {
    for entity in text.split('&').skip(1) {
        let known = ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| entity.starts_with(known));
        assert!(known, "a & that is not escaped: {entity}");
    }
}

fn check_attributes<'a>(attributes: &'a str, ids: &mut Vec<&'a str>) {
    let mut rest = attributes;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no value in {rest:?}"));
        let (value, more) = value.split_once('"').unwrap_or_else(|| panic!("no end of the value in {rest:?}"));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "an attribute named {name:?}");
        check_escapes(value);
        if name == "id" {
            ids.push(value);
        }
        rest = more.trim_start();
    }
}

fn sample() -> Results {
    results(&[("Online", &[0.46, 0.461, 0.459]), ("Batch", &[0.42, 0.421, 0.419])])
}

#[test]
fn the_page_is_well_formed_and_complete() {
    let mut compared = sample();
    compared.baseline = Some(Baseline {
        label: "Always the mean".into(),
        held_out: Scores { rows: 100, loss: 0.69, score: 0.5, score_error: 0.0 },
    });
    compared.settings.more.push(Setting { name: "memory budget".into(), value: "1 GB".into() });
    compared.notes.push("Measured by hand.".into());
    let page = html(&compared);
    check(&page);
    for text in [
        "What was compared",
        "Batch did best on the held-out rows",
        "How Online trains.",
        "Always the mean",
        "Until log loss 0.4500",
        "Log loss by quarter",
        "ROC AUC by quarter",
        "Log loss by quarter, against Online",
        "Held-out log loss against rows trained",
        "Peak memory",
        "Measured by hand.",
        "Memory budget",
        "Raw numbers of every run",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(text), "the page lacks {text:?}");
    }
    // Three plots over time, one of learning, each for wide and narrow pages.
    assert_eq!(page.matches("class=\"plot wide\"").count(), 4);
    assert_eq!(page.matches("class=\"plot narrow\"").count(), 4);
    assert_eq!(page.matches("class=\"plot bars\"").count(), 3);
}

#[test]
fn every_text_is_escaped() {
    let evil = "</title><script>alert('x')</script> & \"q\"";
    let mut compared = sample();
    let texts = [
        &mut compared.title,
        &mut compared.task.target,
        &mut compared.task.description,
        &mut compared.data.name,
        &mut compared.data.segment,
        &mut compared.data.source,
        &mut compared.machine.cpu,
        &mut compared.machine.os,
        &mut compared.settings.model,
        &mut compared.settings.optimizer,
        &mut compared.metrics.loss.name,
        &mut compared.metrics.loss.unit,
        &mut compared.metrics.score.name,
        &mut compared.started,
        &mut compared.strategies[0].label,
        &mut compared.runs[0].segments[0].label,
    ];
    texts.into_iter().for_each(|text| *text = evil.into());
    compared.strategies[0].description = evil.into();
    compared.notice = Some(evil.into());
    compared.notes.push(evil.into());
    compared.runs[0].note = Some(evil.into());
    compared.settings.more.push(Setting { name: evil.into(), value: evil.into() });
    compared.baseline =
        Some(Baseline { label: evil.into(), held_out: Scores { rows: 1, loss: 0.6, score: 0.5, score_error: 0.0 } });
    compared.failures.push(Failure { strategy: "online".into(), seed: 3, reason: evil.into() });
    compared.runs.remove(2);
    check(&html(&compared));
}

#[test]
fn empty_and_odd_results_have_a_page() {
    check(&html(&results(&[])));
    check(&html(&results(&[("Batch", &[])])));
    check(&html(&results(&[("Batch", &[0.4])])));
    check(&html(&results(&[("Batch", &[f64::NAN, f64::INFINITY]), ("Online", &[f64::NAN, f64::NAN])])));
    check(&html(&results(&[("Batch", &[0.0, 0.0]), ("Online", &[-1e300, 1e300])])));
    let many: Vec<String> = (0..20).map(|i| format!("A rather long name, number {i}")).collect();
    let many: Vec<(&str, &[f64])> = many.iter().map(|label| (label.as_str(), &[0.4, 0.5][..])).collect();
    check(&html(&results(&many[..8])));
}

#[test]
fn empty_single_and_unordered_curves_are_drawn() {
    let mut compared = sample();
    compared.runs[0].curve.clear();
    compared.runs[0].segments.clear();
    compared.runs[1].curve.truncate(1);
    compared.runs[1].segments.truncate(1);
    compared.runs[2].curve.reverse();
    compared.runs[3].curve[1].loss = f64::NAN;
    compared.runs[4].curve.push(Point { rows_trained: 0, position: 0, seconds: f64::NAN, loss: 1e308, score: -1e308 });
    compared.runs[5].segments.iter_mut().for_each(|s| (s.rows, s.loss) = (0, f64::NAN));
    check(&html(&compared));
    compared.runs.iter_mut().for_each(|run| run.curve.clear());
    compared.runs.iter_mut().for_each(|run| run.segments.clear());
    let page = html(&compared);
    check(&page);
    assert_eq!(page.matches("There are no values to show yet.").count(), 3);
}

#[test]
fn a_line_breaks_where_a_value_is_missing() {
    let mut compared = results(&[("Online", &[0.4])]);
    compared.runs[0].segments.iter_mut().for_each(|s| s.state = ModelState::HeldOut);
    let line = |page: &str| {
        let (_, plot) = page.split_once("class=\"plot wide\"").expect("a plot");
        let (_, path) = plot.split_once("class=\"line\"").expect("a line");
        let (_, path) = path.split_once(" d=\"").expect("a path");
        path.split_once('"').expect("its end").0.to_string()
    };
    assert_eq!(line(&html(&compared)).matches('M').count(), 1);
    compared.runs[0].segments[1].loss = f64::NAN;
    let broken = line(&html(&compared));
    assert_eq!((broken.matches('M').count(), broken.matches('L').count()), (2, 1), "{broken}");
}

/// The loss of a model that has learnt nothing would flatten what is to be compared.
#[test]
fn values_beyond_the_axis_are_told() {
    let mut compared = sample();
    assert!(!html(&compared).contains("cut off"));
    compared.runs.iter_mut().for_each(|run| run.curve[0].loss = 9.75);
    let page = html(&compared);
    check(&page);
    assert!(page.contains("Values beyond the axis are cut off; the farthest is 9.7500."));
}

#[test]
fn incomplete_results_say_so() {
    let mut compared = sample();
    compared.runs.truncate(4);
    compared.complete = false;
    let page = html(&compared);
    check(&page);
    assert!(page.contains("2 of 6 runs have no result: Batch, seeds 2 and 3 (not run yet)."));
    assert!(page.contains("The comparison is not finished"));
}
