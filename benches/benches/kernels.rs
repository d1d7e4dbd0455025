//! Elementwise kernels and softmax on a batch of 128 rows.

mod common;

use common::normal;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemill::layers::Activation;
use tidemill::tensor::kernels;

const ROWS: usize = 128;

/// Elements of a batch of a hidden layer of 512.
const LEN: usize = ROWS * 512;

fn activations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("activation");
    group.throughput(Throughput::Elements(LEN as u64));
    let x = normal(LEN);
    let mut y = vec![0.0; LEN];
    let functions = [
        ("relu", Activation::Relu),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("gelu", Activation::Gelu),
        ("silu", Activation::Silu),
    ];
    for (name, activation) in functions {
        group.bench_function(format!("{name} forward"), |b| b.iter(|| activation.forward_into(&x, &mut y)));
        let saved = if activation.saves_input() { x.clone() } else { y.clone() };
        // Slopes near zero would make the gradient vanish over the iterations, and then be denormal.
        group.bench_function(format!("{name} backward"), |b| {
            b.iter(|| {
                y.fill(1.0);
                activation.backward(&saved, &mut y);
            });
        });
    }
}

fn softmax(criterion: &mut Criterion) {
    for width in [10, 1000] {
        let mut group = criterion.benchmark_group(format!("softmax of {width}"));
        group.throughput(Throughput::Elements((ROWS * width) as u64));
        let (logits, upstream) = (normal(ROWS * width), vec![1.0; ROWS]);
        let classes: Vec<u32> = (0..ROWS).map(|row| (row * 7 % width) as u32).collect();
        let (mut p, mut g, mut losses) = (logits.clone(), logits.clone(), upstream.clone());
        group.bench_function("forward", |b| {
            b.iter(|| {
                p.copy_from_slice(&logits);
                kernels::softmax_rows(&mut p, width);
            });
        });
        group.bench_function("backward", |b| {
            b.iter(|| {
                g.copy_from_slice(&logits);
                kernels::softmax_backward(&p, &mut g, width);
            });
        });
        group.bench_function("cross entropy forward", |b| {
            b.iter(|| {
                p.copy_from_slice(&logits);
                kernels::softmax_cross_entropy(&mut p, &classes, &mut losses);
            });
        });
        group.bench_function("cross entropy backward", |b| {
            b.iter(|| kernels::softmax_cross_entropy_backward(&mut g, &p, &classes, &upstream));
        });
    }
}

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows of 512");
    group.throughput(Throughput::Elements(LEN as u64));
    let (bias, mut y) = (normal(512), normal(LEN));
    let mut sums = vec![0.0; 512];
    group.bench_function("bias and relu", |b| b.iter(|| kernels::bias_activation(&mut y, &bias, Activation::Relu)));
    group.bench_function("column sums", |b| {
        b.iter(|| {
            sums.fill(0.0);
            kernels::add_column_sums(&mut sums, &y);
        });
    });
}

criterion_group! { name = all; config = common::short(); targets = activations, softmax, rows }
criterion_main!(all);
