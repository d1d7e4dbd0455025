//! Threads that share parameters without waiting for each other, on a model of which a row touches little: beside one
//! thread that takes the same steps one after the other, on the whole arena.

mod common;

use common::normal;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidemill::autograd::ops::Add;
use tidemill::prelude::*;
use tidemill::tensor::Key;

const ROWS: usize = 20_000;
const FIELDS: usize = 8;
/// Rows of a step.
const STEP: usize = 8;

/// A logit for each of eight categories, added up: what factorisation and click models begin with.
fn program(categories: u32) -> Program<f32> {
    let program = Program::build(|graph| {
        let logits = (0..FIELDS).map(|field| {
            let category = graph.index_input(&format!("c{field}"), &[], categories)?;
            Embedding::new(categories, 1).apply(graph, category)
        });
        let logits: Vec<_> = logits.collect::<Result<_, _>>()?;
        let sum = logits[1..].iter().try_fold(logits[0], |sum, &logit| graph.add(Add, &[sum, logit], &[]))?;
        BinaryCrossEntropyWithLogits::new().apply(graph, sum)
    });
    program.expect("a model")
}

fn rows(categories: u32) -> MemorySource<f32> {
    let labels = normal(ROWS).into_iter().map(|x| f32::from(x > 0.0)).collect();
    let column = |field: usize| {
        let key = Key::new(field as u64);
        (0..ROWS as u64).map(|i| ((u64::from(key.block(i)[0]) * u64::from(categories)) >> 32) as u32).collect()
    };
    let rows = (0..FIELDS)
        .fold(MemorySource::builder(), |rows, field| rows.indices(&format!("c{field}"), categories, column(field)));
    rows.target(labels).build().expect("columns of one length")
}

fn passes(criterion: &mut Criterion) {
    for categories in [1_000, 20_000] {
        let mut group = criterion.benchmark_group(format!("hogwild, 8 x {categories} categories"));
        group.throughput(Throughput::Elements(ROWS as u64));
        let mut source = rows(categories);
        let mut bench = |name: BenchmarkId, trainer: Trainer<f32>, batch_size: usize| {
            let strategy = Online::new().batch_size(batch_size).endless();
            let mut one_pass = on_event(|event: &Event<'_, f32>, run: &mut Control| {
                if matches!(event, Event::Epoch { .. }) {
                    run.stop();
                }
                Ok(())
            });
            let mut state = trainer.start(0);
            group.bench_function(name, |b| {
                b.iter(|| trainer.run(&strategy, &mut state, &mut source, &mut one_pass).expect("finite rows"));
            });
        };
        let trainer = || Trainer::new(program(categories), sgd(0.05)).expect("settings in range");
        bench(BenchmarkId::new("serial", 1), trainer(), STEP);
        for threads in [1, 2] {
            bench(BenchmarkId::new("hogwild", threads), trainer().engine(Hogwild::new(threads).rows(STEP)), ROWS);
        }
    }
}

criterion_group! { name = all; config = common::short(); targets = passes }
criterion_main!(all);
