//! Nanoseconds that an update takes for each element: `cargo run --release -p tidemill-optim --example throughput`.

use std::time::Instant;

use tidemill_optim::{Chain, Compose, Optimizer, adam, adamw, clip_by_global_norm, l2, rmsprop, sgd};
use tidemill_tensor::{Initializer, Layout, Scalar, vectorized};

const LENGTHS: [usize; 3] = [32, 1 << 14, 1 << 20];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chains: [(&str, Chain); 8] = [
        ("sgd", sgd(1e-3).into()),
        ("sgd, momentum", sgd(1e-3).momentum(0.9).into()),
        ("adam", adam(1e-3).into()),
        ("adamw", adamw(1e-3).into()),
        ("adam, amsgrad", adam(1e-3).amsgrad().into()),
        ("rmsprop", rmsprop(1e-3).into()),
        ("l2, adam", l2(1e-4).then(adam(1e-3))),
        ("clip, adam", clip_by_global_norm(1.0).then(adam(1e-3))),
    ];
    println!("f32, nanoseconds an element (an update), best of 31");
    println!("{:16} {:>16} {:>16} {:>16}", "elements", "32", "16384", "1048576");
    for (name, chain) in &chains {
        print!("{name:16}");
        for len in LENGTHS {
            let mut layout = Layout::new();
            layout.push("parameters", &[len], Initializer::Constant(0.5))?;
            print(nanoseconds(&chain.build::<f32>(&layout)?, len), len);
        }
        println!();
    }
    print!("{:16}", "adam, by hand");
    LENGTHS.iter().for_each(|&len| print(nanoseconds_by_hand(len), len));
    println!();
    Ok(())
}

fn print(each: f64, len: usize) {
    print!(" {:>8.3} {:>9.0}", each / len as f64, each);
}

/// Of one update, with the gradients' refill not counted.
fn nanoseconds(optimizer: &Optimizer<f32>, len: usize) -> f64 {
    let mut parameters = vec![0.5; len];
    let mut state = optimizer.initial_state();
    best(len, |step, gradients| optimizer.update(step, 0.999, &mut parameters, gradients, &mut state))
}

/// Of Adam as one loop over four arrays: what there is to reach.
fn nanoseconds_by_hand(len: usize) -> f64 {
    let (mut p, mut m, mut v) = (vec![0.5_f32; len], vec![0.0; len], vec![0.0; len]);
    best(len, |step, gradients| {
        let t = step as f64 + 1.0;
        let (first, second) = (1.0 - 0.9_f64.powf(t), (1.0 - 0.999_f64.powf(t)).sqrt());
        let at = [1e-3 * second / first, 1e-8 * second].map(|x| x as f32);
        adam_by_hand(&mut p, gradients, &mut m, &mut v, 0.999, at);
    })
}

vectorized! {
    fn adam_by_hand<T: Scalar>(p: &mut [T], g: &[T], m: &mut [T], v: &mut [T], scale: T, at: [T; 2]) {
        let [beta1, beta2, one] = [0.9, 0.999, 1.0].map(T::of);
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = scale * g;
            *m = beta1 * *m + (one - beta1) * g;
            *v = beta2 * *v + (one - beta2) * g * g;
            *p -= at[0] * *m / (v.sqrt() + at[1]);
        }
    }
}

fn best(len: usize, mut update: impl FnMut(u64, &mut [f32])) -> f64 {
    let gradients: Vec<f32> = (0..len).map(|i| (i % 97) as f32 / 97.0 - 0.5).collect();
    let mut scratch = gradients.clone();
    let updates = (1 << 16) / len + 1;
    let mut step = 0;
    let mut times: Vec<f64> = (0..31)
        .map(|_| {
            scratch.copy_from_slice(&gradients);
            let start = Instant::now();
            for _ in 0..updates {
                update(step, &mut scratch);
                step += 1;
            }
            start.elapsed().as_secs_f64() * 1e9 / updates as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[0]
}
