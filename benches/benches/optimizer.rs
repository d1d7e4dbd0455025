//! Optimizer updates of a small and a large arena.

mod common;

use common::normal;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemill::optim::{Chain, Compose, adam, adamw, clip_by_global_norm, sgd};
use tidemill::tensor::{Initializer, Layout};

fn updates(criterion: &mut Criterion) {
    for len in [1_000, 1_000_000] {
        let mut group = criterion.benchmark_group(format!("update of {len}"));
        group.throughput(Throughput::Elements(len as u64));
        let mut layout = Layout::new();
        layout.push("weight", &[len], Initializer::Constant(0.0)).expect("a layout of one parameter");
        let optimizers: [(&str, Chain); 5] = [
            ("sgd", sgd(1e-3).into()),
            ("momentum", sgd(1e-3).momentum(0.9).into()),
            ("adam", adam(1e-3).into()),
            ("adamw", adamw(1e-3).into()),
            ("clipped adam", clip_by_global_norm(1.0).then(adam(1e-3))),
        ];
        for (name, chain) in optimizers {
            let optimizer = chain.build::<f32>(&layout).expect("settings in range");
            let (fresh, mut state) = (normal(len), optimizer.initial_state());
            let (mut parameters, mut gradients, mut step) = (normal(len), fresh.clone(), 0);
            group.bench_function(name, |b| {
                b.iter(|| {
                    // Updates replace gradients; without new ones they would vanish over the iterations.
                    gradients.copy_from_slice(&fresh);
                    optimizer.update(step, 0.01, &mut parameters, &mut gradients, &mut state);
                    step += 1;
                });
            });
        }
    }
}

criterion_group! { name = all; config = common::short(); targets = updates }
criterion_main!(all);
