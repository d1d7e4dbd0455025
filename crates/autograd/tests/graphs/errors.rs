use tidemill_autograd::tensor::{Convolution, Divisor, Pooling, Window};
use tidemill_autograd::{Activation, Error, Graph, Head, Initializer, Op, Var, ops};

use crate::models::{Recorded, predict};

/// A graph with a vector `x` of 4 numbers, a matrix `m` `[2, 3]`, a number `s` and a category `c` below 5.
fn graph() -> (Graph, [Var; 4]) {
    let mut graph = Graph::new();
    let x = graph.input("x", &[4]).unwrap();
    let m = graph.input("m", &[2, 3]).unwrap();
    let s = graph.input("s", &[]).unwrap();
    let c = graph.index_input("c", &[], 5).unwrap();
    (graph, [x, m, s, c])
}

#[track_caller]
fn check(record: impl FnOnce(&mut Graph, [Var; 4]) -> Result<Var, Error>, message: &str) {
    let (mut graph, vars) = graph();
    assert_eq!(record(&mut graph, vars).unwrap_err().to_string(), message);
}

/// An operation on parameters of these shapes.
#[track_caller]
fn check_op(op: impl Op, operands: impl FnOnce([Var; 4]) -> Vec<Var>, params: &[&[usize]], message: &str) {
    let record = |graph: &mut Graph, vars| {
        let mut handles = Vec::new();
        for shape in params {
            let name = graph.unique("w");
            handles.push(graph.parameter(&name, shape, Initializer::Constant(0.0))?);
        }
        graph.add(op, &operands(vars), &handles)
    };
    check(record, message);
}

#[test]
fn inputs() {
    check(|g, _| g.input("x", &[1]), "graph: input x is declared twice");
    check(|g, _| g.input("y", &[2, 0]), "input y: shape [2, 0] has no element");
    check(|g, _| g.index_input("y", &[], 0), "input y: has no category");
    let twice = |g: &mut Graph, _| {
        g.target("target", &[1])?;
        g.index_target("target", 3)
    };
    check(twice, "graph: input target is declared twice");
}

#[test]
fn parameters() {
    let declare = |shape: &'static [usize], initializer| {
        move |g: &mut Graph, [x, ..]: [Var; 4]| {
            g.parameter("w", &[1], Initializer::Constant(0.0))?;
            g.parameter("v", shape, initializer)?;
            g.parameter("w", &[1], Initializer::Constant(0.0))?;
            Ok(x)
        }
    };
    check(declare(&[3, 2], Initializer::HeNormal), "parameter w is declared twice");
    check(declare(&[3, 0], Initializer::HeNormal), "parameter v: shape [3, 0] has no element");
    for (initializer, shown) in [
        (Initializer::Constant(f64::NAN), "Constant(NaN)"),
        (Initializer::Uniform { bound: -1.0 }, "Uniform { bound: -1.0 }"),
        (Initializer::Normal { std: f64::INFINITY }, "Normal { std: inf }"),
    ] {
        check(declare(&[1], initializer), &format!("parameter v: cannot be drawn from {shown}"));
    }
}

#[test]
fn operations() {
    let x = |[x, ..]: [Var; 4]| vec![x];
    let c = |[.., c]: [Var; 4]| vec![c];
    let s = |[_, _, s, _]: [Var; 4]| vec![s];
    let xm = |[x, m, ..]: [Var; 4]| vec![x, m];

    check_op(ops::Linear::new(), x, &[&[2, 3]], "linear: weight [2, 3] takes 3 inputs, x gives 4");
    check_op(ops::Linear::new(), x, &[&[2, 4], &[3]], "linear: bias [3] does not fit weight [2, 4]");
    check_op(ops::Linear::new(), x, &[&[4]], "linear: weight [4] is no matrix [out, in]");
    check_op(ops::Linear::new(), x, &[], "linear: takes a weight and at most a bias, not 0 parameters");
    check_op(
        ops::Linear::new(),
        x,
        &[&[2, 4], &[2], &[2]],
        "linear: takes a weight and at most a bias, not 3 parameters",
    );
    check_op(ops::Linear::new(), xm, &[&[2, 4]], "linear: takes one operand, not 2");
    check_op(ops::Linear::new(), c, &[&[2, 4]], "linear: c is of categories, expected real numbers");

    check_op(ops::Add, xm, &[], "add: m is [2, 3], x is [4]; they must be alike");
    check_op(ops::Add, x, &[], "add: takes 2 operands, not 1");
    check_op(ops::Multiply, xm, &[], "multiply: m is [2, 3], x is [4]; they must be alike");
    check_op(ops::Multiply, |[x, ..]| vec![x, x], &[&[1]], "multiply: takes no parameter, not 1");

    check_op(ops::Concat::new([]), |_| vec![], &[], "concat: takes at least one operand");
    check_op(ops::Concat::new([4]), xm, &[], "concat: takes one operand, not 2");
    check_op(ops::Concat::new([4, 6]), xm, &[], "concat: x is [4], m is [2, 3]");
    check_op(ops::Concat::new([3]), x, &[], "concat: x has 4 elements a row, expected 3");
    check_op(ops::Concat::new([1]), s, &[], "concat: s has no axis");
    check_op(ops::Concat::new([4, 1]), |[x, _, s, _]| vec![x, s], &[], "concat: x is [4], s is []");

    check_op(ops::Embedding::new(), x, &[&[5, 2]], "embedding: x is of real numbers, expected categories");
    check_op(ops::Embedding::new(), c, &[&[4, 2]], "embedding: c has 5 categories, the table 4 rows");
    check_op(ops::Embedding::new(), c, &[&[5]], "embedding: takes one operand and one parameter, a table [N, D]");
    check_op(ops::Embedding::new().padding(5), c, &[&[5, 2]], "embedding: padding is 5, the table has 5 rows");

    check_op(ops::LayerNorm::new(3, 1e-5), x, &[], "layer norm: x is [4], whose last axes never have 3 elements");
    check_op(ops::LayerNorm::new(4, -1.0), x, &[], "layer norm: epsilon is -1, expected a number not below zero");
    check_op(ops::LayerNorm::new(4, 0.1), x, &[&[4]], "layer norm: takes 2 parameters, not 1");
    check_op(
        ops::LayerNorm::new(4, 0.1),
        x,
        &[&[4], &[3]],
        "layer norm: parameter [3] does not fit 4 normalised elements",
    );

    check_op(ops::Dropout::new(1.0), x, &[], "dropout: probability is 1, expected 0 <= p < 1");
    check_op(ops::Dropout::new(f64::NAN), x, &[], "dropout: probability is NaN, expected 0 <= p < 1");
    check_op(ops::Reshape::new([3, 2]), x, &[], "reshape: x is [4], which does not become [3, 2]");
    check_op(ops::Softmax, s, &[], "softmax: s has no axis of classes");
    check_op(ops::LogSoftmax, c, &[], "log softmax: c is of categories, expected real numbers");
    let leaky = ops::Activate(Activation::LeakyRelu { slope: -1.0 });
    check_op(leaky, x, &[], "activation: leaky relu: slope must be finite and not negative, not -1");
}

#[test]
fn convolutions_and_pooling() {
    let m = |[_, m, ..]: [Var; 4]| vec![m];
    let sizes = Convolution { channels: 2, outputs: 4, groups: 1, image: [1, 3], window: Window::new([1, 2]) };
    let series = ops::Conv::one_dimensional;
    check_op(series(sizes), |[x, ..]| vec![x], &[&[4, 2, 2]], "convolution: x is [4], expected [2, 3]");
    check_op(series(sizes), m, &[&[4, 3, 2]], "convolution: weight is [4, 3, 2], expected [4, 2, 2]");
    check_op(series(sizes), m, &[&[4, 2, 2], &[3]], "convolution: bias [3] does not fit weight [4, 2, 2]");
    check_op(series(sizes), m, &[], "convolution: takes a weight and at most a bias, not 0 parameters");
    check_op(ops::Conv::two_dimensional(sizes), m, &[&[4, 2, 1, 2]], "convolution: m is [2, 3], expected [2, 1, 3]");
    check_op(
        series(Convolution { groups: 3, ..sizes }),
        m,
        &[&[4, 2, 2]],
        "convolution: 3 groups do not divide 2 channels and 4 outputs",
    );
    check_op(
        series(Convolution { window: Window::new([1, 2]).stride([1, 0]), ..sizes }),
        m,
        &[&[4, 2, 2]],
        "convolution: stride is 1x0, expected at least 1",
    );
    check_op(
        series(Convolution { window: Window::new([1, 4]), ..sizes }),
        m,
        &[&[4, 2, 4]],
        "convolution: a window of 1x4 does not fit an image of 1x3 with padding 0x0",
    );
    check_op(
        series(Convolution { window: Window::new([2, 2]), ..sizes }),
        m,
        &[&[4, 2, 2]],
        "convolution: a window of [2, 2] with padding [0, 0] does not stay in one row of [1, 3]",
    );

    let pooling = Pooling { image: [2, 3], window: Window::new([2, 2]) };
    check_op(ops::MaxPool(pooling), m, &[], "max pooling: m is [2, 3], expected [channels, height, width]");
    check_op(ops::GlobalAveragePool, m, &[], "global average pooling: m is [2, 3], expected [channels, height, width]");
    let on_image = |op: &dyn Fn(&mut Graph, Var) -> Result<Var, Error>, message: &str| {
        let record = |g: &mut Graph, [_, m, ..]: [Var; 4]| {
            let image = g.add(ops::Reshape::new([1, 2, 3]), &[m], &[])?;
            op(g, image)
        };
        check(record, message);
    };
    let other = Pooling { image: [3, 2], ..pooling };
    on_image(
        &|g, x| g.add(ops::AveragePool::new(other, Divisor::Window), &[x], &[]),
        "average pooling: reshape is [1, 2, 3], expected images of [3, 2]",
    );
    let far = Pooling { window: pooling.window.padding([2, 0]), ..pooling };
    on_image(
        &|g, x| g.add(ops::MaxPool(far), &[x], &[]),
        "max pooling: padding [2, 0] is more than half of the window, which spans [2, 2]",
    );
}

#[test]
fn handles_of_another_graph() {
    let mut other = graph().0;
    let foreign = (0..9).map(|i| other.input(&i.to_string(), &[4]).unwrap()).last().unwrap();
    let weight = other.parameter("weight", &[1, 4], Initializer::GlorotUniform).unwrap();
    check(|g, _| g.add(ops::Softmax, &[foreign], &[]), "softmax: is applied to a value of another graph");
    check(
        |g, [x, ..]| g.add(ops::Linear::new(), &[x], &[weight]),
        "linear: is given a parameter or buffer of another graph",
    );
}

#[test]
fn endings() {
    let check = |record: &dyn Fn(&mut Graph, [Var; 4]) -> Recorded, message: &str| {
        let (mut graph, vars) = graph();
        let ending = record(&mut graph, vars).unwrap();
        let error = graph.compile::<f32>(ending).err().expect("the ending is refused");
        assert_eq!(error.to_string(), message);
    };
    check(&|_, [x, ..]| predict(Ok(x)), "graph: it ends in its input x");
    check(
        &|g, [x, ..]| {
            let prediction = g.add(ops::Softmax, &[x], &[])?;
            Ok(Head::with_loss(prediction, prediction))
        },
        "softmax: a loss is one value a row, this is [4]",
    );
    check(
        &|g, [x, ..]| {
            let prediction = g.add(ops::Softmax, &[x], &[])?;
            Ok(Head::with_loss(prediction, x))
        },
        "graph: it ends in its input x",
    );
}

#[test]
fn labels_name_values_and_names_are_given_once() {
    let (mut graph, [x, m, ..]) = graph();
    let y = graph.add(ops::Softmax, &[x], &[]).unwrap();
    assert_eq!((graph.label(x), graph.label(y)), ("x", "softmax"));
    graph.set_label(y, "probabilities");
    let error = graph.add(ops::Add, &[m, y], &[]).unwrap_err();
    assert_eq!(error.to_string(), "add: probabilities is [4], m is [2, 3]; they must be alike");

    assert_eq!([graph.unique("dense"), graph.unique("norm"), graph.unique("dense")], ["dense1", "norm1", "dense2"]);
    graph.parameter("dense3.weight", &[1], Initializer::Constant(0.0)).unwrap();
    assert_eq!(graph.unique("dense"), "dense4");
}
