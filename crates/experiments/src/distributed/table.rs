use super::link::Link;
use super::rank::Found;
use super::results::{Results, Run, Task, expected_efficiency, sent_bytes};
use super::way::Way;
use crate::format::{bytes, duration, percent, rate, ratio};
use crate::summary::Spread;

/// One row of the tables: a way over a link, medians over seeds.
pub(super) struct Line<'a> {
    pub(super) way: &'a Way,
    /// Its place among the ways, which gives its colour.
    pub(super) index: usize,
    pub(super) link: Option<Link>,
    pub(super) rate: Spread,
    pub(super) to_target: Option<Spread>,
    pub(super) seeds: usize,
    pub(super) held_out: Spread,
    /// Times the rows a second of one process.
    pub(super) speedup: Option<f64>,
    pub(super) efficiency: Option<f64>,
    /// By the formula, where the link has a rate.
    pub(super) expected: Option<f64>,
    pub(super) bytes_a_step: f64,
    pub(super) in_sums: f64,
    pub(super) waiting: f64,
}

/// The rows of a task: what needs no link, then link by link.
pub(super) fn lines<'a>(results: &'a Results, task: &'a Task) -> Vec<Line<'a>> {
    let serial = results.serial_rate(&task.name);
    let alone = results.ways.iter().enumerate().filter(|(_, way)| way.ranks == 1).map(|way| (None, way));
    let links = results.links();
    let together = links.into_iter().flat_map(|link| {
        results.ways.iter().enumerate().filter(|(_, way)| way.ranks > 1).map(move |way| (Some(link), way))
    });
    alone.chain(together).filter_map(|(link, (index, way))| line(results, task, (index, way), link, serial)).collect()
}

fn line<'a>(
    results: &'a Results,
    task: &'a Task,
    (index, way): (usize, &'a Way),
    link: Option<Link>,
    serial: Option<f64>,
) -> Option<Line<'a>> {
    let all: Vec<&Found> = results.of(&task.name, way, link.unwrap_or(Link::Memory)).collect();
    let spread = |value: &dyn Fn(&Found) -> f64| Spread::of(all.iter().map(|found| value(found)));
    let rate = spread(&Found::rate)?;
    let share = |name: &'static str| {
        spread(&move |found: &Found| {
            let spent = found.spent.iter().find(|(activity, _)| activity == name).map_or(0.0, |(_, seconds)| *seconds);
            spent / found.seconds
        })
        .map_or(0.0, |share| share.median)
    };
    let workers = (way.ranks * way.threads) as f64;
    let speedup = serial.map(|serial| rate.median / serial);
    let expected = match (link, serial) {
        (Some(Link::Network(Some(bits))), Some(serial)) => {
            let step = task.batch_size as f64 / serial;
            let sent = sent_bytes(way, task.parameters);
            Some(expected_efficiency(step, way.ranks, sent, bits as f64 / 8.0))
        }
        _ => None,
    };
    Some(Line {
        way,
        index,
        link,
        rate,
        to_target: Spread::of(all.iter().filter_map(|found| Some(found.to_target.as_ref()?.seconds))),
        seeds: all.len(),
        held_out: spread(&|found: &Found| found.held_out.loss)?,
        speedup,
        efficiency: speedup.map(|speedup| speedup / workers),
        expected,
        bytes_a_step: spread(&|found: &Found| found.sent as f64 / found.steps.max(1) as f64).map_or(0.0, |s| s.median),
        in_sums: share("sum"),
        waiting: share("wait for ranks"),
    })
}

/// What stands above the columns.
pub(super) const COLUMNS: [&str; 9] =
    ["Rows/s", "\u{d7} serial", "Efficiency", "Expected", "To target", "Final loss", "Sent/step", "Sums", "Waiting"];

impl Line<'_> {
    /// A text for each of [`COLUMNS`].
    pub(super) fn cells(&self) -> [String; COLUMNS.len()] {
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "\u{2013}".into());
        let target = match (&self.to_target, self.seeds) {
            (None, _) => "not reached".into(),
            (Some(reached), seeds) if reached.count < seeds => {
                format!("{} ({} of {seeds})", duration(reached.median), reached.count)
            }
            (Some(reached), _) => duration(reached.median),
        };
        let of_ranks = |text: String| if self.way.ranks > 1 { text } else { "\u{2013}".into() };
        [
            rate(self.rate.median),
            or_nothing(self.speedup.map(|x| format!("{x:.2}"))),
            or_nothing(self.efficiency.map(percent)),
            or_nothing(self.expected.map(percent)),
            target,
            crate::format::decimal(self.held_out.median),
            of_ranks(bytes(self.bytes_a_step)),
            of_ranks(percent(self.in_sums)),
            of_ranks(percent(self.waiting)),
        ]
    }

    /// The way, and the link where there is one.
    pub(super) fn label(&self) -> String {
        self.link.map_or_else(|| self.way.label.clone(), |link| format!("{}, {}", self.way.label, link.label()))
    }
}

/// The tables as text.
pub(super) fn terminal(results: &Results) -> String {
    let mut text = String::new();
    for task in &results.tasks {
        let lines = lines(results, task);
        text += &format!("{}: {}, {} rows a step\n", task.title, task.model, task.batch_size);
        let rows: Vec<Vec<String>> = std::iter::once(vec![String::new()])
            .map(|first| first.into_iter().chain(COLUMNS.map(str::to_owned)).collect())
            .chain(lines.iter().map(|line| std::iter::once(line.label()).chain(line.cells()).collect()))
            .collect();
        let width = |column: usize| rows.iter().map(|row: &Vec<String>| row[column].chars().count()).max().unwrap_or(0);
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                text += &if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// What the numbers say, in sentences.
pub(super) fn findings(results: &Results) -> Vec<String> {
    let mut said = Vec::new();
    for task in &results.tasks {
        let lines = lines(results, task);
        let Some(serial) = lines.iter().find(|line| line.way.name == "serial") else { continue };
        let best = |link: Option<Link>| {
            lines
                .iter()
                .filter(|line| line.link == link && line.way.name != "serial")
                .filter_map(|line| Some((line, line.to_target.filter(|t| t.count == line.seeds)?.median)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
        };
        let Some(alone) = serial.to_target else {
            said.push(format!(
                "{}: one process did not reach the target, so times to it are not compared.",
                task.title
            ));
            continue;
        };
        let places = std::iter::once(None).chain(results.links().into_iter().map(Some));
        for link in places {
            let place = link.map_or("In one process".to_owned(), |link| match link {
                Link::Memory => "With ranks on one host".to_owned(),
                Link::Network(_) => format!("With ranks over {}", link.label()),
            });
            said.push(match best(link) {
                Some((line, seconds)) if seconds < alone.median => format!(
                    "{}. {place}, the target is reached soonest by {}: in {}, {} times as fast as by one thread.",
                    task.title,
                    line.way.label,
                    duration(seconds),
                    ratio(alone.median / seconds)
                ),
                Some((line, seconds)) => format!(
                    "{}. {place}, nothing is faster than one thread ({}); the best is {}, in {}.",
                    task.title,
                    duration(alone.median),
                    line.way.label,
                    duration(seconds)
                ),
                None => format!("{}. {place}, no way reached the target.", task.title),
            });
        }
    }
    said
}

/// Runs that gave nothing, and why.
pub(super) fn failures(results: &Results) -> impl Iterator<Item = (&Run, &String)> {
    results.runs.iter().filter_map(|run| Some((run, run.found.as_ref().err()?)))
}
