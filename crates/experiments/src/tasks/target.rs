//! What the target is: decided on all training rows, checked on all rows.

use anyhow::{Result, bail};
use tidemill::data::Batch;
use tidemill::prelude::*;

use super::user::UserData;
use crate::columns::{Target, TargetScan, Unseen, Value, value_of};
use crate::progress::Work;
use crate::results::TaskKind;
use crate::rows::{self, Known, Targets};
use crate::spec::Span;
use crate::{format, printable};

/// What was found in the target's column.
pub struct Found {
    pub target: Target,
    pub targets: Targets,
    /// What training rows and held-out rows hold.
    pub training: TargetScan,
    pub held_out: TargetScan,
    /// Held-out rows whose value was not trained on.
    pub unseen: u64,
    /// Rows of each span that have a target that can be used.
    pub usable: Vec<u64>,
}

/// Reads the target's column from end to end.
///
/// # Errors
///
/// When it cannot be learnt or tested: all rows lack it, or have the same value, or held-out rows have values that were
/// not trained on and are not to be skipped.
pub fn look(data: &UserData, path: &std::path::Path, is_text: bool, spans: &[Span], training: usize) -> Result<Found> {
    let (name, file) = (data.target.as_str(), data.file.display());
    let all = spans.last().map_or(0, |span| span.rows.end);
    let boundary = spans[training - 1].rows.end;
    let work = Work::new("looking at the target", Some(all));
    let mut source = rows::open_raw(path, &[name], data.filter.as_deref(), data.budget)?;
    let mut batch = Batch::new(source.schema().clone());
    let (mut trained, mut held_out) = (TargetScan::new(is_text, data.task), TargetScan::new(is_text, data.task));
    let mut usable = vec![0; spans.len()];
    let (mut row, mut span) = (0, 0);
    let mut target = None;
    let mut unseen: Option<(u64, Value)> = None;
    let mut unseen_rows = 0;
    while row < all {
        batch.clear();
        // No batch holds rows of two spans.
        let rows = source.fill(&mut batch, (spans[span].rows.end - row).min(8192) as usize)?;
        if rows == 0 {
            bail!("{file}: it has {row} rows, {all} were expected: it has changed meanwhile");
        }
        let column = &batch.columns()[0];
        let before = trained.present() + held_out.present() - unseen_rows;
        if row < boundary {
            trained.observe(column, 0..rows);
        } else {
            let target = match &target {
                None => &*target.insert(decide(data, &trained)?),
                Some(target) => target,
            };
            held_out.observe(column, 0..rows);
            if target.kind != TaskKind::Regression {
                for at in 0..rows {
                    if let Some(value) = value_of(column, at).filter(|value| !trained.has(value)) {
                        unseen_rows += 1;
                        unseen.get_or_insert((row + at as u64, value));
                    }
                }
            }
        }
        usable[span] += trained.present() + held_out.present() - unseen_rows - before;
        row += rows as u64;
        work.advance(rows as u64);
        while span + 1 < spans.len() && spans[span].rows.end <= row {
            span += 1;
        }
    }
    drop(work);
    let target = match target {
        None => decide(data, &trained)?,
        Some(target) => target,
    };
    if let (Some((row, value)), Unseen::Error) = (&unseen, data.unseen) {
        let known = trained.values();
        let numbers = if is_text { "" } else { ", --task regression to predict it as a number" };
        let of = if data.filter.is_some() { " of those that meet --where" } else { "" };
        bail!(
            "{file}: column {name} is {value} in row {row}{of}, and the rows trained on, the first {}, hold {known} alone; \
             {} held-out rows hold such values. Choose --unseen skip to leave them out{numbers}, or --order to train on \
             other rows",
            format::exact(boundary),
            format::exact(unseen_rows)
        );
    }
    let missing = format::exact(held_out.rows);
    if held_out.present() == 0 {
        bail!(
            "{file}: no held-out row has a target: column {name} is missing in all {missing} of them, the last quarter of \
             the rows. Leave rows without one out by --where {}, or choose another order of the rows by --order",
            is_not_null(name)
        );
    }
    if held_out.present() == unseen_rows {
        bail!(
            "{file}: no held-out row has a target that was trained on: column {name} is none of {} in all {missing} of \
             them, the last quarter of the rows. Choose another order of the rows by --order",
            trained.values()
        );
    }
    let known = match (target.kind, trained.two_numbers()) {
        (TaskKind::Regression, _) => Known::All,
        (TaskKind::Binary, Some((numbers, _))) => Known::Numbers(numbers.map(|number| number.to_string())),
        _ => Known::Classes,
    };
    let targets = Targets { column: name.into(), known, unseen: data.unseen };
    Ok(Found { target, targets, training: trained, held_out, unseen: unseen_rows, usable })
}

fn decide(data: &UserData, trained: &TargetScan) -> Result<Target> {
    let (name, file) = (data.target.as_str(), data.file.display());
    let rows = format::exact(trained.rows);
    if trained.present() == 0 {
        let infinite = if trained.infinite > 0 { " or infinite" } else { "" };
        bail!(
            "{file}: no training row has a target: column {name} is missing{infinite} in all {rows} of them, the first \
             three quarters of the rows. Choose another --target, or other rows by --where {} or --order",
            is_not_null(name)
        );
    }
    if trained.distinct() == 1 {
        bail!(
            "{file}: there is nothing to learn: column {name} is {} in every one of the {rows} training rows that has a \
             value. Choose another --target, other rows by --where, or by --order another order of the rows, of which the \
             first three quarters are trained on",
            trained.values()
        );
    }
    trained.target(name, data.task).map_err(|problem| anyhow::anyhow!("{file}: {problem}"))
}

/// The condition that a column has a value, as a shell takes it.
fn is_not_null(name: &str) -> String {
    printable::quoted(&format!("{} is not null", printable::in_condition(name)))
}

/// Spans none of which is without a row that can be used: such a one is joined to the one before, or behind. Says also
/// how many are trained on.
pub fn joined(spans: &[Span], usable: &[u64], training: usize) -> (Vec<Span>, usize) {
    let join = |range: std::ops::Range<usize>| {
        let mut joined: Vec<(Span, u64)> = Vec::new();
        for place in range {
            let (span, rows) = (&spans[place], usable[place]);
            match joined.last_mut() {
                Some((last, before)) if rows == 0 || *before == 0 => {
                    last.rows.end = span.rows.end;
                    if *before == 0 {
                        last.label.clone_from(&span.label);
                    }
                    *before += rows;
                }
                _ => joined.push((span.clone(), rows)),
            }
        }
        joined.into_iter().map(|(span, _)| span).collect::<Vec<_>>()
    };
    let mut all = join(0..training);
    let trained = all.len();
    all.extend(join(training..spans.len()));
    (all, trained)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_without_a_usable_row_are_joined_to_others() {
        let spans = super::super::spans::equal(60, 6);
        let check = |usable: [u64; 6], ends: &[u64], trained: usize| {
            let (joined, training) = joined(&spans, &usable, 4);
            assert_eq!(joined.iter().map(|span| span.rows.end).collect::<Vec<_>>(), ends, "{usable:?}");
            assert_eq!((joined[0].rows.start, training), (0, trained), "{usable:?}");
            assert!(joined.windows(2).all(|pair| pair[0].rows.end == pair[1].rows.start));
        };
        check([1, 1, 1, 1, 1, 1], &[10, 20, 30, 40, 50, 60], 4);
        check([0, 0, 5, 0, 0, 1], &[40, 60], 1);
        check([0, 1, 0, 1, 1, 0], &[30, 40, 60], 2);
    }
}
