//! Layers of images, forward, and forward and backward, on the batch of `cnn`: each followed by the mean over the image and a squared
//! error, which take little beside it.

mod common;

use common::normal;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemill::autograd::{Mode, Run, Slices, Workspace, Write};
use tidemill::prelude::*;
use tidemill::tensor::Key;

const ROWS: usize = 64;

/// Whether the gradient with respect to the input is computed as well: all layers but the first need it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Later,
}

fn layers(criterion: &mut Criterion) {
    let mut check = |name: &str, shape: [usize; 3], layer: &dyn Layer, place: Place| {
        let program = program(&shape, layer, place).expect("a model of one layer");
        let params = program.layout().initialize(Key::new(1));
        let (x, target) = (normal(ROWS * shape.iter().product::<usize>()), normal(ROWS * program.prediction_width()));
        let inputs = Slices::new().reals(&x).reals(&target);
        let run = Run {
            params: &params,
            inputs: &inputs,
            rows: ROWS,
            first_row: 0,
            weights: None,
            mode: Mode::Train(Key::new(0)),
        };
        let (mut workspace, mut gradient) = (Workspace::new(&program, ROWS), vec![0.0; params.len()]);
        let mut group = criterion.benchmark_group(format!("layer {name}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        group.bench_function("forward", |b| b.iter(|| program.forward(&run, &mut workspace)));
        group.bench_function("forward and backward", |b| {
            b.iter(|| {
                program.forward(&run, &mut workspace);
                workspace.upstream().fill(1.0);
                program.backward(&run, &mut workspace, &mut gradient, Write::Assign);
            });
        });
    };
    check("conv 3x3, 1 to 16", [1, 28, 28], &Conv2d::new(16, 3).relu(), Place::First);
    check("conv 3x3, 16 to 32", [16, 13, 13], &Conv2d::new(32, 3).relu(), Place::Later);
    check("max pool 2x2 of 16", [16, 26, 26], &MaxPool2d::new(2), Place::Later);
    check("max pool 2x2 of 32", [32, 11, 11], &MaxPool2d::new(2), Place::Later);
    check("average pool 2x2 of 16", [16, 26, 26], &AvgPool2d::new(2), Place::Later);
}

fn program(shape: &[usize], layer: &dyn Layer, place: Place) -> Result<Program<f32>, tidemill::autograd::Error> {
    let mut graph = Graph::new();
    let x = graph.input("x", shape)?;
    let y = layer.apply(&mut graph, x)?;
    let y = GlobalAveragePool2d.apply(&mut graph, y)?;
    let ending = MeanSquaredError.apply(&mut graph, y)?;
    match place {
        Place::First => graph.compile(ending),
        Place::Later => graph.compile_with_input_gradients(ending),
    }
}

criterion_group! { name = all; config = common::short(); targets = layers }
criterion_main!(all);
