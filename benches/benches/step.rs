//! One training step of each workload: a batch from memory, its gradient, the update.

#[expect(dead_code, reason = "rows are the workload's own")]
mod common;

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidemill::autograd::Write;
use tidemill::data::{Batch, Cursor};
use tidemill::prelude::*;
use tidemill::strategies::{Arenas, Binding, Engine, Need, Running, Task};
use tidemill::tensor::Key;
use tidemill_benches::{Workload, engine};

fn steps(criterion: &mut Criterion) {
    for name in Workload::names() {
        let workload: Workload = name.parse().expect("a workload of that name");
        let mut group = criterion.benchmark_group(format!("step of {name}"));
        group.throughput(Throughput::Elements(workload.batch_size as u64));
        for threads in [1, 2] {
            let mut stepper = Stepper::new(&workload, threads);
            group.bench_function(BenchmarkId::new("threads", threads), |b| b.iter(|| stepper.step()));
        }
    }
}

/// What a strategy's loop holds.
struct Stepper {
    rows: usize,
    optimizer: tidemill::optim::Optimizer<f32>,
    running: Box<dyn Running<f32>>,
    source: MemorySource<f32>,
    binding: Binding,
    batch: Batch<f32>,
    params: Vec<f32>,
    gradients: Vec<f32>,
    memory: Vec<f32>,
    step: u64,
}

impl Stepper {
    fn new(workload: &Workload, threads: usize) -> Self {
        let program = Arc::new(workload.program().expect("a model"));
        let optimizer = adam(1e-3).build::<f32>(program.layout()).expect("settings in range");
        let source = Workload { rows: 16 * workload.batch_size, ..workload.clone() }.source().expect("rows");
        let params = program.layout().initialize(Key::new(0));
        Self {
            rows: workload.batch_size,
            running: engine(threads, None).start(&program, workload.batch_size).expect("an engine for this model"),
            binding: Binding::new(&program, source.schema(), Need::Target).expect("the columns fit"),
            batch: Batch::new(source.schema().clone()),
            gradients: vec![0.0; params.len()],
            memory: optimizer.initial_state(),
            step: 0,
            optimizer,
            source,
            params,
        }
    }

    fn step(&mut self) {
        self.batch.clear();
        if self.source.fill(&mut self.batch, self.rows).expect("rows in memory") == 0 {
            self.source.seek(Cursor::start(0)).expect("the start exists");
            self.source.fill(&mut self.batch, self.rows).expect("rows in memory");
        }
        let Self { params, batch, binding, gradients, optimizer, memory, .. } = self;
        let task = Task { key: Key::new(self.step), ..Task::new(params, batch, binding) };
        let sums = self.running.gradient(&task, gradients, Write::Assign, None);
        let arenas = Arenas { params, gradients, optimizer: memory, touched: &[], timeline: None };
        self.running.update(optimizer, self.step.into(), (1.0 / sums.weight) as f32, arenas);
        self.step += 1;
    }
}

criterion_group! { name = all; config = common::short(); targets = steps }
criterion_main!(all);
