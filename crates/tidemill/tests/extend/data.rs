//! Rows to train on, and all the numbers of a state.

use std::sync::Arc;

use tidemill::autograd::Error;
use tidemill::prelude::*;
use tidemill::tensor::{Key, Scalar};

/// A number from 0 to 1, a function of the arguments.
pub fn random(stream: u64, i: usize) -> f64 {
    f64::from(Key::new(17).fold(stream).block(i as u64)[0]) / 2.0_f64.powi(32)
}

/// `[n, 3]`, from -1 to 1.
pub fn features(n: usize) -> Vec<f64> {
    (0..3 * n).map(|i| 2.0 * random(0, i) - 1.0).collect()
}

/// Rows of three features, whose target is `f` of them and of the row's number.
pub fn rows(n: usize, f: impl Fn(usize, &[f64]) -> f64) -> MemorySource<f64> {
    let x = features(n);
    let target = x.chunks(3).enumerate().map(|(row, x)| f(row, x)).collect();
    MemorySource::builder().reals("x", 3, x).target(target).build().unwrap()
}

/// The target of [`rows`] that a linear model learns.
pub fn linear(_row: usize, x: &[f64]) -> f64 {
    2.0 * x[0] - x[1] + 0.5 * x[2]
}

/// A program of one input `x [3]`.
pub fn program(end: impl FnOnce(&mut Graph, Var) -> Result<Head, Error>) -> Arc<Program<f64>> {
    let record = |graph: &mut Graph| {
        let x = graph.input("x", &[3])?;
        end(graph, x)
    };
    Arc::new(Program::build(record).unwrap())
}

/// A dense layer, trained on squared errors.
pub fn regression() -> Arc<Program<f64>> {
    program(|graph, x| {
        let y = Dense::new(1).apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    })
}

/// Every number of a state, bit by bit.
pub fn bits<T: Scalar>(state: &State<T>) -> Vec<u64> {
    let numbers = state.params.iter().chain(&state.optimizer).map(|value| value.widen().to_bits());
    let metrics = state.metrics.iter().flat_map(|metric| metric.state()).map(f64::to_bits);
    let sums = [state.epoch.loss.to_bits(), state.epoch.weight.to_bits(), state.epoch.rows];
    let rest = [state.step, state.rows_trained, state.cursor.epoch, state.learning_rate_factor.to_bits()];
    numbers.chain(metrics).chain(sums).chain(rest).collect()
}

/// Asserts that two states hold the same parameters up to rounding.
pub fn close(what: &str, got: &State<f64>, want: &State<f64>) {
    assert_eq!(got.step, want.step, "{what}: steps");
    for (i, (got, want)) in got.params.iter().zip(&want.params).enumerate() {
        assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs()), "{what}: parameter {i} is {got}, expected {want}");
    }
}
