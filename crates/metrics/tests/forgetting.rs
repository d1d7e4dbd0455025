//! Windows and fading against scores computed from scratch.

mod common;

use common::{Table, Task, bits, close};
use tidemill_metrics::{Accuracy, Fading, LogLoss, MeanLoss, Metric, R2, RocAuc, Summary, Windowed};

fn check_window<M: Metric<f64> + Clone>(task: Task, metric: M, blocks: usize, block_rows: usize) {
    let table = Table::<f64>::random(task, 300, 7);
    let rows = table.weighted();
    let mut recent = Windowed::new(metric.clone(), blocks, block_rows).unwrap();
    let mut seen = 0;
    for batch in [1, 2, 30, 7, 64, 1, 100, 95] {
        recent.update(&rows.slice(seen..seen + batch)).unwrap();
        seen += batch;
        // All full blocks but those that had to go, and the rows of the newest.
        let window =
            if seen <= blocks * block_rows { seen } else { (blocks - 1) * block_rows + (seen - 1) % block_rows + 1 };
        assert_eq!(recent.rows(), window as u64);
        let mut scratch = metric.clone();
        scratch.update(&rows.slice(seen - window..seen)).unwrap();
        close(recent.name(), recent.value(), scratch.value(), 1e-12);
    }
    assert_eq!(seen, rows.len());
}

#[test]
fn a_window_is_the_score_of_its_rows() {
    for (blocks, block_rows) in [(1, 1), (1, 50), (2, 10), (4, 25), (10, 100)] {
        check_window(Task::Binary, Accuracy::binary(0.5).unwrap(), blocks, block_rows);
        check_window(Task::Binary, RocAuc::exact(), blocks, block_rows);
        check_window(Task::Binary, RocAuc::binned(128).unwrap(), blocks, block_rows);
        check_window(Task::Multiclass, LogLoss::default(), blocks, block_rows);
    }
    // One row has no variance, and its R2 is only rounding.
    check_window(Task::Regression, R2::new(2).unwrap(), 4, 25);
}

#[test]
fn merged_windows_are_the_last_rows_of_all_shards() {
    let table = Table::<f64>::random(Task::Binary, 200, 8);
    let rows = table.unweighted();
    let window = || Windowed::new(RocAuc::exact(), 3, 10).unwrap();
    let (mut a, mut b, mut last) = (window(), window(), RocAuc::exact());
    a.update(&rows.slice(0..95)).unwrap();
    b.update(&rows.slice(95..200)).unwrap();
    a.merge(&b.state()).unwrap();
    last.update(&rows.slice(70..95)).unwrap();
    last.update(&rows.slice(175..200)).unwrap();
    assert_eq!(a.rows(), 50);
    close("merged windows", a.value(), last.value(), 1e-12);
}

#[test]
fn fading_is_the_recursion_of_the_paper() {
    let factor = 0.97;
    let table = Table::<f64>::random(Task::Regression, 2500, 9);
    let rows = table.unweighted();
    let mut fading = Fading::new(MeanLoss::default(), factor).unwrap();
    // One batch that is longer than what is weighed at a time.
    fading.update(&rows).unwrap();
    let (mut sum, mut n) = (0.0, 0.0);
    for loss in &table.losses {
        sum = loss + factor * sum;
        n = 1.0 + factor * n;
    }
    close("fading loss", fading.value(), sum / n, 1e-12);
}

#[test]
fn fading_is_a_weight_for_every_row() {
    let factor: f64 = 0.95;
    let table = Table::<f64>::random(Task::Regression, 300, 10);
    let weights: Vec<f64> = (0..300).map(|row| factor.powi(299 - row) * table.weights[row as usize]).collect();
    let rows = table.weighted();
    let (mut fading, mut weighted) = (Fading::new(R2::new(2).unwrap(), factor).unwrap(), R2::new(2).unwrap());
    for from in (0..300).step_by(50) {
        fading.update(&rows.slice(from..from + 50)).unwrap();
    }
    weighted.update(&table.unweighted().with_weights(&weights).unwrap()).unwrap();
    close("fading r2", fading.value(), weighted.value(), 1e-10);
}

#[test]
fn a_factor_of_one_never_fades() {
    let table = Table::<f64>::random(Task::Binary, 300, 11);
    let (mut fading, mut plain) = (Fading::new(LogLoss::default(), 1.0).unwrap(), LogLoss::default());
    fading.update(&table.weighted()).unwrap();
    plain.update(&table.weighted()).unwrap();
    assert_eq!(bits(&fading.state()), bits(&plain.state()));
}
