use super::{Ranking, Seeds, difference};
use crate::format::{bytes, capitalized, count, decimal, duration, listed, ratio};
use crate::results::{Direction, ModelState, Results, Run, Segment, TaskKind};
use crate::summary::{Spread, Summary};

/// What there is to weigh beside the held-out loss.
pub(super) fn findings(results: &Results, summaries: &[Summary], ranking: &Ranking) -> Vec<String> {
    let all = [
        baseline(results, ranking),
        score(results, summaries, ranking),
        cost(summaries, ranking),
        memory(summaries),
        target(results, summaries),
        prequential(results, summaries),
        drift(results, ranking),
    ];
    all.into_iter().flatten().collect()
}

/// Best median first.
fn ranked(
    summaries: &[Summary],
    direction: Direction,
    value: impl Fn(&Summary) -> Option<Spread>,
) -> Vec<(&Summary, Spread)> {
    let mut all: Vec<_> = summaries.iter().filter_map(|s| Some((s, value(s)?))).collect();
    all.sort_by(|(_, a), (_, b)| match direction {
        Direction::Lower => a.median.total_cmp(&b.median),
        Direction::Higher => b.median.total_cmp(&a.median),
    });
    all
}

fn baseline(results: &Results, ranking: &Ranking) -> Option<String> {
    let baseline = results.baseline.as_ref().filter(|b| b.held_out.loss.is_finite())?;
    let loss = &results.metrics.loss;
    let (best, spread) = ranking.best();
    let value = decimal(baseline.held_out.loss);
    Some(if loss.direction.better(spread.median, baseline.held_out.loss) {
        let difference = difference(spread.median, baseline.held_out.loss);
        format!("For scale: \"{}\" has a {} of {value}; the best is {difference}.", baseline.label, loss.name)
    } else {
        format!(
            "Nothing useful was learnt: \"{}\" has a {} of {value}, and {}, the best, is no better.",
            baseline.label, loss.name, best.label
        )
    })
}

fn score(results: &Results, summaries: &[Summary], ranking: &Ranking) -> Option<String> {
    let metric = &results.metrics.score;
    let ranked = ranked(summaries, metric.direction, |s| s.held_out_score);
    let (&(first, spread), rest) = ranked.split_first()?;
    let &(second, other) = rest.first()?;
    let name = &metric.name;
    let (value, next) = (decimal(spread.median), decimal(other.median));
    let leads = ranking.leaders.iter().any(|(s, _)| s.name == first.name);
    let verb = if leads { "agrees" } else { "says otherwise" };
    let sure = match (ranking.seeds, spread.overlaps(&other)) {
        (Seeds::Several, true) => ", within the spread over seeds",
        _ => "",
    };
    let text =
        format!("{name} {verb}: {} comes first with {value}, then {} with {next}{sure}.", first.label, second.label);
    Some(capitalized(&text))
}

fn cost(summaries: &[Summary], ranking: &Ranking) -> Option<String> {
    let cost = |s: &Summary| Some((s.rows_trained?.median, s.training_seconds?.median));
    let told = |s: &Summary, (rows, seconds): (f64, f64)| {
        format!("{} trained {} rows in {}", s.label, count(rows), duration(seconds))
    };
    let mut leaders: Vec<_> = ranking.leaders.iter().filter_map(|&(s, _)| Some((s, cost(s)?))).collect();
    leaders.sort_by(|(_, a), (_, b)| a.0.total_cmp(&b.0));
    let &(first, least) = leaders.first()?;
    if let Some(&(last, most)) = leaders.last().filter(|_| leaders.len() > 1) {
        if most.0 == least.0 {
            return Some(format!("The best trained equally many rows, {}, a row counted every time.", count(least.0)));
        }
        let times = ratio(most.0 / least.0);
        let (rows, seconds) = (count(least.0), duration(least.1));
        let only = format!("Of the best, {} is the cheapest with {rows} rows trained in {seconds}", first.label);
        return Some(format!("{only}; {}, {times} times the rows.", told(last, most)));
    }
    let all = ranked(summaries, Direction::Lower, |s| s.rows_trained);
    let cheapest = all.first()?.0;
    let (rows, seconds) = cost(cheapest)?;
    if rows >= least.0 {
        return Some(format!("{}; no other way trained fewer rows.", told(first, least)));
    }
    let times = ratio(least.0 / rows);
    let lost = match (cheapest.held_out_loss, first.held_out_loss) {
        (Some(a), Some(b)) => format!(", for a loss {}", difference(a.median, b.median)),
        _ => String::new(),
    };
    let other = told(cheapest, (rows, seconds));
    Some(format!("{}, {times} times the rows of the cheapest: {other}{lost}.", told(first, least)))
}

fn memory(summaries: &[Summary]) -> Option<String> {
    let ranked = ranked(summaries, Direction::Lower, |s| s.peak_memory);
    let (&(least, low), &(most, high)) = (ranked.first()?, ranked.last()?);
    if ranked.len() < 2 || low.median <= 0.0 {
        return None;
    }
    let (low, high) = (low.median, high.median);
    if high < 1.1 * low {
        return Some(format!("All needed about the same memory, at most {}.", bytes(high)));
    }
    let times = ratio(high / low);
    Some(format!(
        "{} needed the least memory, {}; {} the most, {} ({times} times).",
        least.label,
        bytes(low),
        most.label,
        bytes(high)
    ))
}

fn target(results: &Results, summaries: &[Summary]) -> Option<String> {
    let target = results.metrics.target_text()?;
    let loss = &results.metrics.loss.name;
    let name = format!("a held-out {loss} of {target}");
    let mut ranked = ranked(summaries, Direction::Lower, |s| s.rows_to_target);
    ranked.retain(|(s, _)| s.reached_target == s.runs);
    let Some(&(first, rows)) = ranked.first() else {
        return Some(format!("No way reached {name} with every seed."));
    };
    let mut text = format!("{} reached {name} with the fewest rows, {}", first.label, count(rows.median));
    if let Some(seconds) = first.seconds_to_target {
        text += &format!(", in {}", duration(seconds.median));
    }
    let never: Vec<&str> =
        summaries.iter().filter(|s| s.runs > 0 && s.reached_target == 0).map(|s| s.label.as_str()).collect();
    text += &if never.is_empty() { ".".into() } else { format!("; {} never did.", listed(&never)) };
    Some(text)
}

/// Compares predictions made before training, over the segments that all who made any have in common.
fn prequential(results: &Results, summaries: &[Summary]) -> Option<String> {
    let tested =
        |s: &&Summary| results.runs_of(&s.name).any(|run| segments(run, ModelState::Prequential).next().is_some());
    let with: Vec<&Summary> = summaries.iter().filter(tested).collect();
    if with.len() < 2 {
        return None;
    }
    let common = common_segments(results, &with);
    let (first, last) = (common.first()?, common.last()?);
    let mut losses: Vec<(&Summary, Spread)> = with
        .iter()
        .filter_map(|s| Some((*s, Spread::of(results.runs_of(&s.name).map(|run| pooled(results, run, &common)))?)))
        .collect();
    let direction = results.metrics.loss.direction;
    losses.sort_by(|(_, a), (_, b)| match direction {
        Direction::Lower => a.median.total_cmp(&b.median),
        Direction::Higher => b.median.total_cmp(&a.median),
    });
    let (&(best, spread), &(second, other)) = (losses.first()?, losses.get(1)?);
    let range = if first.0 == last.0 { first.1.clone() } else { format!("{} to {}", first.1, last.1) };
    let sure = if spread.count > 1 && other.count > 1 && spread.overlaps(&other) {
        ", within the spread over seeds"
    } else {
        ""
    };
    Some(format!(
        "Tested on each row before training on it ({range}, the rows that all who test so share), {} did best: {} {} against {} for {}{sure}.",
        best.label,
        results.metrics.loss.name,
        decimal(spread.median),
        decimal(other.median),
        second.label,
    ))
}

fn segments(run: &Run, state: ModelState) -> impl Iterator<Item = &Segment> {
    run.segments.iter().filter(move |s| s.state == state && s.loss.is_finite() && s.rows > 0)
}

/// First row, label and rows of the prequential segments that every run of these strategies has.
fn common_segments(results: &Results, with: &[&Summary]) -> Vec<(u64, String, u64)> {
    let keys = |run: &Run| -> Vec<(u64, String, u64)> {
        segments(run, ModelState::Prequential).map(|s| (s.first_row, s.label.clone(), s.rows)).collect()
    };
    let mut runs = with.iter().flat_map(|s| results.runs_of(&s.name)).map(keys);
    let mut common = runs.next().unwrap_or_default();
    for other in runs {
        common.retain(|key| other.contains(key));
    }
    common.sort();
    common
}

/// The loss over several segments: the mean over rows, of squares where the loss is a root.
fn pooled(results: &Results, run: &Run, common: &[(u64, String, u64)]) -> f64 {
    let root = results.task.kind == TaskKind::Regression;
    let (mut sum, mut rows) = (0.0, 0.0);
    for segment in segments(run, ModelState::Prequential).filter(|s| common.iter().any(|c| c.0 == s.first_row)) {
        let loss = if root { segment.loss * segment.loss } else { segment.loss };
        sum += loss * segment.rows as f64;
        rows += segment.rows as f64;
    }
    if root { (sum / rows).sqrt() } else { sum / rows }
}

/// How much the held-out segments differ among themselves, for the best strategy, against how much the strategies do.
fn drift(results: &Results, ranking: &Ranking) -> Option<String> {
    let (best, spread) = ranking.best();
    let mut labels: Vec<(u64, &str)> = Vec::new();
    for segment in results.runs_of(&best.name).flat_map(|run| segments(run, ModelState::HeldOut)) {
        if !labels.iter().any(|(row, _)| *row == segment.first_row) {
            labels.push((segment.first_row, &segment.label));
        }
    }
    let loss_of = |row: u64| {
        let all = results.runs_of(&best.name).flat_map(|run| segments(run, ModelState::HeldOut));
        Spread::of(all.filter(|s| s.first_row == row).map(|s| s.loss)).map(|s| s.median)
    };
    let mut losses: Vec<(f64, &str)> =
        labels.into_iter().filter_map(|(row, label)| Some((loss_of(row)?, label))).collect();
    losses.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (&(low, easy), &(high, hard)) = (losses.first()?, losses.last()?);
    let (_, worst) = ranking.behind.last().or(ranking.leaders.last()).copied()?;
    let between = (worst.median - spread.median).abs();
    if losses.len() < 2 || high - low <= between || between == 0.0 {
        return None;
    }
    let name = &results.metrics.loss.name;
    Some(format!(
        "When matters more than how: held-out {name} of {} runs from {} ({easy}) to {} ({hard}), {} times the gap between the best way and the last.",
        best.label,
        decimal(low),
        decimal(high),
        ratio((high - low) / between),
    ))
}
