//! Promise 1: sums inside, one division.

use tidemill_autograd::tensor::Key;
use tidemill_autograd::{Program, Write};
use tidemill_data::{Batch as Rows, Source};
use tidemill_layers::{Dense, Layer, Sequential};
use tidemill_losses::{Loss, MeanSquaredError};
use tidemill_optim::{Compose, adam, clip_by_global_norm};
use tidemill_strategies::{Auto, Batch, Binding, DataParallel, Engine, Need, Online, Outputs, Serial, Task, Trainer};

use crate::model::{close, program, rows, train, trainer};

/// 101 rows in batches of 32: the last one is ragged. Weights differ from row to row.
fn check(engine: impl Engine<f64> + 'static) {
    let want = train(&trainer(0.3), &Batch::new(3), &mut rows(101));
    let what = engine.describe();
    let got = train(&trainer(0.3).engine(engine), &Batch::new(3), &mut rows(101));
    close(&what, &got, &want);
}

#[test]
fn shards_give_the_whole_batchs_step() {
    check(DataParallel::new(1));
    check(DataParallel::new(2));
    check(DataParallel::new(2).shards(5));
    check(DataParallel::new(3).shards(32));
}

/// A transform that measures the whole gradient first.
#[test]
fn shards_are_added_up_before_the_gradient_is_measured() {
    let trainer = || Trainer::new(program(0.0), clip_by_global_norm(0.01).then(adam(0.02))).unwrap();
    let want = train(&trainer(), &Batch::new(3), &mut rows(101));
    let got = train(&trainer().engine(DataParallel::new(2).shards(3)), &Batch::new(3), &mut rows(101));
    close("3 shards, clipped", &got, &want);
}

/// Values of 8,192 numbers a row, so that 300 rows are more than one block.
fn wide_program() -> std::sync::Arc<Program<f64>> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[3])?;
        let y = Sequential::new().add(Dense::new(4096).tanh()).add(Dense::new(1)).apply(graph, x)?;
        MeanSquaredError.apply(graph, y)
    });
    std::sync::Arc::new(program.unwrap())
}

#[test]
fn blocks_of_rows_give_the_whole_batchs_step_and_outputs() {
    let trainer = || Trainer::new(wide_program(), adam(1e-3)).unwrap();
    let strategy = Online::new().batch_size(300);
    let want = train(&trainer().engine(DataParallel::new(1).shards(31)), &strategy, &mut rows(301));
    let got = train(&trainer(), &strategy, &mut rows(301));
    close("blocks", &got, &want);
    for (got, want) in got.metrics.iter().zip(&want.metrics) {
        assert!((got.value() - want.value()).abs() < 1e-9, "{}", got.name());
    }
}

/// The engine's part of the promise, call by call.
fn check_calls(engine: &dyn Engine<f64>) {
    let program = program(0.0);
    let params = program.layout().initialize(Key::new(1));
    let mut source = rows::<f64>(20);
    let mut batch = Rows::new(source.schema().clone());
    source.fill(&mut batch, 20).unwrap();
    let binding = Binding::new(&program, source.schema(), Need::Target).unwrap();
    let task = |rows| Task { rows, key: Key::new(2), ..Task::new(&params, &batch, &binding) };
    let run = |engine: &dyn Engine<f64>, cuts: &[usize], reduce_each: bool| {
        let mut running = engine.start(&program, 20).unwrap();
        let mut gradients = vec![f64::NAN; params.len()];
        for (i, rows) in cuts.windows(2).enumerate() {
            let write = if i == 0 { Write::Assign } else { Write::Add };
            running.gradient(&task(rows[0]..rows[1]), &mut gradients, write, None::<&mut Outputs<f64>>);
            if reduce_each {
                running.reduce(&mut gradients, &[]);
            }
        }
        running.reduce(&mut gradients, &[]);
        gradients
    };
    let want = run(&Serial, &[0, 20], false);
    for (cuts, reduce_each) in
        [(&[0, 20][..], false), (&[0, 3, 3, 20], false), (&[0, 3, 20], true), (&[0, 0, 20], true)]
    {
        let got = run(engine, cuts, reduce_each);
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() < 1e-12, "{}, cut at {cuts:?}: {got}, not {want}", engine.describe());
        }
    }
}

#[test]
fn gradients_are_whole_once_reduced() {
    check_calls(&Serial);
    check_calls(&DataParallel::new(2).shards(3));
    check_calls(&DataParallel::new(2));
}

#[test]
fn as_many_shards_as_are_worth_it() {
    let describe = |program, rows| Auto::new(4).start(&program, rows).unwrap().describe();
    assert_eq!(describe(program::<f64>(0.0), 32), "serial");
    // 16,384 multiplications forward, three times as many with backward.
    assert_eq!(describe(wide_program(), 32), "serial");
    assert_eq!(describe(wide_program(), 100), "2 shards on 2 threads");
    assert_eq!(describe(wide_program(), 10_000), "4 shards on 4 threads");
    assert!(Auto::new(0).start(&program::<f32>(0.0), 32).is_err());
    let want =
        train(&Trainer::new(wide_program(), adam(1e-3)).unwrap(), &Batch::new(2).batch_size(100), &mut rows(150));
    let auto = Trainer::new(wide_program(), adam(1e-3)).unwrap().engine(Auto::new(2));
    close("auto", &train(&auto, &Batch::new(2).batch_size(100), &mut rows(150)), &want);
}

#[test]
fn more_shards_than_rows_is_no_difference() {
    let want = train(&trainer(0.0), &Online::new().batch_size(3), &mut rows(10));
    let engine = DataParallel::new(2).shards(6);
    let got = train(&trainer::<f64>(0.0).engine(engine), &Online::new().batch_size(3), &mut rows(10));
    close("6 shards of 3 rows", &got, &want);
}

#[test]
fn a_row_of_weight_two_is_a_row_that_comes_twice() {
    use tidemill_data::MemorySource;

    let source = |x: Vec<f64>, carrier: Vec<u32>, target: Vec<f64>, weights: Vec<f64>| {
        MemorySource::builder()
            .reals("x", 3, x)
            .indices("carrier", 5, carrier)
            .target(target)
            .weights(weights)
            .build()
            .unwrap()
    };
    let (a, b) = ([0.1, 0.2, 0.3], [-0.4, 0.5, 0.6]);
    let mut weighted = source([a, b].concat(), vec![1, 2], vec![1.0, 0.0], vec![2.0, 1.0]);
    let mut repeated = source([a, a, b].concat(), vec![1, 1, 2], vec![1.0, 1.0, 0.0], vec![1.0; 3]);
    let strategy = Batch::new(5).full_batch().in_order();
    let got = train(&trainer(0.0), &strategy, &mut weighted);
    let want = train(&trainer(0.0), &strategy, &mut repeated);
    close("weights", &got, &want);
}
