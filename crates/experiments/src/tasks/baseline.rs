//! What a prediction that learns nothing from the features scores.

use anyhow::{Result, bail};
use tidemill::data::{Batch, Cursor, Role};
use tidemill::metrics::{Rows, Target};
use tidemill::prelude::*;

use crate::progress::Work;
use crate::results::{Baseline, TaskKind};
use crate::run::scores;
use crate::spec::Spec;

/// Predicts the training rows' mean, or the frequencies of their classes, for every held-out row.
pub fn baseline(spec: &Spec) -> Result<(Baseline, Counts)> {
    let mut sums = Vec::new();
    let training = each_target(spec, 0..spec.training_spans, |target| {
        match target {
            Target::Real(values) => {
                sums.resize(1, 0.0);
                sums[0] += values.iter().map(|&v| f64::from(v)).sum::<f64>();
            }
            Target::Index(classes) => {
                for &class in classes {
                    sums.resize(sums.len().max(class as usize + 1), 0.0);
                    sums[class as usize] += 1.0;
                }
            }
        }
        Ok(())
    })?;
    if training == 0 {
        bail!("no row is left to train on: all of them lack a value that the encoder asks for");
    }
    let guess: Vec<f32> = sums.iter().map(|sum| (sum / training as f64) as f32).collect();
    let mut metrics = spec.metrics();
    let mut predictions = Vec::new();
    let held_out = each_target(spec, spec.held_out(), |target| {
        let rows = match target {
            Target::Real(values) => values.len(),
            Target::Index(classes) => classes.len(),
        };
        predictions.clear();
        (0..rows).for_each(|_| predictions.extend_from_slice(&guess));
        let rows = Rows::new(&predictions, guess.len(), target)?;
        metrics.iter_mut().try_for_each(|metric| metric.update(&rows))?;
        Ok(())
    })?;
    let label = match spec.task {
        TaskKind::Regression => "Always the training mean",
        TaskKind::Binary | TaskKind::Multiclass => "Always the training frequency",
    };
    let scores = scores(spec, &metrics, held_out);
    Ok((Baseline { label: label.into(), held_out: scores }, Counts { training, held_out }))
}

/// Rows after the encoder has left out those that it must.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub training: u64,
    pub held_out: u64,
}

fn each_target(
    spec: &Spec,
    spans: std::ops::Range<usize>,
    mut found: impl FnMut(Target<'_, f32>) -> Result<()>,
) -> Result<u64> {
    let rows = spec.spans[spans.clone()].iter().map(|span| span.rows.end - span.rows.start).sum();
    let work = Work::new("scoring a guess", Some(rows));
    let mut source = spec.rows(spans)?.inspect(|rows| work.advance(rows));
    source.seek(Cursor::start(0))?;
    let target = source.schema().role(Role::Target).expect("the encoder has a target");
    let mut batch = Batch::new(source.schema().clone());
    let mut rows = 0;
    loop {
        batch.clear();
        let n = source.fill(&mut batch, 4096)?;
        if n == 0 {
            return Ok(rows);
        }
        rows += n as u64;
        found(match spec.task {
            TaskKind::Multiclass => Target::Index(batch.indices(target)),
            TaskKind::Binary | TaskKind::Regression => Target::Real(batch.reals(target)),
        })?;
    }
}
