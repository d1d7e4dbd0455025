//! Compares `matmul` with the `gemm` crate on training shapes: one thread, the two taking turns. The ratios are of the
//! medians and of the best times; on a busy machine the latter say more.
//!
//! `cargo run --release -p tidemill-tensor --example matmul_throughput [f64] [part of a shape's name]`

use std::time::Instant;

use tidemill_tensor::ndarray::{Array2, ArrayView2};
use tidemill_tensor::{Scalar, matmul};

/// Rows of a batch, inputs and outputs of a dense layer.
const LAYERS: [(usize, usize, usize); 12] = [
    (128, 784, 512),
    (128, 512, 512),
    (128, 512, 10),
    (1024, 28, 256),
    (1024, 256, 256),
    (1024, 256, 1),
    (32, 10, 10),
    (32, 10, 1),
    (32, 784, 512),
    (1, 784, 512),
    (1024, 1024, 1024),
    (256, 2048, 2048),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|a| *a != "f64").map_or("", |a| a);
    println!("{:34} {:>10} {:>10} {:>10} {:>7} {:>7}", "product", "gemm µs", "ours µs", "ours GF/s", "median", "best");
    match arguments.iter().any(|a| a == "f64") {
        false => compare_all::<f32>(filter),
        true => compare_all::<f64>(filter),
    }
}

fn compare_all<T: Scalar>(filter: &str) {
    for (b, i, o) in LAYERS {
        let (x, w, dy) = (filled::<T>(b, i), filled::<T>(o, i), filled::<T>(b, o));
        compare(filter, &format!("forward  [{b},{i}] [{o},{i}]ᵀ"), x.view(), w.t());
        compare(filter, &format!("d input  [{b},{o}] [{o},{i}]"), dy.view(), w.view());
        compare(filter, &format!("d weight [{b},{o}]ᵀ [{b},{i}]"), dy.t(), x.view());
    }
}

fn filled<T: Scalar>(rows: usize, columns: usize) -> Array2<T> {
    Array2::from_shape_fn((rows, columns), |(i, j)| T::of(((i * 31 + j * 17) % 23) as f64 / 11.0 - 1.0))
}

fn compare<T: Scalar>(filter: &str, name: &str, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) {
    if !name.contains(filter) {
        return;
    }
    let mut c = Array2::<T>::zeros((a.nrows(), b.ncols()));
    let flops = 2.0 * (a.nrows() * a.ncols() * b.ncols()) as f64;
    let calls = (2e6 / flops).ceil().max(1.0) as usize;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while theirs.len() < 30 || (start.elapsed().as_secs_f64() < 0.6 && theirs.len() < 2000) {
        theirs.push(seconds(calls, || by_gemm(&mut c, a, b)));
        ours.push(seconds(calls, || matmul(c.view_mut(), a, b, T::zero())));
    }
    theirs.sort_by(f64::total_cmp);
    ours.sort_by(f64::total_cmp);
    let middle = ours.len() / 2;
    println!(
        "{name:34} {:10.2} {:10.2} {:10.1} {:7.2} {:7.2}",
        theirs[0] * 1e6,
        ours[0] * 1e6,
        flops / ours[0] * 1e-9,
        theirs[middle] / ours[middle],
        theirs[0] / ours[0]
    );
}

fn seconds(calls: usize, mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        f();
    }
    start.elapsed().as_secs_f64() / calls as f64
}

fn by_gemm<T: Scalar>(c: &mut Array2<T>, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) {
    let (m, n) = c.dim();
    let (c_row, c_column) = (c.strides()[0], c.strides()[1]);
    // SAFETY: the arrays have these shapes and strides, and `c` is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            a.ncols(),
            c.as_mut_ptr(),
            c_column,
            c_row,
            false,
            a.as_ptr(),
            a.strides()[1],
            a.strides()[0],
            b.as_ptr(),
            b.strides()[1],
            b.strides()[0],
            T::zero(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
