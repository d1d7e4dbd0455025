//! How fast convolutions and pooling are on one thread: `cargo run --release -p tidemill-tensor --example
//! conv_throughput [IMAGES]`. The least of many times, which other work on the machine disturbs least.

use std::time::{Duration, Instant};

use tidemill_tensor::kernels::Activation;
use tidemill_tensor::{Convolution, Divisor, Key, Pooling, Window, Write};

fn main() {
    let images = std::env::args().nth(1).map_or(64, |n| n.parse().expect("a number of images"));
    let three = Window::new([3, 3]);
    let conv = |channels, outputs, side, window| Convolution { channels, outputs, groups: 1, image: [side; 2], window };
    for conv in [
        conv(1, 16, 28, three),
        conv(16, 32, 13, three),
        conv(3, 6, 32, Window::new([5, 5])),
        conv(64, 64, 16, three.padding([1, 1])),
        conv(64, 128, 16, three.padding([1, 1]).stride([2, 2])),
        conv(256, 64, 8, Window::new([1, 1])),
    ] {
        convolution(&conv, images);
    }
    for (channels, side) in [(16, 26), (32, 11)] {
        pooling(channels, &Pooling { image: [side; 2], window: Window::new([2, 2]).stride([2, 2]) }, images);
    }
}

fn convolution(conv: &Convolution, images: usize) {
    let Convolution { channels, outputs, image, window, .. } = *conv;
    let places: usize = window.output(image).expect("the window fits").iter().product();
    let depth = channels * window.len();
    let x = noise(images * channels * image[0] * image[1], 1);
    let (mut g, weight) = (noise(images * outputs * places, 2), noise(outputs * depth, 3));
    let (mut y, mut d_x) = (g.clone(), x.clone());
    let (mut d_weight, mut d_bias) = (weight.clone(), vec![0.0; outputs]);
    println!("{channels} x {image:?} to {outputs}, window {:?}, stride {:?}", window.kernel, window.stride);
    let operations = 2 * images * outputs * places * depth;
    report("forward, relu", images, operations, || {
        conv.forward(&x, &weight, Some(&d_bias), &mut y, |y| Activation::Relu.forward(y));
    });
    report("backward to weight", images, operations, || {
        conv.backward_weight(&x, &mut g, &mut d_weight, Some(&mut d_bias), |_, _| ());
    });
    report("backward to input", images, operations, || {
        conv.backward_input(&g, &weight, &mut d_x, Write::Assign);
    });
}

fn pooling(channels: usize, pooling: &Pooling, images: usize) {
    let places: usize = pooling.window.output(pooling.image).expect("the window fits").iter().product();
    let x = noise(images * channels * pooling.image[0] * pooling.image[1], 1);
    let g = noise(images * channels * places, 2);
    let (mut y, mut found, mut d_x) = (g.clone(), g.clone(), x.clone());
    println!("{channels} x {:?}, pooled", pooling.image);
    report("largest", images, 0, || pooling.max(&x, &mut y, &mut found));
    report("largest, backward", images, 0, || pooling.max_backward(&g, &found, &mut d_x, Write::Assign));
    report("average", images, 0, || pooling.average(Divisor::Window, &x, &mut y));
}

fn report(what: &str, images: usize, operations: usize, mut work: impl FnMut()) {
    work();
    let mut least = Duration::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        work();
        least = least.min(start.elapsed());
    }
    let seconds = least.as_secs_f64();
    let each = seconds / images as f64 * 1e6;
    println!("    {what:<20}{each:>9.2} us an image{:>9.1} GFLOP/s", operations as f64 / seconds / 1e9);
}

fn noise(len: usize, salt: u64) -> Vec<f32> {
    let key = Key::new(salt);
    (0..len as u64).map(|i| f32::from(key.block(i)[0] as i16) / 32768.0).collect()
}
