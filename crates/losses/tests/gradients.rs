//! Every loss's slope against finite differences.

use tidemill_autograd::{Activation, Error, GradientCheck, Graph, Initializer, Var, check_gradients, ops};
use tidemill_losses::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Huber, Loss, MeanAbsoluteError, MeanSquaredError,
    SoftmaxCrossEntropy,
};

/// `x W + b` on three inputs.
fn linear(graph: &mut Graph, outputs: usize) -> Result<Var, Error> {
    let x = graph.input("x", &[3])?;
    let weight = graph.parameter("weight", &[outputs, 3], Initializer::GlorotUniform)?;
    let bias = graph.parameter("bias", &[outputs], Initializer::Constant(0.0))?;
    graph.add(ops::Linear::new(), &[x], &[weight, bias])
}

/// Checks a loss of `outputs` linear outputs; of their sigmoids where it takes probabilities.
fn check(loss: &dyn Loss, outputs: usize, probabilities: bool) {
    let record = |graph: &mut Graph| {
        let y = linear(graph, outputs)?;
        let y = if probabilities { graph.add(ops::Activate(Activation::Sigmoid), &[y], &[])? } else { y };
        loss.apply(graph, y)
    };
    for rows in [1, 4] {
        for seed in [1, 2] {
            let check = GradientCheck { rows, seed, ..GradientCheck::default() };
            check_gradients(check, record).unwrap_or_else(|error| panic!("{loss:?}, {outputs} outputs: {error}"));
        }
    }
}

#[test]
fn slopes_agree_with_finite_differences() {
    for outputs in [1, 2, 5] {
        check(&MeanSquaredError, outputs, false);
        check(&MeanAbsoluteError, outputs, false);
        check(&Huber::default(), outputs, false);
        check(&Huber::new(0.3), outputs, false);
        check(&BinaryCrossEntropy, outputs, true);
        check(&BinaryCrossEntropyWithLogits::new(), outputs, false);
        check(&BinaryCrossEntropyWithLogits::new().positive_weight(3.0), outputs, false);
    }
    check(&BinaryCrossEntropyWithLogits::new().positive_weights([0.5, 4.0]), 2, false);
    for classes in [2, 5] {
        check(&SoftmaxCrossEntropy::new(), classes, false);
        check(&SoftmaxCrossEntropy::new().label_smoothing(0.1), classes, false);
    }
    let weights = [0.5, 0.0, 2.0];
    check(&SoftmaxCrossEntropy::new().class_weights(weights), 3, false);
    check(&SoftmaxCrossEntropy::new().class_weights(weights).label_smoothing(0.2), 3, false);
}
