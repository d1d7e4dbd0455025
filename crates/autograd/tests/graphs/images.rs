//! Models of images and of series, small enough to differentiate by hand.

use tidemill_autograd::tensor::{Convolution, Divisor, Pooling, Window};
use tidemill_autograd::{Activation, Error, Graph, Var, ops};

use crate::models::{Model, parameter, predict};

/// Convolutions and pooling.
pub fn images() -> Vec<Model> {
    let window = Window::new([3, 2]).stride([2, 1]).padding([1, 1]);
    let small = Window::new([2, 2]).stride([2, 2]);
    vec![
        Model::new("convolution", move |g| {
            let x = g.input("x", &[2, 5, 4])?;
            let sizes = Convolution { channels: 2, outputs: 3, groups: 1, image: [5, 4], window };
            predict(convolution(g, x, sizes, Bias::Present))
        }),
        Model::new("convolution of groups, dilated, without bias", |g| {
            let x = g.input("x", &[4, 5, 6])?;
            let window = Window::new([2, 3]).dilation([2, 1]).padding([1, 0]);
            let sizes = Convolution { channels: 4, outputs: 6, groups: 2, image: [5, 6], window };
            predict(convolution(g, x, sizes, Bias::Absent))
        }),
        Model::new("convolution over time", |g| {
            let x = g.input("x", &[2, 7])?;
            let window = Window::new([1, 3]).stride([1, 2]).padding([0, 1]).dilation([1, 2]);
            let op =
                ops::Conv::one_dimensional(Convolution { channels: 2, outputs: 3, groups: 1, image: [1, 7], window });
            let (weight, bias) = (parameter(g, "weight", &[3, 2, 3])?, parameter(g, "bias", &[3])?);
            predict(g.add(op, &[x], &[weight, bias]))
        }),
        Model::new("one convolution, twice", |g| {
            let x = g.input("x", &[2, 4, 4])?;
            let window = Window::new([3, 3]).padding([1, 1]);
            let op =
                ops::Conv::two_dimensional(Convolution { channels: 2, outputs: 2, groups: 1, image: [4, 4], window });
            let (weight, bias) = (parameter(g, "weight", &[2, 2, 3, 3])?, parameter(g, "bias", &[2])?);
            let y = g.add(op, &[x], &[weight, bias])?;
            let y = g.add(ops::Activate(Activation::Tanh), &[y], &[])?;
            predict(g.add(op, &[y], &[weight, bias]))
        }),
        Model::new("max pooling", move |g| {
            let x = g.input("x", &[2, 5, 4])?;
            predict(g.add(ops::MaxPool(Pooling { image: [5, 4], window }), &[x], &[]))
        }),
        Model::new("max pooling by two", move |g| {
            let x = g.input("x", &[2, 5, 7])?;
            predict(g.add(ops::MaxPool(Pooling { image: [5, 7], window: small }), &[x], &[]))
        }),
        Model::new("average pooling", move |g| {
            let x = g.input("x", &[2, 5, 4])?;
            predict(g.add(ops::AveragePool::new(Pooling { image: [5, 4], window }, Divisor::Inside), &[x], &[]))
        }),
        Model::new("average pooling by two", move |g| {
            let x = g.input("x", &[2, 4, 5])?;
            predict(g.add(ops::AveragePool::new(Pooling { image: [4, 5], window: small }, Divisor::Window), &[x], &[]))
        }),
        Model::new("global average pooling", |g| {
            let x = g.input("x", &[3, 2, 5])?;
            predict(g.add(ops::GlobalAveragePool, &[x], &[]))
        }),
        // As with vectors: each operation has to add its gradient.
        Model::new("one image in every operation", move |g| {
            let x = g.input("x", &[2, 4, 4])?;
            let sizes = Convolution { channels: 2, outputs: 2, groups: 1, image: [4, 4], window };
            let same = Convolution { window: Window::new([3, 3]).padding([1, 1]), ..sizes };
            let h = convolution(g, x, same, Bias::Present)?;
            let values = [
                convolution(g, h, sizes, Bias::Present)?,
                convolution(g, h, sizes, Bias::Absent)?,
                g.add(ops::MaxPool(Pooling { image: [4, 4], window }), &[h], &[])?,
                g.add(ops::MaxPool(Pooling { image: [4, 4], window: small }), &[h], &[])?,
                g.add(ops::AveragePool::new(Pooling { image: [4, 4], window }, Divisor::Window), &[h], &[])?,
                g.add(ops::AveragePool::new(Pooling { image: [4, 4], window: small }, Divisor::Window), &[h], &[])?,
                g.add(ops::GlobalAveragePool, &[h], &[])?,
                h,
            ];
            let widths = values.map(|value| g.width(value));
            let mut flat = Vec::new();
            for (value, width) in values.into_iter().zip(widths) {
                flat.push(g.add(ops::Reshape::new([width]), &[value], &[])?);
            }
            predict(g.add(ops::Concat::new(widths), &flat, &[]))
        }),
    ]
}

/// Whether a convolution has a bias.
#[derive(Clone, Copy, PartialEq)]
enum Bias {
    Present,
    Absent,
}

fn convolution(graph: &mut Graph, x: Var, sizes: Convolution, with: Bias) -> Result<Var, Error> {
    let [height, width] = sizes.window.kernel;
    let shape = [sizes.outputs, sizes.channels / sizes.groups, height, width];
    let mut params = vec![parameter(graph, "weight", &shape)?];
    if with == Bias::Present {
        params.push(parameter(graph, "bias", &[sizes.outputs])?);
    }
    graph.add(ops::Conv::two_dimensional(sizes), &[x], &params)
}

/// A convolution, and an activation that is fused with it.
pub fn activated(activation: Activation) -> Model {
    Model::new(format!("convolution, {activation:?}"), move |g| {
        let x = g.input("x", &[2, 3, 4])?;
        let window = Window::new([2, 2]);
        let sizes = Convolution { channels: 2, outputs: 3, groups: 1, image: [3, 4], window };
        let y = convolution(g, x, sizes, Bias::Present)?;
        predict(g.add(ops::Activate(activation), &[y], &[]))
    })
}
