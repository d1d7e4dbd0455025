use tidemill::metrics::LARGEST_ERROR;

use crate::format;
use crate::results::{Direction, Metric, Results};
use crate::summary::{Spread, Summary};

/// The heading of columns that need none where headings stand alone.
pub(super) const WHOLE: &str = "whole training";

/// A table: a row a strategy, columns of medians.
pub(crate) struct Block {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Label>,
    pub(crate) columns: Vec<Column>,
}

/// The head of a row.
pub(crate) struct Label {
    pub(crate) text: String,
    /// The place of the strategy, which gives its colour; none for the baseline.
    pub(crate) series: Option<usize>,
}

/// A column and the heading that it shares with its neighbours.
pub(crate) struct Column {
    pub(crate) group: String,
    /// In one or two lines.
    pub(crate) title: String,
    pub(crate) cells: Vec<Cell>,
    /// Whether its range over seeds is shown beside it where there is no room below it.
    pub(crate) range: Range,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    Beside,
    Left,
}

#[derive(Clone, Default)]
pub(crate) struct Cell {
    /// The median; empty when there is nothing to say.
    pub(crate) text: String,
    /// Smallest and largest over seeds.
    pub(crate) range: Option<String>,
    /// Whether no other median is better.
    pub(crate) best: bool,
}

/// How one column is made of the summaries.
struct Make<'a> {
    summaries: &'a [Summary],
    group: String,
    /// Which strategies may be best.
    eligible: fn(&Summary) -> bool,
}

/// Whether the best of a column may be marked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marks {
    Best(Direction),
    None,
}

/// How well the strategies predict.
pub(crate) fn quality(results: &Results, summaries: &[Summary]) -> Block {
    let (loss, score) = (&results.metrics.loss, &results.metrics.score);
    let marks = |metric: &Metric| Marks::Best(metric.direction);
    let tested = |metric: &Metric| if same_rows(summaries) { marks(metric) } else { Marks::None };
    let held_out = Make { summaries, group: "held-out rows".into(), eligible: |_| true };
    let prequential = Make { summaries, group: "prequential".into(), eligible: |_| true };
    let mut columns = vec![
        held_out.column(&loss.name, marks(loss), format::decimal, |s| s.held_out_loss),
        held_out.column(&score.name, marks(score), format::decimal, |s| s.held_out_score),
        prequential.column(&loss.name, tested(loss), format::decimal, |s| s.prequential_loss),
        prequential.column(&score.name, tested(score), format::decimal, |s| s.prequential_score),
    ];
    columns[0].range = Range::Beside;
    let mut rows = labels(summaries);
    if let Some(baseline) = &results.baseline {
        rows.push(Label { text: baseline.label.clone(), series: None });
        let values = [Some(baseline.held_out.loss), Some(baseline.held_out.score), None, None];
        for (column, value) in columns.iter_mut().zip(values) {
            column.cells.push(Cell { text: value.map_or_else(String::new, format::decimal), ..Cell::default() });
        }
    }
    Block { title: "Quality", rows, columns }
}

/// What the strategies cost.
pub(crate) fn cost(results: &Results, summaries: &[Summary]) -> Block {
    let (fewest, most) = (Marks::Best(Direction::Lower), Marks::Best(Direction::Higher));
    let run = Make { summaries, group: WHOLE.into(), eligible: |_| true };
    let mut columns = vec![
        run.column("rows\ntrained", fewest, format::count, |s| s.rows_trained),
        run.column("steps", fewest, format::count, |s| s.steps),
        run.column("training\ntime", fewest, format::seconds, |s| s.training_seconds),
        run.column("waited\nfor data", Marks::None, format::seconds, |s| s.waiting_seconds),
        run.column("rows/s", most, format::rate, |s| s.rows_per_second),
        run.column("peak\nmemory", fewest, format::bytes, |s| s.peak_memory),
    ];
    if let Some(target) = results.metrics.target_text() {
        let group = format!("until {} {target}", results.metrics.loss.name);
        // A target that some seeds missed is not to be called reached best.
        let reach = Make { summaries, group, eligible: |s| s.reached_target == s.runs };
        let start = columns.len();
        columns.push(reach.column("rows", fewest, format::count, |s| s.rows_to_target));
        columns.push(reach.column("steps", fewest, format::count, |s| s.steps_to_target));
        columns.push(reach.column("time", fewest, format::seconds, |s| s.seconds_to_target));
        for column in &mut columns[start..] {
            let never = summaries.iter().map(|s| s.runs > 0 && s.reached_target == 0);
            let cells = column.cells.iter_mut().zip(never).filter(|(_, never)| *never);
            cells.for_each(|(cell, _)| cell.text = "never".into());
        }
    }
    Block { title: "Cost", rows: labels(summaries), columns }
}

/// What must be known to read the tables.
pub(crate) fn footnotes(results: &Results, summaries: &[Summary]) -> Vec<String> {
    let seeds = results.settings.seeds.len();
    let mut notes = Vec::new();
    if seeds > 1 {
        notes.push(format!("Values are medians of {} seeds.", format::number(seeds)));
    }
    for summary in summaries.iter().filter(|s| s.runs < seeds) {
        let runs = format!("{} of {}", summary.runs, seeds);
        notes.push(format!("{}: {runs} runs have a result.", summary.label));
    }
    let some = |s: &&Summary| s.reached_target > 0 && s.reached_target < s.runs;
    for summary in summaries.iter().filter(some) {
        let runs = format!("{} of {} runs", summary.reached_target, summary.runs);
        notes.push(format!("{} reached the target loss in {runs}; its values are of those.", summary.label));
    }
    if !same_rows(summaries) {
        notes.push("Prequential values are over different rows, so none is marked as best.".into());
    }
    let scores = results.runs.iter().flat_map(|run| [Some(run.held_out), run.prequential]).flatten();
    let bound = scores.map(|scores| scores.score_error).fold(0.0, f64::max);
    if bound > LARGEST_ERROR {
        notes.push(format!("A score that is not known to within {LARGEST_ERROR} is not given."));
    } else if bound > 0.0 {
        notes.push(format!("Scores are known to within {bound:.1e}."));
    }
    notes
}

fn labels(summaries: &[Summary]) -> Vec<Label> {
    summaries.iter().map(|s| Label { text: s.label.clone(), series: Some(s.index) }).collect()
}

/// Whether all that tested before training did so on equally many rows.
fn same_rows(summaries: &[Summary]) -> bool {
    let mut rows = summaries.iter().filter_map(|s| s.prequential_rows);
    rows.next().is_none_or(|first| rows.all(|other| other.median == first.median))
}

impl Make<'_> {
    fn column(
        &self,
        title: &str,
        marks: Marks,
        text: fn(f64) -> String,
        value: impl Fn(&Summary) -> Option<Spread>,
    ) -> Column {
        let spreads: Vec<Option<Spread>> = self.summaries.iter().map(value).collect();
        let best = self.best(&spreads, marks, text);
        let cell = |(spread, summary): (&Option<Spread>, &Summary)| {
            spread.map_or_else(Cell::default, |spread| {
                let shown = text(spread.median);
                let (min, max) = (text(spread.min), text(spread.max));
                let range = (spread.count > 1 && min != max).then(|| range_text(&min, &max));
                let best = (self.eligible)(summary) && best.as_ref() == Some(&shown);
                Cell { best, text: shown, range }
            })
        };
        let cells = spreads.iter().zip(self.summaries).map(cell).collect();
        Column { group: self.group.clone(), title: title.into(), cells, range: Range::Left }
    }

    /// The best median as shown, so that what looks the same is marked the same; none when all look the same.
    fn best(&self, spreads: &[Option<Spread>], marks: Marks, text: fn(f64) -> String) -> Option<String> {
        let Marks::Best(direction) = marks else { return None };
        let shown: Vec<String> = spreads.iter().flatten().map(|s| text(s.median)).collect();
        let differ = shown.iter().any(|other| *other != shown[0]);
        let beaten = self.summaries.iter().any(|summary| summary.runs > 0 && !(self.eligible)(summary));
        let pairs = spreads.iter().zip(self.summaries).filter(|(_, summary)| (self.eligible)(summary));
        let eligible = pairs.filter_map(|(spread, _)| Some(spread.as_ref()?.median));
        let best = eligible.reduce(|a, b| if direction.better(b, a) { b } else { a })?;
        (differ || beaten).then(|| text(best))
    }
}

/// A range whose unit is told once.
fn range_text(min: &str, max: &str) -> String {
    match (min.rsplit_once(' '), max.rsplit_once(' ')) {
        (Some((least, unit)), Some((_, same))) if unit == same => format!("{least} to {max}"),
        _ => format!("{min} to {max}"),
    }
}
