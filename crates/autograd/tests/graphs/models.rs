//! Models small enough to differentiate by hand.

use tidemill_autograd::{Activation, Error, Graph, Head, Initializer, Param, Program, Scalar, Var, ops};

use crate::images;

pub type Recorded = Result<Head, Error>;

pub struct Model {
    pub name: String,
    pub record: Box<dyn Fn(&mut Graph) -> Recorded>,
}

impl Model {
    pub fn new(name: impl Into<String>, record: impl Fn(&mut Graph) -> Recorded + 'static) -> Self {
        Self { name: name.into(), record: Box::new(record) }
    }

    pub fn compile<T: Scalar>(&self) -> Program<T> {
        Program::build(&self.record).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

pub const ACTIVATIONS: [Activation; 13] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.2 },
    Activation::Elu { alpha: 0.7 },
    Activation::Selu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Softplus { beta: 2.0 },
    Activation::HardTanh { min: -0.5, max: 0.8 },
    Activation::Relu6,
];

/// Every operation, alone and in company.
pub fn models() -> Vec<Model> {
    let mut models = plain();
    models.extend(shared());
    models.extend(categories());
    models.extend(primitives());
    models.extend(normalized());
    models.extend(images::images());
    for activation in ACTIVATIONS {
        models.extend(activated(activation));
        models.push(images::activated(activation));
    }
    models
}

fn plain() -> Vec<Model> {
    vec![
        Model::new("linear", |g| {
            let x = g.input("x", &[3])?;
            predict(linear(g, x, 4))
        }),
        Model::new("linear of one number", |g| {
            let x = g.input("x", &[])?;
            predict(linear(g, x, 2))
        }),
        Model::new("linear on the last of two axes", |g| {
            let x = g.input("x", &[2, 3])?;
            predict(linear(g, x, 4))
        }),
        Model::new("linear without bias", |g| {
            let x = g.input("x", &[3])?;
            predict(linear_without_bias(g, x, 2))
        }),
        Model::new("two layers", |g| {
            let x = g.input("x", &[3])?;
            let h = linear(g, x, 5)?;
            let h = g.add(ops::Activate(Activation::Tanh), &[h], &[])?;
            predict(linear(g, h, 2))
        }),
        Model::new("concat", |g| {
            let (a, b, c) = (g.input("a", &[2])?, g.input("b", &[1])?, g.input("c", &[3])?);
            let b = linear(g, b, 2)?;
            predict(g.add(ops::Concat::new([2, 2, 3]), &[a, b, c], &[]))
        }),
        Model::new("concat along the first of two axes", |g| {
            let (a, b) = (g.input("a", &[2, 3])?, g.input("b", &[1, 3])?);
            predict(g.add(ops::Concat::new([6, 3]), &[a, b], &[]))
        }),
        Model::new("reshape", |g| {
            let x = g.input("x", &[2, 3])?;
            let flat = g.add(ops::Reshape::new([6]), &[x], &[])?;
            predict(linear(g, flat, 2))
        }),
        Model::new("layer norm", |g| {
            let x = g.input("x", &[4])?;
            predict(g.add(ops::LayerNorm::new(4, 1e-5), &[x], &[]))
        }),
        Model::new("layer norm of several groups, with weight and bias", |g| {
            let x = g.input("x", &[3, 4])?;
            let (weight, bias) = (parameter(g, "weight", &[4])?, parameter(g, "bias", &[4])?);
            predict(g.add(ops::LayerNorm::new(4, 1e-3), &[x], &[weight, bias]))
        }),
        Model::new("layer norm over two axes", |g| {
            let x = g.input("x", &[2, 3])?;
            let (weight, bias) = (parameter(g, "weight", &[2, 3])?, parameter(g, "bias", &[2, 3])?);
            predict(g.add(ops::LayerNorm::new(6, 1e-5), &[x], &[weight, bias]))
        }),
        Model::new("softmax", |g| {
            let x = g.input("x", &[2, 3])?;
            predict(g.add(ops::Softmax, &[x], &[]))
        }),
        Model::new("log softmax", |g| {
            let x = g.input("x", &[4])?;
            predict(g.add(ops::LogSoftmax, &[x], &[]))
        }),
        Model::new("dropout", |g| {
            let x = g.input("x", &[7])?;
            predict(g.add(ops::Dropout::new(0.4), &[x], &[]))
        }),
        Model::new("dropout between layers, twice", |g| {
            let x = g.input("x", &[3])?;
            let h = linear(g, x, 6)?;
            let h = g.add(ops::Dropout::new(0.5), &[h], &[])?;
            let h = linear(g, h, 4)?;
            let h = g.add(ops::Dropout::new(0.25), &[h], &[])?;
            predict(linear(g, h, 2))
        }),
        Model::new("a loss beside its prediction", |g| {
            let (x, t) = (g.input("x", &[3])?, g.target("target", &[1])?);
            let y = linear(g, x, 1)?;
            let prediction = g.add(ops::Activate(Activation::Sigmoid), &[y], &[])?;
            let loss = g.add(ops::Multiply, &[y, t], &[])?;
            Ok(Head::with_loss(prediction, loss))
        }),
    ]
}

/// Values and parameters that several operations use.
fn shared() -> Vec<Model> {
    vec![
        Model::new("add", |g| {
            let (a, b) = (g.input("a", &[3])?, g.input("b", &[3])?);
            predict(g.add(ops::Add, &[a, b], &[]))
        }),
        Model::new("a value added to itself", |g| {
            let x = g.input("x", &[3])?;
            predict(g.add(ops::Add, &[x, x], &[]))
        }),
        Model::new("multiply", |g| {
            let (a, b) = (g.input("a", &[2, 2])?, g.input("b", &[2, 2])?);
            predict(g.add(ops::Multiply, &[a, b], &[]))
        }),
        Model::new("a value times itself", |g| {
            let x = g.input("x", &[3])?;
            predict(g.add(ops::Multiply, &[x, x], &[]))
        }),
        Model::new("a computed value times itself", |g| {
            let x = g.input("x", &[3])?;
            let y = linear(g, x, 3)?;
            predict(g.add(ops::Multiply, &[y, y], &[]))
        }),
        Model::new("a value behind itself", |g| {
            let x = g.input("x", &[2])?;
            let y = linear(g, x, 2)?;
            predict(g.add(ops::Concat::new([2, 2]), &[y, y], &[]))
        }),
        Model::new("one parameter, twice", |g| {
            let x = g.input("x", &[3])?;
            let (weight, bias) = (parameter(g, "weight", &[3, 3])?, parameter(g, "bias", &[3])?);
            let y = g.add(ops::Linear::new(), &[x], &[weight, bias])?;
            predict(g.add(ops::Linear::new(), &[y], &[weight, bias]))
        }),
        Model::new("one norm, twice", |g| {
            let x = g.input("x", &[3])?;
            let (weight, bias) = (parameter(g, "weight", &[3])?, parameter(g, "bias", &[3])?);
            let y = g.add(ops::LayerNorm::new(3, 1e-2), &[x], &[weight, bias])?;
            predict(g.add(ops::LayerNorm::new(3, 1e-2), &[y], &[weight, bias]))
        }),
        // Each operation finds a gradient already written where its own goes, and has to add.
        Model::new("one value in every operation", |g| {
            let x = g.input("x", &[3])?;
            let h = linear(g, x, 3)?;
            let mut values = vec![
                linear_without_bias(g, h, 3)?,
                g.add(ops::Activate(Activation::Silu), &[h], &[])?,
                g.add(ops::Softmax, &[h], &[])?,
                g.add(ops::LogSoftmax, &[h], &[])?,
                g.add(ops::LayerNorm::new(3, 1e-2), &[h], &[])?,
                g.add(ops::Dropout::new(0.3), &[h], &[])?,
                g.add(ops::Reshape::new([3]), &[h], &[])?,
                g.add(ops::Multiply, &[h, x], &[])?,
            ];
            values.push(h);
            predict(g.add(ops::Concat::new([3; 9]), &values, &[]))
        }),
    ]
}

fn categories() -> Vec<Model> {
    vec![
        Model::new("embedding", |g| {
            let c = g.index_input("c", &[], 3)?;
            let table = parameter(g, "table", &[3, 2])?;
            predict(g.add(ops::Embedding::new(), &[c], &[table]))
        }),
        Model::new("embedding of several categories a row, the table larger than needed", |g| {
            let c = g.index_input("c", &[2], 3)?;
            let table = parameter(g, "table", &[4, 2])?;
            predict(g.add(ops::Embedding::new(), &[c], &[table]))
        }),
        Model::new("one table for two inputs", |g| {
            let (a, b) = (g.index_input("a", &[], 3)?, g.index_input("b", &[], 3)?);
            let table = parameter(g, "table", &[3, 2])?;
            let a = g.add(ops::Embedding::new(), &[a], &[table])?;
            let b = g.add(ops::Embedding::new(), &[b], &[table])?;
            predict(g.add(ops::Multiply, &[a, b], &[]))
        }),
        Model::new("categories beside numbers", |g| {
            let (c, x) = (g.index_input("c", &[], 4)?, g.input("x", &[2])?);
            let table = parameter(g, "table", &[4, 3])?;
            let c = g.add(ops::Embedding::new(), &[c], &[table])?;
            let both = g.add(ops::Concat::new([3, 2]), &[c, x], &[])?;
            predict(linear(g, both, 1))
        }),
    ]
}

/// What losses are composed from.
fn primitives() -> Vec<Model> {
    let unary = |name: &str, f: fn(&mut Graph, Var) -> Result<Var, Error>| {
        Model::new(name, move |g| {
            let x = g.input("x", &[2, 3])?;
            predict(f(g, x))
        })
    };
    let binary = |name: &str, f: fn(&mut Graph, Var, Var) -> Result<Var, Error>| {
        Model::new(name, move |g| {
            let x = g.input("x", &[4])?;
            let y = linear(g, x, 4)?;
            predict(f(g, x, y))
        })
    };
    /// `x² + 1`, which is not below one.
    fn positive(g: &mut Graph, x: Var) -> Result<Var, Error> {
        let square = g.square(x)?;
        g.offset(square, 1.0)
    }
    vec![
        unary("exp", |g, x| g.exp(x)),
        unary("ln", |g, x| positive(g, x).and_then(|x| g.ln(x))),
        unary("abs", |g, x| g.abs(x)),
        unary("square", |g, x| g.square(x)),
        unary("sqrt", |g, x| positive(g, x).and_then(|x| g.sqrt(x))),
        unary("power", |g, x| positive(g, x).and_then(|x| g.power(x, 1.7))),
        unary("scale", |g, x| g.scale(x, -2.5)),
        unary("offset", |g, x| g.offset(x, 3.0)),
        unary("sum", |g, x| g.sum(x)),
        unary("mean", |g, x| g.mean(x)),
        unary("largest", |g, x| g.largest(x)),
        binary("plus", |g, a, b| g.plus(a, b)),
        binary("sub", |g, a, b| g.sub(a, b)),
        binary("mul", |g, a, b| g.mul(a, b)),
        binary("div", |g, a, b| positive(g, b).and_then(|b| g.div(a, b))),
        binary("max", |g, a, b| g.max(a, b)),
        binary("min", |g, a, b| g.min(a, b)),
        binary("weighted sum", |g, a, b| g.add(ops::WeightedSum::new([2.0, -0.5]), &[a, b], &[])),
    ]
}

/// Batch normalisation in groups of three rows, before and behind parameters, with and without its own.
fn normalized() -> Vec<Model> {
    vec![
        Model::new("batch norm", |g| {
            let x = g.input("x", &[4])?;
            let h = linear(g, x, 5)?;
            let h = batch_norm(g, h, true)?;
            predict(linear(g, h, 2))
        }),
        Model::new("batch norm of images without parameters", |g| {
            let x = g.input("x", &[3, 2, 2])?;
            predict(batch_norm(g, x, false))
        }),
    ]
}

pub fn batch_norm(graph: &mut Graph, x: Var, affine: bool) -> Result<Var, Error> {
    let channels = graph.shape(x)[0];
    let (mean, variance) = (graph.unique("mean"), graph.unique("variance"));
    let mean = graph.buffer(&mean, &[channels], Initializer::Constant(0.1))?;
    let variance = graph.buffer(&variance, &[channels], Initializer::Constant(2.0))?;
    let params = match affine {
        true => vec![parameter(graph, "gain", &[channels])?, parameter(graph, "shift", &[channels])?],
        false => Vec::new(),
    };
    let op = ops::BatchNorm::new(1e-5, 0.1).groups(3);
    Ok(graph.add_with_buffers(op, &[x], &params, &[mean, variance])?[0])
}

/// An activation alone, after a linear, and after one whose value is also used elsewhere, so that it cannot be fused.
fn activated(activation: Activation) -> Vec<Model> {
    vec![
        Model::new(format!("{activation:?}"), move |g| {
            let x = g.input("x", &[5])?;
            predict(g.add(ops::Activate(activation), &[x], &[]))
        }),
        Model::new(format!("linear, {activation:?}"), move |g| {
            let x = g.input("x", &[3])?;
            let y = linear(g, x, 5)?;
            predict(g.add(ops::Activate(activation), &[y], &[]))
        }),
        Model::new(format!("linear without bias, {activation:?} twice"), move |g| {
            let x = g.input("x", &[3])?;
            let y = linear_without_bias(g, x, 5)?;
            let y = g.add(ops::Activate(activation), &[y], &[])?;
            predict(g.add(ops::Activate(activation), &[y], &[]))
        }),
        Model::new(format!("linear, {activation:?}, both used"), move |g| {
            let x = g.input("x", &[3])?;
            let y = linear(g, x, 4)?;
            let z = g.add(ops::Activate(activation), &[y], &[])?;
            predict(g.add(ops::Multiply, &[y, z], &[]))
        }),
    ]
}

pub fn predict(prediction: Result<Var, Error>) -> Recorded {
    Ok(Head::new(prediction?))
}

pub fn parameter(graph: &mut Graph, prefix: &str, shape: &[usize]) -> Result<Param, Error> {
    let name = graph.unique(prefix);
    graph.parameter(&name, shape, Initializer::Normal { std: 1.0 })
}

pub fn linear(graph: &mut Graph, x: Var, outputs: usize) -> Result<Var, Error> {
    let inputs = graph.shape(x).last().copied().unwrap_or(1);
    let weight = parameter(graph, "weight", &[outputs, inputs])?;
    let bias = parameter(graph, "bias", &[outputs])?;
    graph.add(ops::Linear::new(), &[x], &[weight, bias])
}

pub fn linear_without_bias(graph: &mut Graph, x: Var, outputs: usize) -> Result<Var, Error> {
    let inputs = graph.shape(x).last().copied().unwrap_or(1);
    let weight = parameter(graph, "weight", &[outputs, inputs])?;
    graph.add(ops::Linear::new(), &[x], &[weight])
}
