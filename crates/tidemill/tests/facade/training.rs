//! A model of the table: an encoder, a program, a trainer, and all the numbers that a state is made of.

use std::sync::Arc;

use tidemill::autograd::{Error as GraphError, Head};
use tidemill::data::{Kind, Role, Schema};
use tidemill::prelude::*;
use tidemill::strategies::Strategy;
use tidemill::tensor::Scalar;

/// Every kind of encoding, on every kind of column; rows without a delay are dropped.
pub fn encoder(source: &mut impl Source<f64>) -> Encoder {
    let encoder = Encoder::builder()
        .feature("distance", Encoding::standardize())
        .feature("speed", Encoding::real())
        .feature("hour", Encoding::cyclic(24.0))
        .feature_from("hour of day", "hour", Encoding::category())
        .feature("carrier", Encoding::category().max_categories(4))
        .feature_from("carrier by hash", "carrier", Encoding::hash(8))
        .feature_from("carrier one by one", "carrier", Encoding::one_hot())
        .feature("weekend", Encoding::above(0.5))
        .target("delay", Encoding::above(12.0).missing(Missing::DropRow))
        .weight("weight", Encoding::real());
    encoder.fit(source).unwrap().0
}

/// A dense network of everything that the encoder gives, with dropout.
pub fn program<T: Scalar>(encoder: &Encoder, hidden: usize) -> Arc<Program<T>> {
    Arc::new(Program::build(|graph| record(graph, &encoder.schema(), hidden)).unwrap())
}

fn record(graph: &mut Graph, schema: &Schema, hidden: usize) -> Result<Head, GraphError> {
    let features = schema.fields.iter().filter(|field| field.role == Role::Feature);
    let features = features.fold(Features::new(), |features, field| match field.kind {
        Kind::Real { width } => features.reals(&field.name, width),
        Kind::Index { cardinality } => features.category(&field.name, cardinality, 2),
        Kind::Text => panic!("an encoder gives no text"),
    });
    let x = features.declare(graph)?;
    let model = Sequential::new().add(Dense::new(hidden).relu()).add(Dropout::new(0.2)).add(Dense::new(1));
    let logit = model.apply(graph, x)?;
    BinaryCrossEntropyWithLogits::new().apply(graph, logit)
}

pub fn trainer<T: Scalar>(encoder: &Encoder) -> Trainer<T> {
    Trainer::new(program(encoder, 8), adam(0.02)).unwrap()
}

pub fn metrics<T: Scalar>() -> Metrics<T> {
    Metrics::new().with(Accuracy::binary(0.5).unwrap()).with(LogLoss::default()).with(RocAuc::binned(64).unwrap())
}

/// The state after a whole run.
pub fn train<T: Scalar>(trainer: &Trainer<T>, strategy: &dyn Strategy<T>, source: &mut dyn Source<T>) -> State<T> {
    let mut state = trainer.start_with(7, metrics());
    strategy.run(trainer, &mut state, source, &mut ()).unwrap();
    state
}

/// Every number of a state, bit by bit, but for the position: that is a source's own affair.
pub fn bits<T: Scalar>(state: &State<T>) -> Vec<u64> {
    let numbers = state.params.iter().chain(&state.optimizer).map(|v| v.widen().to_bits());
    let metrics = state.metrics.iter().flat_map(|m| m.state()).map(f64::to_bits);
    let sums = [state.epoch.loss.to_bits(), state.epoch.weight.to_bits(), state.epoch.rows];
    numbers.chain(metrics).chain([state.step, state.rows_trained, state.cursor.epoch]).chain(sums).collect()
}
