//! What the numbers say, in plain words.
//!
//! Two strategies are called *level* when their ranges (smallest to largest) over the seeds overlap: then a seed of the
//! one could have been a seed of the other.

mod findings;

use std::fmt;

use crate::format::{capitalized, decimal, listed, number, percent};
use crate::results::{Direction, Results};
use crate::summary::{Spread, Summary, summarize};

/// The verdict on a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which way was best on the held-out rows.
    pub headline: String,
    /// What else there is to weigh, a sentence or two each: cost, memory, drift.
    pub findings: Vec<String>,
    /// What to keep in mind before acting on it: runs missing, a single seed, a quick trial.
    pub caveats: Vec<String>,
}

/// Reads the verdict from the results.
pub fn verdict(results: &Results) -> Verdict {
    let summaries = summarize(results);
    let ranking = Ranking::of(results, &summaries);
    let headline = match &ranking {
        None => "There is nothing to compare yet: no run has a finite loss on the held-out rows.".into(),
        Some(ranking) => headline(results, ranking),
    };
    let findings = ranking.map_or_else(Vec::new, |ranking| findings::findings(results, &summaries, &ranking));
    Verdict { headline, findings, caveats: caveats(results) }
}

/// The verdict as text of at most 100 columns.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marked = |text: &String, mark| (mark, text.clone());
        let lines = std::iter::once(marked(&self.headline, ""))
            .chain(self.findings.iter().map(|text| marked(text, "- ")))
            .chain(self.caveats.iter().map(|text| marked(text, "! ")));
        for (mark, text) in lines {
            let mut indent = mark;
            for line in wrapped(&text, 100 - mark.len()) {
                writeln!(f, "{indent}{line}")?;
                indent = if mark.is_empty() { "" } else { "  " };
            }
        }
        Ok(())
    }
}

/// The strategies that have a held-out loss, the best median first.
pub(crate) struct Ranking<'a> {
    /// The best and those level with it.
    pub(crate) leaders: Vec<(&'a Summary, Spread)>,
    /// The others.
    pub(crate) behind: Vec<(&'a Summary, Spread)>,
    /// Whether there are seeds enough to tell chance from difference.
    pub(crate) seeds: Seeds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seeds {
    Single,
    Several,
}

impl<'a> Ranking<'a> {
    fn of(results: &Results, summaries: &'a [Summary]) -> Option<Self> {
        let direction = results.metrics.loss.direction;
        let mut ranked: Vec<_> = summaries.iter().filter_map(|s| Some((s, s.held_out_loss?))).collect();
        ranked.sort_by(|(_, a), (_, b)| match direction {
            Direction::Lower => a.median.total_cmp(&b.median),
            Direction::Higher => b.median.total_cmp(&a.median),
        });
        let best = ranked.first()?.1;
        let seeds = if ranked.iter().any(|(_, s)| s.count < 2) { Seeds::Single } else { Seeds::Several };
        let (leaders, behind) = ranked.into_iter().partition(|(_, spread)| spread.overlaps(&best));
        Some(Self { leaders, behind, seeds })
    }

    /// The best strategy and its loss.
    pub(crate) fn best(&self) -> (&'a Summary, Spread) {
        self.leaders[0]
    }
}

fn headline(results: &Results, ranking: &Ranking) -> String {
    let loss = &results.metrics.loss.name;
    let (best, spread) = ranking.best();
    let median = match ranking.seeds {
        Seeds::Several => format!(" (median of {} seeds)", number(spread.count)),
        Seeds::Single => String::new(),
    };
    if ranking.leaders.len() + ranking.behind.len() == 1 {
        let value = decimal(spread.median);
        return format!("Only {} has results so far: held-out {loss} {value}{median}.", best.label);
    }
    if ranking.leaders.len() == 1 {
        let (second, other) = ranking.behind[0];
        let sure = match ranking.seeds {
            Seeds::Several => " The difference is larger than the spread over seeds.",
            Seeds::Single => "",
        };
        return format!(
            "{} did best on the held-out rows: {loss} {}{median}, {} than {}, the next, at {}.{sure}",
            best.label,
            decimal(spread.median),
            difference(spread.median, other.median),
            second.label,
            decimal(other.median),
        );
    }
    level(results, ranking, &median)
}

fn level(results: &Results, ranking: &Ranking, median: &str) -> String {
    let loss = &results.metrics.loss.name;
    let labels: Vec<&str> = ranking.leaders.iter().map(|(s, _)| s.label.as_str()).collect();
    let values: Vec<String> = ranking.leaders.iter().map(|(_, spread)| decimal(spread.median)).collect();
    let who = match (ranking.behind.is_empty(), labels.len()) {
        (true, 2) => format!("{} did equally well", listed(&labels)),
        (true, n) => format!("All {} ways did equally well", number(n)),
        (false, _) => format!("{} did best", listed(&labels)),
    };
    let why = match ranking.seeds {
        Seeds::Several => "their differences are within the spread over seeds",
        Seeds::Single => "a single seed shows no difference beyond the spread of the others",
    };
    let mut text = format!("{who} on the held-out rows: {loss} {}{median}; {why}.", listed(&values));
    if let Some((next, spread)) = ranking.behind.first() {
        let (_, best) = ranking.best();
        let more = difference(spread.median, best.median);
        text += &format!(" {} follows at {}, {more} than the best.", next.label, decimal(spread.median));
    }
    text
}

/// How far `a` is from `b`: `2.1 % lower`; in absolute terms where a share of `b` says little.
pub(crate) fn difference(a: f64, b: f64) -> String {
    let word = if a < b { "lower" } else { "higher" };
    let share = (a - b).abs() / b.abs();
    if b > 0.0 && a > 0.0 && share < 1.0 {
        format!("{} {word}", percent(share))
    } else {
        format!("{} {word}", decimal((a - b).abs()))
    }
}

fn caveats(results: &Results) -> Vec<String> {
    let mut caveats: Vec<String> = results.notice.iter().cloned().collect();
    let missing = results.missing();
    if !missing.is_empty() {
        let runs = if missing.len() == 1 { "run has" } else { "runs have" };
        let mut text = format!("{} of {} {runs} no result", missing.len(), results.planned());
        for (i, failure) in missing.iter().take(4).enumerate() {
            let mark = if i == 0 { ": " } else { "; " };
            let Failed { label, seed, reason } = Failed::of(results, failure);
            text += &format!("{mark}{label}, seed {seed} ({reason})");
        }
        let more = missing.len().saturating_sub(4);
        text += &if more > 0 { format!("; and {more} more.") } else { ".".to_string() };
        caveats.push(text);
    }
    if !results.complete {
        caveats.push("The comparison is not finished: what it says may still change.".into());
    }
    let diverged = results.runs.iter().filter(|run| !run.held_out.loss.is_finite()).count();
    if diverged > 0 {
        let runs = if diverged == 1 { "run" } else { "runs" };
        let text = format!("{} {runs} ended with a loss that is not finite and counts in no median.", number(diverged));
        caveats.push(capitalized(&text));
    }
    if results.settings.seeds.len() == 1 {
        caveats.push("With a single seed, chance cannot be told from difference.".into());
    }
    if results.settings.quick {
        caveats.push("This was a quick trial: it shows that everything works, not which way is best.".into());
    }
    caveats
}

struct Failed<'a> {
    label: &'a str,
    seed: u64,
    reason: &'a str,
}

impl<'a> Failed<'a> {
    fn of(results: &'a Results, failure: &'a crate::results::Failure) -> Self {
        Self { label: results.label(&failure.strategy), seed: failure.seed, reason: &failure.reason }
    }
}

/// The text in lines of at most `width` characters, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.into());
        }
    }
    lines
}
