//! What losses declare, predict and refuse, and their values at the edges.

use tidemill_autograd::{
    Domain, Error, Graph, Initializer, Mode, Program, Role, Run, Scalar, Slices, Var, Workspace, Write, ops,
};
use tidemill_losses::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Huber, Loss, MeanAbsoluteError, MeanSquaredError,
    SoftmaxCrossEntropy,
};

/// `y = x` of any width, so that a loss can be asked about numbers.
fn identity(loss: &dyn Loss, width: usize) -> impl FnOnce(&mut Graph) -> Result<tidemill_autograd::Head, Error> {
    move |graph| {
        let x = graph.input("x", &[width])?;
        let y = graph.add(ops::Reshape::new([width]), &[x], &[])?;
        loss.apply(graph, y)
    }
}

/// Loss, prediction and gradient of one row.
fn one_row<T: Scalar>(loss: &dyn Loss, x: &[f64], target: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let mut graph = Graph::new();
    let head = identity(loss, x.len())(&mut graph).unwrap();
    let program: Program<T> = graph.compile_with_input_gradients(head).unwrap();
    let narrowed = |values: &[f64]| values.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
    let widened = |values: &[T]| values.iter().map(|x| x.widen()).collect::<Vec<f64>>();
    let (x, reals, class) = (narrowed(x), narrowed(target), [target[0] as u32]);
    let inputs = Slices::new().reals(&x);
    let inputs = match program.inputs()[1].domain {
        Domain::Real => inputs.reals(&reals),
        Domain::Index { .. } => inputs.indices(&class),
    };
    let run = Run { params: &[], inputs: &inputs, rows: 1, first_row: 0, weights: None, mode: Mode::Evaluate };
    let mut workspace = Workspace::new(&program, 1);
    program.forward(&run, &mut workspace);
    let (value, prediction) = (workspace.losses()[0].widen(), widened(workspace.prediction()));
    workspace.upstream().fill(T::one());
    program.backward(&run, &mut workspace, &mut [], Write::Assign);
    (value, prediction, widened(workspace.input_gradient(0).unwrap()))
}

#[track_caller]
fn close(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= tolerance * (1.0 + want.abs()), "{got}, not {want}");
    }
}

#[test]
fn a_rows_loss_is_the_mean_of_its_elements() {
    let (x, t) = ([1.0, -2.0, 5.0], [0.0, 0.0, 1.0]);
    assert_eq!(one_row::<f64>(&MeanSquaredError, &x, &t).0, 7.0);
    close(&[one_row::<f64>(&MeanAbsoluteError, &x, &t).0], &[7.0 / 3.0], 1e-15);
    close(&[one_row::<f64>(&Huber::new(2.0), &x, &t).0], &[(0.5 + 2.0 + 6.0) / 3.0], 1e-15);
}

#[test]
fn predictions_are_in_the_targets_terms() {
    let x = [0.0, 2.0];
    for loss in [&MeanSquaredError as &dyn Loss, &MeanAbsoluteError, &Huber::default(), &BinaryCrossEntropy] {
        assert_eq!(one_row::<f64>(loss, &x, &[0.0, 1.0]).1, x);
    }
    let (_, p, _) = one_row::<f64>(&BinaryCrossEntropyWithLogits::new(), &x, &[0.0, 1.0]);
    close(&p, &[0.5, 1.0 / (1.0 + (-2.0_f64).exp())], 1e-15);
    let (_, p, _) = one_row::<f64>(&SoftmaxCrossEntropy::new(), &x, &[1.0]);
    let e = 2.0_f64.exp();
    close(&p, &[1.0 / (1.0 + e), e / (1.0 + e)], 1e-15);
}

fn binary_edges<T: Scalar>(tolerance: f64) {
    // Beyond the clipping: finite, and flat.
    let clipped = -(1e-7_f64).ln();
    for (p, t) in [(0.0, 1.0), (1.0, 0.0), (-3.0, 1.0)] {
        let (loss, _, gradient) = one_row::<T>(&BinaryCrossEntropy, &[p], &[t]);
        // In f32 1 - 10⁻⁷ is 1.2·10⁻⁷ below one.
        close(&[loss], &[clipped], 2e-2);
        assert_eq!(gradient, [0.0]);
    }
    let (loss, _, gradient) = one_row::<T>(&BinaryCrossEntropy, &[0.0], &[0.0]);
    close(&[loss, gradient[0]], &[0.0, 0.0], 2e-7);
    assert!(one_row::<T>(&BinaryCrossEntropy, &[f64::NAN], &[1.0]).0.is_nan());
    // Far logits: the loss grows like the logit and its slope stays.
    for (z, t, want) in [(-500.0, 1.0, (500.0, -1.0)), (500.0, 0.0, (500.0, 1.0)), (500.0, 1.0, (0.0, 0.0))] {
        let (loss, _, gradient) = one_row::<T>(&BinaryCrossEntropyWithLogits::new(), &[z], &[t]);
        close(&[loss, gradient[0]], &[want.0, want.1], tolerance);
    }
    // The slope of a sure and right logit is small, not zero.
    for (z, t, sign) in [(-30.0, 0.0, 1.0), (30.0, 1.0, -1.0)] {
        let (_, _, gradient) = one_row::<T>(&BinaryCrossEntropyWithLogits::new(), &[z], &[t]);
        close(&[gradient[0] * 30.0_f64.exp()], &[sign], tolerance);
    }
}

#[test]
fn binary_cross_entropy_is_finite_everywhere() {
    binary_edges::<f64>(1e-12);
    binary_edges::<f32>(1e-5);
}

#[test]
fn softmax_cross_entropy_is_finite_everywhere() {
    for loss in [SoftmaxCrossEntropy::new(), SoftmaxCrossEntropy::new().label_smoothing(0.2)] {
        let (value, p, gradient) = one_row::<f32>(&loss, &[1000.0, -1000.0, 0.0], &[1.0]);
        assert_eq!(p, [1.0, 0.0, 0.0]);
        assert!(value > 1000.0 && value.is_finite());
        close(&[gradient.iter().sum()], &[0.0], 1e-6);
    }
}

#[test]
fn equal_prediction_and_target_have_no_slope() {
    for loss in [&MeanSquaredError as &dyn Loss, &MeanAbsoluteError, &Huber::default()] {
        let (value, _, gradient) = one_row::<f64>(loss, &[3.0], &[3.0]);
        assert_eq!((value, gradient), (0.0, vec![0.0]), "{loss:?}");
    }
}

#[test]
fn targets_are_of_the_predictions_shape_or_one_class() {
    let target = |loss: &dyn Loss, shape: &[usize]| {
        let mut graph = Graph::new();
        let x = graph.input("x", shape).unwrap();
        loss.apply(&mut graph, x).map(|head| {
            let prediction = graph.add(ops::Reshape::new(shape), &[x], &[]).unwrap();
            let head = head.predicting(prediction);
            graph.compile::<f64>(head).unwrap().inputs()[1].clone()
        })
    };
    for shape in [[].as_slice(), &[1], &[2, 3]] {
        let input = target(&MeanSquaredError, shape).unwrap();
        assert_eq!((input.shape.as_slice(), input.domain, input.role), (shape, Domain::Real, Role::Target));
    }
    let input = target(&SoftmaxCrossEntropy::new(), &[4]).unwrap();
    assert_eq!((input.shape.as_slice(), input.domain), ([].as_slice(), Domain::Index { cardinality: 4 }));
}

#[test]
fn a_shared_prediction_adds_its_gradients() {
    // The logits are also an operand of another part of the loss, so that gradients have to add.
    let record = |graph: &mut Graph| {
        let x = graph.input("x", &[3])?;
        let weight = graph.parameter("weight", &[3, 3], Initializer::GlorotUniform)?;
        let z = graph.add(ops::Linear::new(), &[x], &[weight])?;
        let head = SoftmaxCrossEntropy::new().apply(graph, z)?;
        let pull = graph.parameter("pull", &[1, 3], Initializer::GlorotUniform)?;
        let pulled = graph.add(ops::Linear::new(), &[z], &[pull])?;
        let pulled = graph.add(ops::Reshape::new([]), &[pulled], &[])?;
        let loss = graph.add(ops::Add, &[head.loss().expect("there is one"), pulled], &[])?;
        Ok(tidemill_autograd::Head::with_loss(head.prediction(), loss))
    };
    tidemill_autograd::check_gradients(Default::default(), record).unwrap();
}

#[test]
fn no_rows_have_no_loss() {
    let losses: [(&dyn Loss, usize); 4] = [
        (&MeanSquaredError, 1),
        (&MeanSquaredError, 3),
        (&BinaryCrossEntropyWithLogits::new(), 2),
        (&SoftmaxCrossEntropy::new().label_smoothing(0.1), 2),
    ];
    for (loss, width) in losses {
        let mut graph = Graph::new();
        let head = identity(loss, width)(&mut graph).unwrap();
        let program: Program<f32> = graph.compile_with_input_gradients(head).unwrap();
        let inputs = Slices::new().reals(&[]);
        let inputs = match program.inputs()[1].domain {
            Domain::Real => inputs.reals(&[]),
            Domain::Index { .. } => inputs.indices(&[]),
        };
        let run = Run { params: &[], inputs: &inputs, rows: 0, first_row: 0, weights: None, mode: Mode::Evaluate };
        let mut workspace = Workspace::new(&program, 2);
        program.forward(&run, &mut workspace);
        program.backward(&run, &mut workspace, &mut [], Write::Assign);
        assert!(workspace.losses().is_empty());
    }
}

#[test]
fn errors_name_the_loss() {
    let check = |loss: &dyn Loss, input: &dyn Fn(&mut Graph) -> Result<Var, Error>, message: &str| {
        let mut graph = Graph::new();
        let x = input(&mut graph).unwrap();
        assert_eq!(loss.apply(&mut graph, x).unwrap_err().to_string(), message);
    };
    let wide = |graph: &mut Graph| graph.input("x", &[3]);
    let one = |graph: &mut Graph| graph.input("x", &[1]);
    let matrix = |graph: &mut Graph| graph.input("x", &[2, 3]);
    let category = |graph: &mut Graph| graph.index_input("c", &[], 3);
    let categories = |graph: &mut Graph| graph.index_input("c", &[4], 3);
    let twice = |graph: &mut Graph| {
        graph.target("target", &[5])?;
        graph.input("x", &[1])
    };
    check(&MeanSquaredError, &twice, "graph: input target is declared twice");
    check(&MeanSquaredError, &category, "mean squared error: the prediction c is of categories, expected real numbers");
    check(&Huber::new(0.0), &wide, "huber loss: delta is 0, expected a number above zero");
    check(&Huber::new(f64::NAN), &wide, "huber loss: delta is NaN, expected a number above zero");
    check(
        &BinaryCrossEntropyWithLogits::new().positive_weights([1.0]),
        &wide,
        "binary cross entropy with logits: 1 positive weights for 3 elements of x",
    );
    check(
        &BinaryCrossEntropyWithLogits::new().positive_weight(-1.0),
        &wide,
        "binary cross entropy with logits: a positive weight is -1, expected a number not below zero",
    );
    let softmax = SoftmaxCrossEntropy::new;
    check(&softmax(), &matrix, "softmax cross entropy: x is [2, 3], expected one axis of classes");
    check(&softmax(), &one, "softmax cross entropy: x has one class; for yes or no use the binary cross entropy");
    check(&softmax(), &categories, "softmax cross entropy: the prediction c is of categories, expected real numbers");
    check(&softmax().class_weights([1.0, 2.0]), &wide, "softmax cross entropy: 2 class weights for 3 classes");
    check(
        &softmax().class_weights([1.0, 2.0, f64::NAN]),
        &wide,
        "softmax cross entropy: a class weight is NaN, expected a number not below zero",
    );
    check(&softmax().label_smoothing(1.0), &wide, "softmax cross entropy: label smoothing is 1, expected 0 <= ε < 1");
}
