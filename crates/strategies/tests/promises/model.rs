//! A small model of everything: two kinds of input, dropout, row weights.

use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::{Key, Scalar};
use tidemill_data::{MemorySource, Source};
use tidemill_layers::{Dense, Dropout, Embedding, Layer, Sequential};
use tidemill_losses::{BinaryCrossEntropy, Loss};
use tidemill_metrics::{Accuracy, LogLoss, RocAuc};
use tidemill_optim::adam;
use tidemill_strategies::{Metrics, State, Strategy, Trainer};

pub fn program<T: Scalar>(dropout: f64) -> Arc<Program<T>> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[3])?;
        let carrier = graph.index_input("carrier", &[], 5)?;
        let carrier = Embedding::new(5, 2).apply(graph, carrier)?;
        let carrier = Dense::new(6).apply(graph, carrier)?;
        let x = Dense::new(6).apply(graph, x)?;
        let both = graph.add(tidemill_autograd::ops::Add, &[x, carrier], &[])?;
        let y = Sequential::new()
            .add(Dense::new(8).relu())
            .add(Dropout::new(dropout))
            .add(Dense::new(1).sigmoid())
            .apply(graph, both)?;
        BinaryCrossEntropy.apply(graph, y)
    });
    Arc::new(program.unwrap())
}

pub fn trainer<T: Scalar>(dropout: f64) -> Trainer<T> {
    Trainer::new(program(dropout), adam(0.02)).unwrap()
}

/// Rows whose target follows from the inputs; weights of 0, 0.5, 1 and 1.5.
pub fn rows<T: Scalar>(n: usize) -> MemorySource<T> {
    let random = |stream: u64, i: usize| {
        let [a, ..] = Key::new(99).fold(stream).block(i as u64);
        f64::from(a) / 2.0_f64.powi(32)
    };
    let x: Vec<T> = (0..3 * n).map(|i| T::of(2.0 * random(0, i) - 1.0)).collect();
    let carrier: Vec<u32> = (0..n).map(|i| (5.0 * random(1, i)) as u32).collect();
    let target = (0..n).map(|i| {
        let score = x[3 * i].widen() - x[3 * i + 1].widen() + 0.3 * f64::from(carrier[i]) - 0.5;
        T::of(f64::from(score + 0.4 * random(2, i) > 0.0))
    });
    let target = target.collect();
    let weights = (0..n).map(|i| T::of(0.5 * (i % 4) as f64)).collect();
    MemorySource::builder()
        .reals("x", 3, x)
        .indices("carrier", 5, carrier)
        .target(target)
        .weights(weights)
        .build()
        .unwrap()
}

pub fn metrics<T: Scalar>() -> Metrics<T> {
    Metrics::new().with(Accuracy::binary(0.5).unwrap()).with(LogLoss::default()).with(RocAuc::binned(256).unwrap())
}

/// The state after a whole run.
pub fn train<T: Scalar>(trainer: &Trainer<T>, strategy: &impl Strategy<T>, source: &mut dyn Source<T>) -> State<T> {
    let mut state = trainer.start_with(7, metrics());
    trainer.run(strategy, &mut state, source, &mut ()).unwrap();
    state
}

/// Everything in a state that numbers can tell, bit by bit.
pub fn bits<T: Scalar>(state: &State<T>) -> Vec<u64> {
    let memory = state.memory().iter().flat_map(|(name, remembered)| {
        name.bytes().map(u64::from).chain(remembered.iter().map(|number| number.to_bits()))
    });
    bits_of_training(state).into_iter().chain(memory).collect()
}

/// The same without what callbacks remember, which may be another rank's.
pub fn bits_of_training<T: Scalar>(state: &State<T>) -> Vec<u64> {
    let numbers = state.params.iter().chain(&state.optimizer).map(|v| v.widen().to_bits());
    let metrics = state.metrics.iter().flat_map(|m| m.state()).map(f64::to_bits);
    let reals = [state.epoch.loss, state.epoch.weight, state.learning_rate_factor].map(f64::to_bits);
    let counts = [state.step, state.rows_trained, state.epoch.rows, state.seed];
    let cursor = format!("{:?}", state.cursor);
    numbers.chain(metrics).chain(reals).chain(counts).chain(cursor.bytes().map(u64::from)).collect()
}

/// Asserts that two states hold the same parameters up to rounding.
pub fn close(what: &str, got: &State<f64>, want: &State<f64>) {
    assert_eq!(got.step, want.step, "{what}: steps");
    for (i, (got, want)) in got.params.iter().zip(&want.params).enumerate() {
        assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs()), "{what}: parameter {i} is {got}, expected {want}");
    }
}
