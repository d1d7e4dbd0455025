//! What holds for every metric.

mod common;

use common::{Boxed, TASKS, Table, Task, bits, close, forgetful, plain, width};
use tidemill_metrics::{Error, Metric, Rows, Summary, Target};
use tidemill_tensor::Scalar;

/// Uneven batches, one of them empty.
fn cuts(rows: usize) -> Vec<usize> {
    vec![0, 1, 1, rows / 7, rows / 2, rows - 3, rows]
}

fn update_in_batches<T: Scalar>(metric: &mut Boxed<T>, rows: &Rows<'_, T>) {
    for cut in cuts(rows.len()).windows(2) {
        metric.update(&rows.slice(cut[0]..cut[1])).unwrap();
    }
}

#[test]
fn merged_shards_equal_all_rows() {
    for (task, seed) in TASKS.into_iter().zip(1..) {
        let table = Table::<f64>::random(task, 500, seed);
        for rows in [table.unweighted(), table.weighted()] {
            let shards = || plain::<f64>(task).unwrap();
            for (i, mut all) in shards().into_iter().enumerate() {
                all.update(&rows).unwrap();
                let mut merged = shards().swap_remove(i);
                for cut in cuts(rows.len()).windows(2) {
                    let mut shard = shards().swap_remove(i);
                    shard.update(&rows.slice(cut[0]..cut[1])).unwrap();
                    merged.merge(&shard.state()).unwrap();
                }
                assert!(all.value().is_finite(), "{}", all.name());
                close(all.name(), merged.value(), all.value(), 1e-12);
            }
        }
    }
}

#[test]
fn batches_do_not_matter() {
    for (task, seed) in TASKS.into_iter().zip(10..) {
        let table = Table::<f64>::random(task, 300, seed);
        let metrics = || plain(task).unwrap().into_iter().chain(forgetful::<f64>(task).unwrap());
        for (mut whole, mut cut) in metrics().zip(metrics()) {
            whole.update(&table.weighted()).unwrap();
            update_in_batches(&mut cut, &table.weighted());
            close(whole.name(), cut.value(), whole.value(), 1e-12);
        }
    }
}

#[test]
fn a_weight_is_a_repetition() {
    for (task, seed) in TASKS.into_iter().zip(20..) {
        let table = Table::<f64>::random(task, 300, seed);
        let repeated = table.repeated();
        assert_ne!(repeated.labels.len(), table.labels.len());
        for (mut weighted, mut plain) in plain::<f64>(task).unwrap().into_iter().zip(plain(task).unwrap()) {
            weighted.update(&table.weighted()).unwrap();
            plain.update(&repeated.unweighted()).unwrap();
            close(plain.name(), weighted.value(), plain.value(), 1e-12);
        }
    }
}

#[test]
fn a_row_of_weight_zero_is_absent() {
    for (task, seed) in TASKS.into_iter().zip(30..) {
        let table = Table::<f64>::random(task, 200, seed);
        let mut spoilt = table.clone();
        for row in (0..200).filter(|&row| table.weights[row] == 0.0) {
            spoilt.predictions[row * width(task)] = f64::NAN;
            spoilt.target[row * width(task)] = f64::INFINITY;
            spoilt.losses[row] = f64::NAN;
            spoilt.labels[row] = 99;
        }
        for (mut clean, mut other) in plain::<f64>(task).unwrap().into_iter().zip(plain(task).unwrap()) {
            clean.update(&table.weighted()).unwrap();
            other.update(&spoilt.weighted()).unwrap();
            assert_eq!(bits(&clean.state()), bits(&other.state()), "{}", clean.name());
        }
    }
}

#[test]
fn a_restored_state_goes_on_bit_for_bit() {
    fn check<T: Scalar + 'static>(task: Task, seed: u64) {
        let table = Table::<T>::random(task, 400, seed);
        let rows = table.weighted();
        let metrics = || plain(task).unwrap().into_iter().chain(forgetful::<T>(task).unwrap());
        for (mut metric, mut restored) in metrics().zip(metrics()) {
            update_in_batches(&mut metric, &rows.slice(0..213));
            // What it saw before must be gone.
            restored.update(&rows.slice(100..200)).unwrap();
            restored.restore(&metric.state()).unwrap();
            assert_eq!(bits(&restored.state()), bits(&metric.state()), "{}", metric.name());
            for metric in [&mut metric, &mut restored] {
                update_in_batches(metric, &rows.slice(213..400));
            }
            assert_eq!(bits(&restored.state()), bits(&metric.state()), "{}", metric.name());
            assert_eq!(restored.value().to_bits(), metric.value().to_bits(), "{}", metric.name());
        }
    }
    for (task, seed) in TASKS.into_iter().zip(40..) {
        check::<f64>(task, seed);
        check::<f32>(task, seed);
    }
}

#[test]
fn another_state_is_refused_and_changes_nothing() {
    for (task, seed) in TASKS.into_iter().zip(50..) {
        let table = Table::<f64>::random(task, 60, seed);
        for mut metric in plain(task).unwrap().into_iter().chain(forgetful::<f64>(task).unwrap()) {
            metric.update(&table.weighted()).unwrap();
            let state = metric.state();
            let longer = [&state[..], &[1.0]].concat();
            for wrong in [&longer, &state[..state.len() - 1], &state[..1]] {
                for answer in [metric.restore(wrong), metric.merge(wrong)] {
                    assert!(matches!(answer, Err(Error::State { .. })), "{}: {answer:?}", metric.name());
                }
                assert_eq!(bits(&metric.state()), bits(&state), "{}", metric.name());
            }
        }
    }
}

#[test]
fn without_rows_the_value_is_nan() {
    for (task, seed) in TASKS.into_iter().zip(60..) {
        let table = Table::<f64>::random(task, 50, seed);
        for mut metric in plain(task).unwrap().into_iter().chain(forgetful::<f64>(task).unwrap()) {
            assert!(metric.value().is_nan(), "{}", metric.name());
            let fresh = metric.state();
            metric.update(&table.unweighted().slice(0..0)).unwrap();
            assert!(metric.value().is_nan(), "{}", metric.name());
            metric.update(&table.unweighted()).unwrap();
            assert!(metric.value().is_finite(), "{}", metric.name());
            metric.reset();
            assert_eq!(bits(&metric.state()), bits(&fresh), "{}", metric.name());
        }
    }
}

#[test]
fn both_precisions_agree() {
    for (task, seed) in TASKS.into_iter().zip(70..) {
        let (double, single) = (Table::<f64>::random(task, 300, seed), Table::<f32>::random(task, 300, seed));
        let metrics = plain(task).unwrap().into_iter().chain(forgetful::<f64>(task).unwrap());
        for (mut a, mut b) in metrics.zip(plain(task).unwrap().into_iter().chain(forgetful::<f32>(task).unwrap())) {
            a.update(&double.weighted()).unwrap();
            b.update(&single.weighted()).unwrap();
            close(a.name(), b.value(), a.value(), 1e-5);
        }
    }
}

#[test]
fn many_large_values_lose_no_digits() {
    let rows = 100_000;
    let target: Vec<f64> = (0..rows).map(|i| 1e8 + f64::from(i % 2)).collect();
    let predictions: Vec<f64> = (0..rows).map(|i| 1e8 + f64::from(i % 2) + 0.25 * f64::from(i % 3 - 1)).collect();
    let rows = Rows::new(&predictions, 1, Target::Real(&target)).unwrap();
    let mut r2 = tidemill_metrics::R2::new(1).unwrap();
    r2.update(&rows).unwrap();
    // Errors of a quarter in two rows of three, all but the last one; targets of variance a quarter.
    let squares = predictions.iter().zip(&target).map(|(p, y)| (p - y) * (p - y)).sum::<f64>();
    close("r2", r2.value(), 1.0 - squares / (0.25 * 100_000.0), 1e-12);
}

/// Variances, plain, windowed and fading, see deviations and not the level that they are from.
#[test]
fn scores_of_variance_do_not_depend_on_an_offset() {
    use tidemill_metrics::{ExplainedVariance, Fading, R2, Windowed};
    let metrics = || -> Vec<Box<dyn Metric<f64>>> {
        vec![
            Box::new(R2::new(1).unwrap()),
            Box::new(ExplainedVariance::new(1).unwrap()),
            Box::new(Windowed::new(R2::new(1).unwrap(), 4, 100).unwrap()),
            Box::new(Fading::new(R2::new(1).unwrap(), 0.99).unwrap()),
        ]
    };
    let y: Vec<f64> = (0..1000).map(|i| f64::from(i * 7 % 16) / 16.0).collect();
    let p: Vec<f64> = (0..1000).map(|i| f64::from((i * 7 + i % 3) % 16) / 16.0).collect();
    for offset in [2.0_f64.powi(40), -(2.0_f64.powi(45))] {
        let moved = |x: &[f64]| x.iter().map(|x| x + offset).collect::<Vec<_>>();
        let (far_p, far_y) = (moved(&p), moved(&y));
        for (mut near, mut far) in metrics().into_iter().zip(metrics()) {
            near.update(&Rows::new(&p, 1, Target::Real(&y)).unwrap()).unwrap();
            far.update(&Rows::new(&far_p, 1, Target::Real(&far_y)).unwrap()).unwrap();
            close(near.name(), far.value(), near.value(), 1e-12);
        }
    }
}

#[test]
fn bad_rows_are_named() {
    let refused = |metric: &mut dyn Metric<f64>, rows: Result<Rows<'_, f64>, Error>, message: &str| {
        let answer = rows.and_then(|rows| metric.update(&rows));
        assert_eq!(answer.expect_err(message).to_string(), message);
        assert!(metric.value().is_nan());
    };
    let accuracy = &mut tidemill_metrics::Accuracy::multiclass();
    let (two, nan) = ([0.5; 4], [0.5, 0.5, f64::NAN, 0.5]);
    let labels = Target::Index(&[0, 2]);
    refused(accuracy, Rows::new(&two, 2, labels), "metric accuracy: the label of row 1 is 2, expected a class below 2");
    refused(
        accuracy,
        Rows::new(&two, 2, labels).map(|rows| rows.slice(1..2)),
        "metric accuracy: the label of row 1 is 2, expected a class below 2",
    );
    let labels = Target::Index(&[0, 1]);
    refused(accuracy, Rows::new(&nan, 2, labels), "metric accuracy: a prediction in row 1 is not a number");
    refused(
        accuracy,
        Rows::new(&two, 2, Target::Real(&two)),
        "metric accuracy expects class indices as targets, found real numbers",
    );
    refused(
        accuracy,
        Rows::new(&two, 3, labels),
        "rows: predictions has 4 numbers, expected a multiple of the width, 3",
    );
    refused(accuracy, Rows::new(&two, 1, labels), "rows: target has 2 numbers, expected 4");
    refused(
        accuracy,
        Rows::new(&two, 2, labels).and_then(|rows| rows.with_weights(&[1.0, -1.0])),
        "rows: the weight of row 1 is -1; weights are finite and not negative",
    );
    let loss = &mut tidemill_metrics::MeanLoss::default();
    refused(loss, Rows::new(&two, 2, labels), "metric loss expects rows with losses, found none");
    let mse = &mut tidemill_metrics::Mse::default();
    refused(mse, Rows::new(&two, 2, labels), "metric mse expects real targets, 2 a row, found class indices");
    let brier = &mut tidemill_metrics::Brier::default();
    let beyond = Rows::new(&two, 1, Target::Real(&[0.0, 1.0, 0.3, 1.5]));
    refused(brier, beyond, "metric brier: the label of row 3 is 1.5, expected from 0 to 1");
    let curve = &mut tidemill_metrics::RocAuc::exact();
    refused(curve, Rows::new(&two, 2, labels), "metric roc_auc expects one prediction a row, found 2 a row");
}
