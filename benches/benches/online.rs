//! One row at a time, predicted and then learned: logistic regression, and a small network.

mod common;

use common::normal;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidemill::prelude::*;
use tidemill_benches::{Goal, Model, Workload};

/// Few enough to lie in the second cache, so that it is the loop that is measured.
const ROWS: usize = 4096;
const WIDTH: usize = 28;

fn passes(criterion: &mut Criterion) {
    let labels = normal(ROWS).into_iter().map(|x| f32::from(x > 0.0)).collect();
    let rows = MemorySource::builder().reals("x", WIDTH, normal(ROWS * WIDTH)).target(labels);
    let rows = rows.build().expect("columns of one length");
    for dims in [vec![WIDTH, 1], vec![WIDTH, 16, 1]] {
        let model = Model::Dense(dims);
        let mut group = criterion.benchmark_group(format!("online {model}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        let workload = Workload::new("own".into(), model, Goal::Bce, 1, ROWS).expect("a workload");
        let trainer = Trainer::new(workload.program().expect("a model"), sgd(0.01)).expect("settings in range");
        let strategy = Online::new().batch_size(1).endless();
        let mut one_pass = on_event(|event: &Event<'_, f32>, run: &mut Control| {
            if matches!(event, Event::Epoch { .. }) {
                run.stop();
            }
            Ok(())
        });
        for (name, metrics) in [("plain", Metrics::new()), ("log loss", Metrics::new().with(LogLoss::default()))] {
            let (mut state, mut source) = (trainer.start_with(0, metrics), rows.clone());
            group.bench_function(name, |b| {
                b.iter(|| trainer.run(&strategy, &mut state, &mut source, &mut one_pass).expect("finite rows"));
            });
        }
    }
}

criterion_group! { name = all; config = common::short(); targets = passes }
criterion_main!(all);
