//! Whole training runs of PyTorch and Keras, repeated: every number that the fixtures store of them.

use tidemill::autograd::Error as GraphError;
use tidemill::optim::{Chain, EpsilonMode};
use tidemill::prelude::*;
use tidemill::strategies::Strategy;
use tidemill::tensor::Scalar;
use tidemill_golden::{Case, Group, Outcome};

#[test]
fn golden_whole_runs() {
    Group::load("end_to_end").run(&[], |case| match case.kind {
        "mlp_mnist" | "seed_model" => {
            check::<f64>(case, Tolerance { loss: 1e-8, weight: 1e-7, accuracy: 0.0 });
            // One row of the 512 may lie so near to the threshold that f32 puts it on the other side.
            check::<f32>(case, Tolerance { loss: 1e-5, weight: 1e-4, accuracy: 1.0 / 512.0 });
            Outcome::Checked
        }
        _ => Outcome::NotCovered("a run that this test does not know"),
    });
}

/// How far from the stored numbers, all of them of float64 runs, ours may lie.
#[derive(Clone, Copy)]
struct Tolerance {
    loss: f64,
    weight: f64,
    accuracy: f64,
}

fn check<T: Scalar>(case: &Case<'_>, within: Tolerance) {
    let trainer = Trainer::new(program::<T>(case).unwrap(), optimizer(case)).unwrap();
    let (epochs, batch_size) = (case.count("epochs") as u64, case.count("batch_size"));
    let batch = run(case, &trainer, &Batch::new(epochs).in_order().batch_size(batch_size));
    let online = run(case, &trainer, &Online::new().passes(epochs).batch_size(batch_size));

    assert_eq!(batch.losses.len(), case.count("steps"), "{}: steps", case.name);
    case.close("loss", batch.losses.iter().copied(), &case.tensor("loss_f64").values, within.loss, 0.0);
    if let Some(want) = numbers(case, "epoch_loss") {
        case.close("epoch_loss", batch.epoch_losses.iter().copied(), &want, within.loss, 0.0);
    }
    if let Some(want) = numbers(case, "epoch_accuracy") {
        let accuracy = epoch_accuracy(&online, epochs);
        case.close("epoch_accuracy", accuracy, &want, within.accuracy + 1e-12, 0.0);
    }
    final_weights(case, &trainer, &batch.state, within);
    evaluation(case, &trainer, &batch.state, within);

    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&batch.losses), bits(&online.losses), "{}: the same steps online", case.name);
    assert_eq!(bits(&batch.epoch_losses), bits(&online.epoch_losses), "{}: the same epochs online", case.name);
    assert!(batch.state.params == online.state.params, "{}: the same weights online", case.name);
}

/// What a run gave.
struct Trained<T> {
    /// Of each step, before its update.
    losses: Vec<f64>,
    /// Of each epoch.
    epoch_losses: Vec<f64>,
    /// At the end of each epoch, of all rows so far; NaN where nothing was tested.
    accuracy_so_far: Vec<f64>,
    state: State<T>,
}

fn run<T: Scalar>(case: &Case<'_>, trainer: &Trainer<T>, strategy: &impl Strategy<T>) -> Trained<T> {
    let mut state = trainer.start_with(0, Metrics::new().with(accuracy(case)));
    for (parameter, stored) in PARAMETERS {
        let range = trainer.program().layout().find(parameter).unwrap().range();
        let values = case.tensor(stored).values;
        state.params[range].iter_mut().zip(values).for_each(|(to, value)| *to = T::of(value));
    }
    let (mut losses, mut epoch_losses, mut accuracy_so_far) = (Vec::new(), Vec::new(), Vec::new());
    let mut callback = on_event(|event: &Event<'_, T>, _: &mut Control| {
        match event {
            Event::Step { sums, .. } => losses.push(sums.mean_loss()),
            Event::Epoch { sums, state, .. } => {
                epoch_losses.push(sums.mean_loss());
                accuracy_so_far.push(state.metric("accuracy").unwrap());
            }
            Event::Started { .. } | Event::Finished { .. } => {}
        }
        Ok(())
    });
    trainer.run(strategy, &mut state, &mut rows(case), &mut callback).unwrap();
    Trained { losses, epoch_losses, accuracy_so_far, state }
}

/// Parameters of the model, and the names of their initial values in the fixtures.
const PARAMETERS: [(&str, &str); 4] =
    [("dense1.weight", "w1"), ("dense1.bias", "b1"), ("dense2.weight", "w2"), ("dense2.bias", "b2")];

fn program<T: Scalar>(case: &Case<'_>) -> Result<Program<T>, GraphError> {
    let (hidden, inputs) = (case.tensor("w1").shape[0], case.tensor("w1").shape[1]);
    let outputs = case.tensor("w2").shape[0];
    Program::build(|graph| {
        let x = graph.input("x", &[inputs])?;
        let hidden = Dense::new(hidden).relu().apply(graph, x)?;
        match case.kind {
            "mlp_mnist" => {
                let logits = Dense::new(outputs).apply(graph, hidden)?;
                SoftmaxCrossEntropy::new().apply(graph, logits)
            }
            _ => {
                let probability = Dense::new(outputs).sigmoid().apply(graph, hidden)?;
                BinaryCrossEntropy.apply(graph, probability)
            }
        }
    })
}

fn rows<T: Scalar>(case: &Case<'_>) -> MemorySource<T> {
    let source = MemorySource::builder();
    let source = match case.kind {
        "mlp_mnist" => {
            let images = case.tensor("images");
            let pixels = images.values.iter().map(|&pixel| T::of(pixel) / T::of(255.0)).collect();
            let classes = case.tensor("w2").shape[0] as u32;
            source.reals("x", images.shape[1], pixels).target_classes(classes, case.tensor("labels").indices())
        }
        _ => {
            let x = case.tensor("x");
            let narrow = |values: &[f64]| values.iter().map(|&v| T::of(v)).collect();
            source.reals("x", x.shape[1], narrow(&x.values)).target(narrow(&case.tensor("y").values))
        }
    };
    source.build().unwrap()
}

fn optimizer(case: &Case<'_>) -> Chain {
    let lr = case.number("lr");
    match case.params["optimizer"].as_str().unwrap() {
        "sgd" if case.params["momentum"].is_null() => sgd(lr).into(),
        "sgd" => sgd(lr).momentum(case.number("momentum")).into(),
        "adam" => {
            let mode = match case.params["epsilon_mode"].as_str() {
                Some("keras") => EpsilonMode::Keras,
                _ => EpsilonMode::Torch,
            };
            let (beta1, beta2) = (case.number("beta1"), case.number("beta2"));
            adam(lr).beta1(beta1).beta2(beta2).epsilon(case.number("eps"), mode).into()
        }
        other => panic!("{}: optimizer {other}", case.name),
    }
}

fn accuracy(case: &Case<'_>) -> Accuracy {
    if case.kind == "mlp_mnist" { Accuracy::multiclass() } else { Accuracy::binary(0.5).unwrap() }
}

/// Keras tells the accuracy of each epoch for itself, the metric that of all rows so far.
fn epoch_accuracy<T>(online: &Trained<T>, epochs: u64) -> impl Iterator<Item = f64> {
    let so_far = online.accuracy_so_far.clone();
    (0..epochs as usize).map(move |epoch| {
        let right = |epochs: usize| if epochs == 0 { 0.0 } else { so_far[epochs - 1] * epochs as f64 };
        right(epoch + 1) - right(epoch)
    })
}

fn final_weights<T: Scalar>(case: &Case<'_>, trainer: &Trainer<T>, state: &State<T>, within: Tolerance) {
    let mut compared = 0;
    for (parameter, stored) in PARAMETERS {
        let parameter = trainer.program().layout().find(parameter).unwrap();
        let got = || state.params[parameter.range()].iter().map(|v| v.widen());
        let name = format!("final_{stored}_f64");
        if case.has(&name) {
            case.close(&name, got(), &case.tensor(&name).values, within.weight, 0.0);
            compared += 1;
        }
        let name = format!("final_{stored}_row_sums_f64");
        if case.has(&name) {
            let got: Vec<f64> = got().collect();
            let sums = got.chunks(parameter.shape()[1]).map(|row| row.iter().sum());
            case.close(&name, sums, &case.tensor(&name).values, within.weight, 0.0);
            compared += 1;
        }
    }
    assert_eq!(compared, PARAMETERS.len(), "{}: every parameter was compared", case.name);
}

fn evaluation<T: Scalar>(case: &Case<'_>, trainer: &Trainer<T>, state: &State<T>, within: Tolerance) {
    let model = Model::new(trainer.program().clone(), state);
    let mut metrics = Metrics::<T>::new().with(accuracy(case));
    let loss = model.evaluate(&mut rows(case), &mut metrics).unwrap().loss();
    if let Some(want) = case.field("eval_loss").as_f64() {
        case.close("eval_loss", [loss], &[want], within.loss, 0.0);
    }
    if let Some(want) = case.field("eval_accuracy").as_f64() {
        case.close("eval_accuracy", [metrics[0].value()], &[want], within.accuracy, 0.0);
    }
    if case.has("final_prediction_f64") {
        let mut predictions = Vec::new();
        let each = |chunk: tidemill::strategies::Predictions<'_, T>| {
            predictions.extend(chunk.values.iter().map(|v| v.widen()));
            Ok(())
        };
        model.predict(&mut rows(case), each).unwrap();
        let want = case.tensor("final_prediction_f64").values;
        case.close("final_prediction", predictions, &want, within.weight, 0.0);
    }
}

fn numbers(case: &Case<'_>, field: &str) -> Option<Vec<f64>> {
    case.field(field).as_array().map(|values| values.iter().map(|v| v.as_f64().unwrap()).collect())
}
