//! Layers against the numbers of PyTorch and Keras, in both precisions.

use tidemill_autograd::tensor::ParameterKind;
use tidemill_autograd::{Graph, Head, Key, Mode, Program, Run, Scalar, Slices, Workspace, Write};
use tidemill_golden::{Case, Group, Outcome, Tensor};
use tidemill_layers::{
    Activation, AvgPool2d, BatchNorm, Conv1d, Conv2d, Dense, Embedding, Flatten, GlobalAveragePool2d, Layer, LayerNorm,
    LogSoftmax, MaxPool2d, Sequential, Softmax,
};

const F64: (f64, f64) = (1e-10, 1e-9);
const F32: (f64, f64) = (1e-5, 1e-5);

#[test]
fn golden_layers() {
    Group::load("layers").run(&["gru", "lstm", "multihead_attention", "rnn"], |case| {
        let layer: Box<dyn Layer> = match case.kind {
            "linear" => Box::new(dense(case)),
            "layer_norm" => Box::new(layer_norm(case)),
            "batch_norm1d" | "batch_norm2d" => Box::new(batch_norm(case)),
            "embedding" => Box::new(embedding(case)),
            "softmax" => Box::new(Softmax),
            "log_softmax" => Box::new(LogSoftmax),
            "conv1d" => Box::new(conv1d(case)),
            "conv2d" => Box::new(conv2d(case)),
            "max_pool2d" => Box::new(max_pool2d(case)),
            "avg_pool2d" => Box::new(avg_pool2d(case)),
            "global_avg_pool2d" => Box::new(GlobalAveragePool2d),
            "flatten" => flatten(case),
            kind => match activation(kind, case) {
                Some(activation) => Box::new(activation),
                None => return Outcome::NotCovered("there is no such layer yet"),
            },
        };
        check::<f64>(case, &*layer, F64);
        check::<f32>(case, &*layer, F32);
        Outcome::Checked
    });
}

fn dense(case: &Case<'_>) -> Dense {
    let dense = Dense::new(case.count("out_features")).inputs(case.count("in_features"));
    if case.flag("bias") { dense } else { dense.without_bias() }
}

fn layer_norm(case: &Case<'_>) -> LayerNorm {
    let axes = case.params["normalized_shape"].as_array().expect("normalized_shape is a list").len();
    let norm = LayerNorm::new().axes(axes).epsilon(case.number("eps"));
    if case.flag("affine") { norm } else { norm.without_affine() }
}

fn batch_norm(case: &Case<'_>) -> BatchNorm {
    let norm = BatchNorm::new().epsilon(case.number("eps")).momentum(case.number("momentum"));
    if case.flag("affine") { norm } else { norm.without_affine() }
}

fn embedding(case: &Case<'_>) -> Embedding {
    let embedding = Embedding::new(case.count("num_embeddings") as u32, case.count("embedding_dim"));
    if case.params["padding_idx"].is_null() {
        return embedding;
    }
    embedding.padding(case.count("padding_idx") as u32)
}

fn conv1d(case: &Case<'_>) -> Conv1d {
    let one = |param: &str| case.params[param][0].as_u64().unwrap() as usize;
    let conv = Conv1d::new(case.count("out_channels"), one("kernel_size"))
        .channels(case.count("in_channels"))
        .stride(one("stride"))
        .padding(one("padding"))
        .dilation(one("dilation"))
        .groups(case.count("groups"));
    if case.flag("bias") { conv } else { conv.without_bias() }
}

fn conv2d(case: &Case<'_>) -> Conv2d {
    let conv = Conv2d::new(case.count("out_channels"), pair(case, "kernel_size"))
        .channels(case.count("in_channels"))
        .stride(pair(case, "stride"))
        .padding(pair(case, "padding"))
        .dilation(pair(case, "dilation"))
        .groups(case.count("groups"));
    if case.flag("bias") { conv } else { conv.without_bias() }
}

fn max_pool2d(case: &Case<'_>) -> MaxPool2d {
    MaxPool2d::new(pair(case, "kernel_size"))
        .stride(pair(case, "stride"))
        .padding(pair(case, "padding"))
        .dilation(pair(case, "dilation"))
}

fn avg_pool2d(case: &Case<'_>) -> AvgPool2d {
    let pool = AvgPool2d::new(pair(case, "kernel_size")).stride(pair(case, "stride")).padding(pair(case, "padding"));
    if case.flag("count_include_pad") { pool } else { pool.without_padding_counted() }
}

/// The fixture's axes count the batch, and its last one is joined too.
fn flatten(case: &Case<'_>) -> Box<dyn Layer> {
    let start = case.count("start_dim") - 1;
    match case.params["end_dim"].as_u64() {
        Some(end) => Box::new(Flatten.axes(start..end as usize)),
        None if start == 0 => Box::new(Flatten),
        None => Box::new(Flatten.axes(start..)),
    }
}

/// `[height, width]`.
fn pair(case: &Case<'_>, param: &str) -> [usize; 2] {
    [0, 1].map(|i| case.params[param][i].as_u64().unwrap_or_else(|| panic!("{}: {param}", case.name)) as usize)
}

fn activation(kind: &str, case: &Case<'_>) -> Option<Activation> {
    Some(match kind {
        "relu" => Activation::Relu,
        "leaky_relu" => Activation::LeakyRelu { slope: case.number("negative_slope") },
        "elu" => Activation::Elu { alpha: case.number("alpha") },
        "selu" => Activation::Selu,
        "gelu" if case.params["approximate"] == "tanh" => Activation::GeluTanh,
        "gelu" => Activation::Gelu,
        "silu" => Activation::Silu,
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "softplus" => Activation::Softplus { beta: case.number("beta") },
        "hardtanh" => Activation::HardTanh { min: case.number("min_val"), max: case.number("max_val") },
        "relu6" => Activation::Relu6,
        _ => return None,
    })
}

/// Output and gradients of a layer whose parameters are called as the case's tensors.
fn check<T: Scalar>(case: &Case<'_>, layer: &dyn Layer, tolerance: (f64, f64)) {
    let (y, upstream) = (tensor(case, "y"), tensor(case, "g_y"));
    let indices = case.has("indices").then(|| case.tensor("indices"));
    let x = indices.clone().unwrap_or_else(|| tensor(case, "x"));
    let program: Program<T> = program(layer, &x.shape[1..], indices.is_some().then(|| case.count("num_embeddings")));
    let own = |name: &str| name.rsplit('.').next().expect("there is a last part").to_owned();
    let mut params = vec![T::nan(); program.layout().len()];
    for parameter in program.layout().parameters() {
        let stored = case.tensor(&own(parameter.name()));
        assert_eq!(stored.shape, parameter.shape(), "{} {}", case.name, parameter.name());
        params[parameter.range()].copy_from_slice(&narrowed::<T>(&stored));
    }

    let (reals, categories) = (narrowed(&x), indices.as_ref().map(Tensor::indices).unwrap_or_default());
    let inputs = if indices.is_some() { Slices::new().indices(&categories) } else { Slices::new().reals(&reals) };
    let mode = if case.params["training"] == true { Mode::Train(Key::new(1)) } else { Mode::Evaluate };
    let run = Run { params: &params, inputs: &inputs, rows: x.shape[0], first_row: 0, weights: None, mode };
    let mut workspace = Workspace::new(&program, run.rows);
    program.forward(&run, &mut workspace);
    assert_eq!(program.prediction_shape(), &y.shape[1..], "{}", case.name);
    let close = |what: &str, got: &[T], want: &Tensor| {
        case.close(what, got.iter().map(|x| x.widen()), &want.values, tolerance.0, tolerance.1);
    };
    close("y", workspace.prediction(), &y);

    workspace.upstream().copy_from_slice(&narrowed(&upstream));
    let mut gradients = vec![T::nan(); program.gradient_len()];
    program.backward(&run, &mut workspace, &mut gradients, Write::Assign);
    for parameter in program.layout().trainable().parameters() {
        let name = format!("grad_{}", own(parameter.name()));
        close(&name, &gradients[parameter.range()], &case.tensor(&name));
    }
    if indices.is_none() {
        close("grad_x", workspace.input_gradient(0).expect("asked for"), &tensor(case, "grad_x"));
    }
    if matches!(mode, Mode::Train(_)) {
        program.update_buffers(&mut params, &gradients, x.shape[0] as f64);
    }
    for parameter in program.layout().parameters().iter().filter(|p| p.kind() == ParameterKind::Buffer) {
        let name = format!("after_{}", own(parameter.name()));
        close(&name, &params[parameter.range()], &case.tensor(&name));
    }
}

fn program<T: Scalar>(layer: &dyn Layer, shape: &[usize], cardinality: Option<usize>) -> Program<T> {
    let mut graph = Graph::new();
    let x = match cardinality {
        Some(cardinality) => graph.index_input("x", shape, cardinality as u32),
        None => graph.input("x", shape),
    };
    let prediction = layer.apply(&mut graph, x.unwrap()).unwrap();
    graph.compile_with_input_gradients(Head::new(prediction)).unwrap()
}

fn narrowed<T: Scalar>(tensor: &Tensor) -> Vec<T> {
    tensor.values.iter().map(|&x| T::of(x)).collect()
}

/// A tensor as rows: of an operation along axis `dim`, that axis last and all others counting rows.
fn tensor(case: &Case<'_>, name: &str) -> Tensor {
    let stored = case.tensor(name);
    let Some(dim) = case.params["dim"].as_i64() else { return stored };
    let dim = if dim < 0 { stored.shape.len() - dim.unsigned_abs() as usize } else { dim as usize };
    let length = stored.shape[dim];
    let inner: usize = stored.shape[dim + 1..].iter().product();
    let block = length * inner;
    let rows = stored.values.len() / length;
    let at = |row: usize, i: usize| stored.values[row / inner * block + i * inner + row % inner];
    let values = (0..rows).flat_map(|row| (0..length).map(move |i| (row, i))).map(|(row, i)| at(row, i)).collect();
    Tensor { shape: vec![rows, length], values }
}

/// The small model that Keras trained, with its final weights.
#[test]
fn golden_end_to_end_prediction() {
    let model = Sequential::new().add(Dense::new(10).relu()).add(Dense::new(1).sigmoid());
    Group::load("end_to_end").run(&["mlp_mnist"], |case| {
        if case.kind != "seed_model" {
            return Outcome::NotCovered("its data is not among the fixtures");
        }
        let (x, want) = (case.tensor("x"), case.tensor("final_prediction_f64"));
        let stored = ["final_w1_f64", "final_b1_f64", "final_w2_f64", "final_b2_f64"].map(|name| case.tensor(name));
        fn check<T: Scalar>(
            case: &Case<'_>,
            model: &dyn Layer,
            x: &Tensor,
            stored: &[Tensor],
            want: &[f64],
            atol: f64,
        ) {
            let program: Program<T> = program(model, &x.shape[1..], None);
            let params: Vec<T> = stored.iter().flat_map(narrowed).collect();
            assert_eq!(params.len(), program.layout().len());
            let x_values = narrowed(x);
            let inputs = Slices::new().reals(&x_values);
            let run = Run {
                params: &params,
                inputs: &inputs,
                rows: x.shape[0],
                first_row: 0,
                weights: None,
                mode: Mode::Predict,
            };
            let mut workspace = Workspace::new(&program, run.rows);
            program.forward(&run, &mut workspace);
            case.close("prediction", workspace.prediction().iter().map(|p| p.widen()), want, atol, 0.0);
        }
        check::<f64>(case, &model, &x, &stored, &want.values, 1e-8);
        check::<f32>(case, &model, &x, &stored, &want.values, 1e-5);
        Outcome::Checked
    });
}
