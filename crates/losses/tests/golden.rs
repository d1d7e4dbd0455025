//! Losses against the numbers of PyTorch and Keras, in both precisions.

use tidemill_autograd::{
    Activation, Error, Graph, Initializer, Mode, Program, Run, Scalar, Slices, Workspace, Write, ops,
};
use tidemill_golden::{Case, Group, Outcome, Tensor};
use tidemill_losses::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Huber, Loss, MeanAbsoluteError, MeanSquaredError,
    SoftmaxCrossEntropy,
};

#[test]
fn golden_losses() {
    const NOT_COVERED: &[&str] = &[
        "cosine_embedding",
        "cross_entropy_soft_mean",
        "cross_entropy_soft_none",
        "cross_entropy_soft_sum",
        "cross_entropy_soft_weight_smoothing_mean",
        "cross_entropy_soft_weight_smoothing_none",
        "cross_entropy_soft_weight_smoothing_sum",
        "focal_binary",
        "focal_multiclass",
        "hinge",
        "hinge_embedding",
        "kl_div",
        "nll",
        "pinball",
        "poisson_nll",
        "smooth_l1",
    ];
    Group::load("losses").run(NOT_COVERED, |case| match case.kind {
        "mse" | "l1" | "huber" | "bce" | "bce_with_logits" => {
            elementwise::<f64>(case, 1e-10, 1e-9);
            elementwise::<f32>(case, 1e-5, 1e-5);
            Outcome::Checked
        }
        "cross_entropy" if case.params["target_type"] == "class_index" => {
            cross_entropy::<f64>(case, 1e-10, 1e-9);
            cross_entropy::<f32>(case, 1e-5, 1e-5);
            Outcome::Checked
        }
        "cross_entropy" => Outcome::NotCovered("targets are classes, not probabilities"),
        _ => Outcome::NotCovered("there is no such loss yet"),
    });
}

/// The case's loss for predictions whose elements have these weights of positive targets.
fn loss(case: &Case<'_>, positive: Option<Vec<f64>>) -> Box<dyn Loss> {
    match (case.kind, positive) {
        ("mse", None) => Box::new(MeanSquaredError),
        ("l1", None) => Box::new(MeanAbsoluteError),
        ("huber", None) => Box::new(Huber::new(case.number("delta"))),
        ("bce", None) => Box::new(BinaryCrossEntropy),
        ("bce_with_logits", None) => Box::new(BinaryCrossEntropyWithLogits::new()),
        ("bce_with_logits", Some(weights)) => Box::new(BinaryCrossEntropyWithLogits::new().positive_weights(weights)),
        (kind, _) => panic!("{}: {kind} with these settings", case.name),
    }
}

/// Losses of the elements, each a row of its own, a column after the other; and, where elements are not weighted one by
/// one, of the whole rows.
fn elementwise<T: Scalar>(case: &Case<'_>, atol: f64, rtol: f64) {
    let (pred, target) = (case.tensor("pred"), case.tensor("target"));
    let width: usize = pred.shape[1..].iter().product();
    let (n, rows) = (pred.values.len(), pred.shape[0]);
    let weight = optional(case, "weight").map_or_else(|| vec![1.0; n], |weight| weight.values);
    let positive = optional(case, "pos_weight").map(|positive| positive.values);
    let reduction = case.params["reduction"].as_str().expect("reduction is a name");
    let upstream = match reduction {
        "none" => case.tensor("g_loss").values,
        "sum" => vec![1.0; n],
        "mean" => vec![1.0 / n as f64; n],
        other => panic!("{}: reduction {other}", case.name),
    };
    let row_weights: Vec<f64> = upstream.iter().zip(&weight).map(|(g, w)| g * w).collect();

    let (mut losses, mut gradient) = (vec![f64::NAN; n], vec![f64::NAN; n]);
    for column in 0..width {
        let of = |values: &[f64]| values.iter().skip(column).step_by(width).copied().collect::<Vec<f64>>();
        let loss = loss(case, positive.as_ref().map(|positive| vec![positive[column]]));
        let (l, g) = run::<T>(&*loss, 1, &of(&pred.values), Target::Reals(&of(&target.values)), &of(&row_weights));
        for row in 0..rows {
            (losses[row * width + column], gradient[row * width + column]) = (l[row], g[row]);
        }
    }
    let reduced = |losses: Vec<f64>, row_weights: &[f64]| match reduction {
        "none" => losses.iter().zip(&weight).map(|(l, w)| l * w).collect(),
        _ => vec![losses.iter().zip(row_weights).map(|(l, w)| l * w).sum::<f64>()],
    };
    case.close("loss", reduced(losses, &row_weights), &case.tensor("loss").values, atol, rtol);
    case.close("grad_pred", gradient, &case.tensor("grad_pred").values, atol, rtol);

    if reduction != "none" && !case.has("weight") {
        // A row's loss is the mean of its elements.
        let row_weights: Vec<f64> = upstream.chunks(width).map(|row| row.iter().sum()).collect();
        let target = Target::Reals(&target.values);
        let (losses, gradient) = run::<T>(&*loss(case, positive), width, &pred.values, target, &row_weights);
        case.close("loss of rows", reduced(losses, &row_weights), &case.tensor("loss").values, atol, rtol);
        case.close("grad_pred of rows", gradient, &case.tensor("grad_pred").values, atol, rtol);
    }
}

/// Ignored classes are rows without weight; the mean is divided by the sum of the weights of the targets' classes.
fn cross_entropy<T: Scalar>(case: &Case<'_>, atol: f64, rtol: f64) {
    let pred = case.tensor("pred");
    let (classes, inner) = (pred.shape[1], pred.shape[2..].iter().product());
    let ignored = case.params["ignore_index"].as_f64();
    let target = case.tensor("target").values;
    let counts: Vec<f64> = target.iter().map(|&class| if Some(class) == ignored { 0.0 } else { 1.0 }).collect();
    let target: Vec<u32> = target.iter().zip(&counts).map(|(&class, &counts)| (class * counts) as u32).collect();

    let mut loss = SoftmaxCrossEntropy::new().label_smoothing(case.number("label_smoothing"));
    let weights = optional(case, "weight").map(|weight| weight.values);
    if let Some(weights) = &weights {
        loss = loss.class_weights(weights.clone());
    }
    let total = |(&class, counts): (&u32, &f64)| counts * weights.as_ref().map_or(1.0, |w| w[class as usize]);
    let total: f64 = target.iter().zip(&counts).map(total).sum();
    let reduction = case.params["reduction"].as_str().expect("reduction is a name");
    let row_weights: Vec<f64> = match reduction {
        "none" => case.tensor("g_loss").values.iter().zip(&counts).map(|(g, counts)| g * counts).collect(),
        "sum" => counts.clone(),
        "mean" => counts.iter().map(|counts| counts / total).collect(),
        other => panic!("{}: reduction {other}", case.name),
    };

    let z = classes_last(&pred.values, classes, inner);
    let (losses, gradient) = run::<T>(&loss, classes, &z, Target::Classes(&target), &row_weights);
    let losses = match reduction {
        "none" => losses.iter().zip(&counts).map(|(l, counts)| l * counts).collect(),
        _ => vec![losses.iter().zip(&row_weights).map(|(l, w)| l * w).sum()],
    };
    case.close("loss", losses, &case.tensor("loss").values, atol, rtol);
    let want = classes_last(&case.tensor("grad_pred").values, classes, inner);
    case.close("grad_pred", gradient, &want, atol, rtol);
}

fn optional(case: &Case<'_>, name: &str) -> Option<Tensor> {
    case.has(name).then(|| case.tensor(name))
}

/// `[N, K, D]` to `[N, D, K]`.
fn classes_last(values: &[f64], classes: usize, inner: usize) -> Vec<f64> {
    let blocks = values.chunks(classes * inner);
    let column = |block: &[f64], d: usize| block.iter().skip(d).step_by(inner).copied().collect::<Vec<f64>>();
    blocks.flat_map(|block| (0..inner).flat_map(move |d| column(block, d))).collect()
}

enum Target<'a> {
    Reals(&'a [f64]),
    Classes(&'a [u32]),
}

/// Losses of rows of `width` elements, and the gradient of their sum, each times its weight.
fn run<T: Scalar>(
    loss: &dyn Loss,
    width: usize,
    pred: &[f64],
    target: Target<'_>,
    row_weights: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let mut graph = Graph::new();
    let x = graph.input("x", &[width]).unwrap();
    let head = loss.apply(&mut graph, x).unwrap();
    // What is predicted does not matter here, and an input is no head.
    let prediction = graph.add(ops::Activate(Activation::Identity), &[x], &[]).unwrap();
    let head = head.predicting(prediction);
    let program: Program<T> = graph.compile_with_input_gradients(head).unwrap();

    let narrowed = |values: &[f64]| values.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
    let widened = |values: &[T]| values.iter().map(|x| x.widen()).collect::<Vec<f64>>();
    let pred = narrowed(pred);
    let reals = if let Target::Reals(values) = target { narrowed(values) } else { Vec::new() };
    let inputs = Slices::new().reals(&pred);
    let inputs = match target {
        Target::Reals(_) => inputs.reals(&reals),
        Target::Classes(classes) => inputs.indices(classes),
    };
    let run = Run {
        params: &[],
        inputs: &inputs,
        rows: row_weights.len(),
        first_row: 0,
        weights: None,
        mode: Mode::Evaluate,
    };
    let mut workspace = Workspace::new(&program, run.rows);
    program.forward(&run, &mut workspace);
    let losses = widened(workspace.losses());
    workspace.upstream().copy_from_slice(&narrowed(row_weights));
    program.backward(&run, &mut workspace, &mut [], Write::Assign);
    (losses, widened(workspace.input_gradient(0).expect("asked for")))
}

/// The loss of Keras's first step.
#[test]
fn golden_end_to_end_first_loss() {
    Group::load("end_to_end").run(&["mlp_mnist"], |case| {
        if case.kind != "seed_model" {
            return Outcome::NotCovered("its data is not among the fixtures");
        }
        first_loss::<f64>(case, 1e-8);
        first_loss::<f32>(case, 1e-5);
        Outcome::Checked
    });
}

fn first_loss<T: Scalar>(case: &Case<'_>, tolerance: f64) {
    let narrowed = |name: &str| case.tensor(name).values.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
    let params: Vec<T> = ["w1", "b1", "w2", "b2"].iter().flat_map(|name| narrowed(name)).collect();
    let rows = case.count("batch_size");
    let (x, y) = (narrowed("x"), narrowed("y"));
    let width = case.tensor("x").shape[1];
    let inputs = Slices::new().reals(&x[..rows * width]).reals(&y[..rows]);

    let program: Program<T> = Program::build(|graph| {
        let x = graph.input("x", &[width])?;
        let hidden = dense(graph, case, x, "w1", "b1", Activation::Relu)?;
        let y = dense(graph, case, hidden, "w2", "b2", Activation::Sigmoid)?;
        BinaryCrossEntropy.apply(graph, y)
    })
    .unwrap();
    let run = Run { params: &params, inputs: &inputs, rows, first_row: 0, weights: None, mode: Mode::Evaluate };
    let mut workspace = Workspace::new(&program, rows);
    program.forward(&run, &mut workspace);
    let mean = workspace.losses().iter().map(|l| l.widen()).sum::<f64>() / rows as f64;
    case.close("first loss", [mean], &case.tensor("loss_f64").values[..1], tolerance, 0.0);
}

fn dense(
    graph: &mut Graph,
    case: &Case<'_>,
    x: tidemill_autograd::Var,
    weight: &str,
    bias: &str,
    activation: Activation,
) -> Result<tidemill_autograd::Var, Error> {
    let zero = Initializer::Constant(0.0);
    let weight = graph.parameter(weight, &case.tensor(weight).shape, zero)?;
    let bias = graph.parameter(bias, &case.tensor(bias).shape, zero)?;
    let y = graph.add(ops::Linear::new(), &[x], &[weight, bias])?;
    graph.add(ops::Activate(activation), &[y], &[])
}
