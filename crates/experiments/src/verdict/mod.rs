//! What the numbers say, in plain words.
//!
//! Two strategies are called *level* when their ranges (smallest to largest) over the seeds overlap: then a seed of the
//! one could have been a seed of the other.

mod findings;

use std::fmt;

use crate::format::{capitalized, decimal, listed, number, percent, wrapped};
use crate::printable::printable;
use crate::results::{Direction, Failure, Results};
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
    let findings = ranking.as_ref().map_or_else(Vec::new, |ranking| findings::findings(results, &summaries, ranking));
    Verdict { headline, findings, caveats: caveats(results, ranking.as_ref()) }
}

/// The verdict as text of at most 100 columns.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marked = |text: &String, mark| (mark, printable(text).into_owned());
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
    let median = match spread.count {
        1 => String::new(),
        count => format!(" (median of {} seeds)", number(count)),
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
        Seeds::Single => "their differences are within what the seeds show of chance",
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

fn caveats(results: &Results, ranking: Option<&Ranking>) -> Vec<String> {
    let mut caveats: Vec<String> = results.notice.iter().cloned().collect();
    caveats.extend(missing(results));
    if !results.complete {
        caveats.push("The comparison is not finished: what it says may still change.".into());
    }
    let diverged = results.runs.iter().filter(|run| !run.held_out.loss.is_finite()).count();
    if diverged > 0 {
        let runs = if diverged == 1 { "run" } else { "runs" };
        let text = format!("{} {runs} ended with a loss that is not finite and counts in no median.", number(diverged));
        caveats.push(capitalized(&text));
    }
    if ranking.is_some_and(|ranking| ranking.seeds == Seeds::Single) {
        caveats.push("Where there is only a single seed, chance cannot be told from difference.".into());
    }
    if results.settings.quick {
        caveats.push("This was a quick trial: it shows that everything works, not which way is best.".into());
    }
    caveats
}

/// Which runs have no result and why; seeds that share a reason are told together.
fn missing(results: &Results) -> Option<String> {
    let missing = results.missing();
    let mut groups: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for Failure { strategy, seed, reason } in &missing {
        let label = results.label(strategy);
        match groups.iter_mut().find(|(other, why, _)| *other == label && why == reason) {
            Some((_, _, seeds)) => seeds.push(seed.to_string()),
            None => groups.push((label, reason, vec![seed.to_string()])),
        }
    }
    let told = |(label, reason, seeds): &(&str, &str, Vec<String>)| {
        let word = if seeds.len() == 1 { "seed" } else { "seeds" };
        format!("{label}, {word} {} ({reason})", listed(seeds))
    };
    let told: Vec<String> = groups.iter().map(told).collect();
    let runs = if missing.len() == 1 { "run has" } else { "runs have" };
    let all = format!("{} of {} {runs} no result: {}.", missing.len(), results.planned(), told.join("; "));
    (!missing.is_empty()).then_some(all)
}
