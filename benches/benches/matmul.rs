//! Matrix products of training: forward `Y = X Wᵀ`, and backward `dW = dYᵀ X` and `dX = dY W`.

mod common;

use common::normal;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemill::tensor::matmul;
use tidemill::tensor::ndarray::Array2;

/// `B`, `I`, `O` of the layers of `seed`, `mlp` and `wide`.
const LAYERS: [(usize, usize, usize); 8] = [
    (32, 10, 10),
    (32, 10, 1),
    (128, 784, 512),
    (128, 512, 512),
    (128, 512, 10),
    (1024, 28, 256),
    (1024, 256, 256),
    (1024, 256, 1),
];

fn products(criterion: &mut Criterion) {
    for (rows, inputs, outputs) in LAYERS {
        let mut group = criterion.benchmark_group(format!("matmul {rows}x{inputs}x{outputs}"));
        // Multiplications and additions, so that 1 Gelem/s is 1 GFLOP/s.
        group.throughput(Throughput::Elements((2 * rows * inputs * outputs) as u64));
        let (x, w, dy) = (matrix(rows, inputs), matrix(outputs, inputs), matrix(rows, outputs));
        let (mut y, mut dw, mut dx) = (dy.clone(), w.clone(), x.clone());
        group.bench_function("forward", |b| b.iter(|| matmul(y.view_mut(), x.view(), w.t(), 0.0)));
        group.bench_function("backward weight", |b| b.iter(|| matmul(dw.view_mut(), dy.t(), x.view(), 0.0)));
        group.bench_function("backward input", |b| b.iter(|| matmul(dx.view_mut(), dy.view(), w.view(), 0.0)));
    }
}

fn matrix(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), normal(rows * columns)).expect("as many numbers as elements")
}

criterion_group! { name = all; config = common::short(); targets = products }
criterion_main!(all);
