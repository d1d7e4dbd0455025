//! Names, errors, defaults and gradients of layers.

use tidemill_autograd::{Error, GradientCheck, Graph, Head, Key, Program, Var, check_gradients};
use tidemill_layers::{
    Activation, AvgPool2d, Conv1d, Conv2d, Dense, Dropout, Embedding, Features, Flatten, GlobalAveragePool2d,
    Initializer, Layer, LayerNorm, LogSoftmax, MaxPool2d, Sequential, Softmax,
};

fn build(record: impl FnOnce(&mut Graph) -> Result<Var, Error>) -> Result<Program<f64>, Error> {
    Program::build(|graph| Ok(Head::new(record(graph)?)))
}

/// A layer on an input `x`.
fn on(shape: &'static [usize], layer: impl Layer) -> impl Fn(&mut Graph) -> Result<Var, Error> {
    move |graph| {
        let x = graph.input("x", shape)?;
        layer.apply(graph, x)
    }
}

fn shapes(program: &Program<f64>) -> Vec<(&str, &[usize])> {
    program.layout().parameters().iter().map(|p| (p.name(), p.shape())).collect()
}

#[test]
fn every_layer_agrees_with_finite_differences() {
    let check = |layer: &dyn Fn(&mut Graph) -> Result<Var, Error>| {
        let record = |graph: &mut Graph| Ok(Head::new(layer(graph)?));
        check_gradients(GradientCheck::default(), record).unwrap();
    };
    check(&on(&[3], Dense::new(4).tanh()));
    check(&on(&[2, 3], Dense::new(4).without_bias().activation(Activation::Gelu)));
    check(&on(&[4], LayerNorm::new()));
    check(&on(&[2, 3], LayerNorm::new().axes(2).epsilon(1e-3)));
    check(&on(&[2, 4], LayerNorm::new().without_affine()));
    check(&on(&[3], Sequential::new().add(Softmax).add(Flatten).add(LogSoftmax).add(Activation::Tanh)));
    check(&on(&[5], Sequential::new().add(Dense::new(6).sigmoid()).add(Dropout::new(0.5)).add(Dense::new(2))));
    check(&on(&[2, 7], Conv1d::new(3, 3).stride(2).padding(1).activation(Activation::Silu)));
    check(&on(&[2, 7], Conv1d::new(4, 2).dilation(2).groups(2).without_bias()));
    check(&on(&[2, 5, 4], Conv2d::new(3, [2, 3]).stride([2, 1]).padding(1).activation(Activation::Tanh)));
    let network = Sequential::new()
        .add(Conv2d::new(4, 3).same_padding().relu())
        .add(MaxPool2d::new(2))
        .add(Conv2d::new(4, 3).groups(4).dilation([1, 2]).padding([1, 2]))
        .add(AvgPool2d::new(3).stride(1).padding(1).without_padding_counted())
        .add(GlobalAveragePool2d)
        .add(Flatten.axes(1..))
        .add(Flatten);
    check(&on(&[2, 6, 7], network));
    check(&|graph| {
        let x = Features::new().reals("x", 2).category("c", 3, 2).category("d", 5, 1).declare(graph)?;
        Dense::new(3).relu().apply(graph, x)
    });
}

#[test]
fn parameters_are_named_in_the_order_of_application() {
    let model = Sequential::new()
        .add(Dense::new(4).without_bias())
        .add(LayerNorm::new())
        .add(Dense::new(3).name("hidden").relu())
        .add(Sequential::new().add(Dense::new(2)).add(LayerNorm::new().name("last")));
    let program = build(on(&[5], model)).unwrap();
    let want: [(&str, &[usize]); 9] = [
        ("dense1.weight", &[4, 5]),
        ("layer_norm1.weight", &[4]),
        ("layer_norm1.bias", &[4]),
        ("hidden.weight", &[3, 4]),
        ("hidden.bias", &[3]),
        ("dense2.weight", &[2, 3]),
        ("dense2.bias", &[2]),
        ("last.weight", &[2]),
        ("last.bias", &[2]),
    ];
    assert_eq!(shapes(&program), want);
}

#[test]
fn a_layer_applied_twice_has_parameters_twice() {
    let dense = Dense::new(2);
    let program = build(|graph| {
        let x = graph.input("x", &[2])?;
        let y = dense.apply(graph, x)?;
        dense.apply(graph, y)
    });
    let program = program.unwrap();
    let names: Vec<&str> = shapes(&program).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias"]);
}

#[test]
fn features_join_numbers_and_the_vectors_of_categories() {
    let features = Features::new().reals("x", 6).category("carrier", 14, 4).embedded(
        "origin",
        300,
        Embedding::new(301, 8).padding(300).name("airport"),
    );
    let program = build(|graph| features.declare(graph)).unwrap();
    assert_eq!(shapes(&program), [("carrier.weight", [14, 4].as_slice()), ("airport.weight", &[301, 8])]);
    let inputs: Vec<(&str, usize)> = program.inputs().iter().map(|i| (i.name.as_str(), i.shape.len())).collect();
    assert_eq!(inputs, [("x", 1), ("carrier", 0), ("origin", 0)]);
    assert_eq!(program.prediction_shape(), [18]);

    let one = build(|graph| Features::new().category("carrier", 14, 4).declare(graph)).unwrap();
    assert_eq!(one.prediction_shape(), [4]);
}

#[test]
fn first_values_are_drawn_as_documented() {
    let within = |values: &[f64], bound: f64| {
        assert!(values.iter().all(|x| x.abs() <= bound) && values.iter().any(|x| x.abs() > 0.9 * bound), "{bound}");
    };
    let program = build(|graph| {
        let x = Features::new().reals("x", 20).category("c", 50, 30).declare(graph)?;
        Sequential::new().add(Dense::new(10)).add(LayerNorm::new()).apply(graph, x)
    });
    let program = program.unwrap();
    let arena: Vec<f64> = program.layout().initialize(Key::new(1));
    let of = |name: &str| &arena[program.layout().find(name).unwrap().range()];
    within(of("c.weight"), 0.05);
    within(of("dense1.weight"), (6.0 / 60.0_f64).sqrt());
    assert_eq!(of("dense1.bias"), [0.0; 10]);
    assert_eq!((of("layer_norm1.weight"), of("layer_norm1.bias")), ([1.0; 10].as_slice(), [0.0; 10].as_slice()));

    let dense = Dense::new(10)
        .weight_initializer(Initializer::Uniform { bound: 2.0 })
        .bias_initializer(Initializer::Constant(3.0));
    let program = build(on(&[10], dense)).unwrap();
    let arena: Vec<f64> = program.layout().initialize(Key::new(1));
    within(&arena[..100], 2.0);
    assert_eq!(arena[100..], [3.0; 10]);
    let program = build(on(&[4, 5, 5], Conv2d::new(6, 3))).unwrap();
    let arena: Vec<f64> = program.layout().initialize(Key::new(1));
    within(&arena[..216], (6.0 / 90.0_f64).sqrt());
    assert_eq!(arena[216..], [0.0; 6]);
    let embedding = Embedding::new(4, 2).weight_initializer(Initializer::Constant(7.0));
    let program = build(|graph| Features::new().embedded("c", 4, embedding).declare(graph)).unwrap();
    assert_eq!(program.layout().initialize::<f64>(Key::new(1)), [7.0; 8]);
}

#[test]
fn an_empty_sequential_is_the_identity() {
    let mut graph = Graph::new();
    let x = graph.input("x", &[2]).unwrap();
    assert_eq!(Sequential::new().apply(&mut graph, x).unwrap(), x);
}

#[test]
fn errors_name_the_layer() {
    let check = |record: &dyn Fn(&mut Graph) -> Result<Var, Error>, message: &str| {
        assert_eq!(build(record).err().expect("it is refused").to_string(), message);
    };
    let two = |second: Dense| Sequential::new().add(Dense::new(64).relu()).add(second);
    check(&on(&[3], two(Dense::new(1).inputs(128))), "layer dense2 expects 128 inputs, dense1 gives 64");
    check(&on(&[3], Dense::new(1).inputs(4).name("hidden")), "layer hidden expects 4 inputs, x gives 3");
    check(&on(&[3], Dense::new(0)), "parameter dense1.weight: shape [0, 3] has no element");
    check(&on(&[3], two(Dense::new(2).name("dense1"))), "parameter dense1.weight is declared twice");
    check(
        &on(&[3], Dense::new(1).activation(Activation::Softplus { beta: 0.0 })),
        "layer dense1: softplus: beta must be finite and positive, not 0",
    );
    check(
        &on(&[3], Sequential::new().add(Activation::LeakyRelu { slope: f64::NAN })),
        "layer activation1: leaky relu: slope must be finite and not negative, not NaN",
    );
    check(
        &on(&[3], Dense::new(1).weight_initializer(Initializer::Normal { std: -1.0 })),
        "parameter dense1.weight: cannot be drawn from Normal { std: -1.0 }",
    );
    check(&on(&[3], Dropout::new(-0.1)), "layer dropout1: probability is -0.1, expected 0 <= p < 1");
    check(&on(&[3], LayerNorm::new().axes(2)), "layer layer_norm1: x is [3], of which the last 2 cannot be taken");
    check(&on(&[], LayerNorm::new()), "layer layer_norm1: x is [], of which the last 1 cannot be taken");
    check(&on(&[3], LayerNorm::new().axes(0)), "layer layer_norm1: x is [3], of which the last 0 cannot be taken");
    check(
        &on(&[3], LayerNorm::new().epsilon(f64::NAN)),
        "layer layer_norm1: epsilon is NaN, expected a number not below zero",
    );
    check(&on(&[3], Conv2d::new(2, 3)), "layer conv1: x is [3], expected [channels, height, width]");
    check(&on(&[3], Conv1d::new(2, 3)), "layer conv1: x is [3], expected [channels, time]");
    check(&on(&[3, 4], Conv1d::new(2, 3).channels(2)), "layer conv1: expects 2 channels, x gives 3");
    check(
        &on(&[3, 4], Conv1d::new(2, 3).groups(2).name("pairs")),
        "layer pairs: 2 groups do not divide 3 channels and 2 outputs",
    );
    check(
        &on(&[1, 4, 4], Conv2d::new(2, 3).stride(2).same_padding()),
        "layer conv1: same padding is for a stride of 1 and a window that spans odd numbers, not for stride [2, 2] and a \
         window that spans [3, 3]",
    );
    check(
        &on(&[1, 4, 4], Conv2d::new(2, [1, 2]).dilation(2).padding([0, 3]).stride(0)),
        "layer conv1: stride is 0x0, expected at least 1",
    );
    check(
        &on(&[1, 4, 4], Conv2d::new(2, 5)),
        "layer conv1: a window of 5x5 does not fit an image of 4x4 with padding 0x0",
    );
    check(&on(&[1, 4, 4], Conv2d::new(0, 3)), "parameter conv1.weight: shape [0, 1, 3, 3] has no element");
    check(&on(&[4, 4], MaxPool2d::new(2)), "layer max_pool1: x is [4, 4], expected [channels, height, width]");
    check(
        &on(&[1, 4, 4], AvgPool2d::new(2).padding(2)),
        "layer avg_pool1: padding [2, 2] is more than half of the window, which spans [2, 2]",
    );
    check(&on(&[2, 3], Flatten.axes(1..3)), "layer flatten1: x is [2, 3], which has no axes 1..3");
    check(&on(&[2, 3], Flatten.axes(1..1)), "layer flatten1: x is [2, 3], which has no axes 1..1");
    check(&on(&[], Softmax), "layer softmax1: x has no axis of classes");
    check(&on(&[3], Embedding::new(5, 2)), "layer embedding1: x is of real numbers, expected categories");
    let category = |layer: &dyn Layer, message| {
        let record = |graph: &mut Graph| {
            let c = graph.index_input("c", &[], 5)?;
            layer.apply(graph, c)
        };
        check(&record, message);
    };
    category(&Dense::new(1), "layer dense1: c is of categories, expected real numbers");
    category(&Embedding::new(4, 2), "layer embedding1: c has 5 categories, the table 4 rows");
    category(&Embedding::new(5, 2).padding(5), "layer embedding1: padding is 5, the table has 5 rows");
    check(&|graph| Features::new().declare(graph), "features: there is no column");
    check(&|graph| Features::new().reals("x", 0).declare(graph), "input x: shape [0] has no element");
    check(
        &|graph| Features::new().reals("x", 1).category("x", 3, 1).declare(graph),
        "graph: input x is declared twice",
    );
}
