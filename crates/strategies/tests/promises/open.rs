//! Models with buffers, groups of rows, several heads and frozen parts, in every engine.

use std::sync::Arc;

use tidemill_autograd::tensor::ParameterKind;
use tidemill_autograd::{Coupling, Program};
use tidemill_collective::Collective;
use tidemill_data::{MemorySource, Source};
use tidemill_layers::{BatchNorm, Dense, Layer, Sequential};
use tidemill_losses::{BinaryCrossEntropyWithLogits, Loss, MeanSquaredError};
use tidemill_metrics::{Accuracy, MeanLoss, Rmse};
use tidemill_optim::{adam, sgd};
use tidemill_strategies::{
    Auto, Batch, DataParallel, Distributed, Engine, Hogwild, Metrics, Model, Online, Serial, State, Strategy, Trainer,
};

use crate::model::{bits, close};
use crate::ranks::world;

/// Two heads on a normalised body, in groups of four rows or of whole batches.
fn program(groups: Option<usize>) -> Arc<Program<f64>> {
    frozen(groups, None)
}

fn frozen(groups: Option<usize>, pattern: Option<&str>) -> Arc<Program<f64>> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[3])?;
        let norm = groups.map_or_else(BatchNorm::new, |rows| BatchNorm::new().groups(rows));
        let body = Sequential::new().add(Dense::new(6).without_bias()).add(norm).add(Dense::new(5).tanh()).name("body");
        let body = body.apply(graph, x)?;
        let price = Dense::new(1).name("price").apply(graph, body)?;
        let sold = Dense::new(1).name("sold").apply(graph, body)?;
        if let Some(pattern) = pattern {
            graph.freeze(pattern)?;
        }
        Ok([
            MeanSquaredError.head(graph, price, "price")?,
            BinaryCrossEntropyWithLogits::new().head(graph, sold, "sold")?.weight(0.5),
        ])
    });
    Arc::new(program.unwrap())
}

fn rows(n: usize) -> MemorySource<f64> {
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0;
    let x: Vec<f64> = (0..3 * n).map(number).collect();
    let price: Vec<f64> = x.chunks(3).map(|x| 2.0 * x[0] - x[1] + 0.1 * x[2]).collect();
    let sold = price.iter().map(|&price| f64::from(price > 0.2)).collect();
    let weights = (0..n).map(|i| 0.5 * (1 + i % 3) as f64 * f64::from(i % 7 > 0)).collect();
    MemorySource::builder()
        .reals("x", 3, x)
        .reals("price", 1, price)
        .reals("sold", 1, sold)
        .weights(weights)
        .build()
        .unwrap()
}

fn metrics() -> Metrics<f64> {
    Metrics::new()
        .of("price", Rmse::default())
        .of("sold", Accuracy::binary(0.5).unwrap())
        .of("price", MeanLoss::default())
}

fn train(program: &Arc<Program<f64>>, engine: impl Engine<f64> + 'static, strategy: &impl Strategy<f64>) -> State<f64> {
    let trainer = Trainer::new(program.clone(), adam(0.01)).unwrap().engine(engine);
    let mut state = trainer.start_with(3, metrics());
    trainer.run(strategy, &mut state, &mut rows(107), &mut ()).unwrap();
    state
}

fn check(what: &str, got: &State<f64>, want: &State<f64>) {
    close(what, got, want);
    for (got, want) in got.metrics.iter().zip(&want.metrics) {
        let (name, got, want) = (got.name(), got.value(), want.value());
        assert!((got - want).abs() < 1e-9 || got.is_nan() && want.is_nan(), "{what}: {name} is {got}, not {want}");
    }
}

#[test]
fn groups_are_whole_on_any_number_of_threads_and_ranks() {
    let program = program(Some(4));
    assert_eq!((program.coupling(true), program.coupling(false)), (Coupling::Group(4), Coupling::None));
    let (batch, online) = (Batch::new(2).batch_size(30), Online::new().batch_size(30));
    let (wanted, wanted_online) = (train(&program, Serial, &batch), train(&program, Serial, &online));
    let moved = program.layout().find("body.batch_norm1.running_mean").unwrap().range();
    assert!(wanted.params[moved].iter().all(|mean| *mean != 0.0), "running means move");
    for shards in [2, 3, 5] {
        let got = train(&program, DataParallel::new(2).shards(shards), &batch);
        check(&format!("{shards} shards"), &got, &wanted);
        assert!(bits(&got) == bits(&train(&program, DataParallel::new(1).shards(shards), &batch)), "{shards} shards");
        let got = train(&program, DataParallel::new(2).shards(shards), &online);
        check(&format!("{shards} shards, online"), &got, &wanted_online);
    }
    check("auto", &train(&program, Auto::new(2), &batch), &wanted);
    for size in [2, 3] {
        for inner in [1, 2] {
            let engine = |rank| Distributed::new(rank, DataParallel::new(inner)).share_rows();
            let states = world(size, |rank| train(&program, engine(rank), &online));
            for state in &states {
                check(&format!("{size} ranks of {inner} shards"), state, &wanted_online);
                assert!(bits(state) == bits(&states[0]), "all ranks have the same bits");
            }
        }
    }
}

#[test]
fn ranks_with_rows_of_their_own_have_groups_of_their_own() {
    // Each rank has every second group, so that groups are those of one process, in another order.
    let program = program(Some(4));
    let online = |rows| Online::new().batch_size(rows);
    let part = |rank: usize, size: usize| {
        let mut all = tidemill_data::Batch::new(rows(96).schema().clone());
        for group in (rank..24).step_by(size) {
            all.push_rows(rows(96).data(), 4 * group..4 * group + 4);
        }
        let column = |name: &str| all.reals(all.schema().position(name).unwrap()).to_vec();
        let builder = MemorySource::builder().reals("x", 3, column("x"));
        builder.reals("price", 1, column("price")).reals("sold", 1, column("sold")).build().unwrap()
    };
    let run = |engine: Arc<dyn Fn() -> Box<dyn Engine<f64>> + Send + Sync>, mut source: MemorySource<f64>, rows| {
        let trainer = Trainer::new(program.clone(), adam(0.01)).unwrap().engine(Boxed(engine()));
        let mut state = trainer.start(3);
        trainer.run(&online(rows), &mut state, &mut source, &mut ()).unwrap();
        state
    };
    let wanted = run(Arc::new(|| Box::new(Serial)), part(0, 1), 16);
    let states = world(2, |rank| {
        let (number, rank) = (rank.rank(), std::sync::Mutex::new(Some(rank)));
        let engine = move || {
            let rank = rank.lock().unwrap().take().unwrap();
            Box::new(Distributed::new(rank, Serial)) as Box<dyn Engine<f64>>
        };
        run(Arc::new(engine), part(number, 2), 8)
    });
    for state in &states {
        close("two ranks", state, &wanted);
        assert!(bits(state) == bits(&states[0]));
    }
}

/// An engine that is chosen at run time.
struct Boxed(Box<dyn Engine<f64>>);

impl Engine<f64> for Boxed {
    fn start(
        &self,
        program: &Arc<Program<f64>>,
        rows: usize,
    ) -> Result<Box<dyn tidemill_strategies::Running<f64>>, tidemill_strategies::Error> {
        self.0.start(program, rows)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn ranks(&self) -> usize {
        self.0.ranks()
    }

    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn abandon(&self, why: &str) {
        self.0.abandon(why);
    }
}

#[test]
fn whole_batches_are_not_cut() {
    let program = program(None);
    let batch = Batch::new(1).batch_size(30);
    train(&program, Serial, &batch);
    train(&program, DataParallel::new(1), &batch);
    check("auto", &train(&program, Auto::new(2), &batch), &train(&program, Serial, &batch));
    let refused = |engine: &dyn Engine<f64>| engine.start(&program, 30).err().unwrap().to_string();
    let why = "batch norm looks at all rows of a batch, which cannot be cut";
    assert!(refused(&DataParallel::new(2)).starts_with(&format!("data parallel: {why}")));
    assert!(refused(&Hogwild::new(2)).starts_with(&format!("hogwild: {why}")));
    world(2, |rank| {
        assert!(refused(&Distributed::new(rank, Serial).share_rows()).starts_with(&format!("distributed: {why}")));
    });
    // Predictions are of running averages, and so of each row by itself.
    let state = train(&program, Serial, &batch);
    let model = Model::new(program.clone(), &state);
    let predict = |model: &Model<f64>| {
        let mut found = Vec::new();
        let each = |rows: tidemill_strategies::Predictions<'_, f64>| {
            found.extend_from_slice(rows.head("sold").unwrap());
            Ok(())
        };
        model.predict(&mut rows(50), each).unwrap();
        found
    };
    let whole = predict(&model);
    assert_eq!(predict(&model.batch_size(7)), whole);
}

#[test]
fn hogwild_has_no_buffers() {
    let refused = |program: &Arc<Program<f64>>, rows| {
        Engine::<f64>::start(&Hogwild::new(2).rows(rows), program, 30).err().map(|error| error.to_string())
    };
    let error = refused(&program(Some(4)), 6).unwrap();
    assert_eq!(error, "hogwild: steps of 6 rows cut the groups of 4 rows of batch norm");
    assert!(refused(&program(Some(4)), 8).unwrap().starts_with("hogwild: the model has buffers"));
    assert_eq!(refused(&frozen(Some(4), Some("body.*")), 1), None);
}

#[test]
fn what_is_frozen_stays_and_has_no_memory() {
    let program = frozen(Some(4), Some("body.*"));
    let layout = program.layout();
    let start = Trainer::new(program.clone(), adam(0.01)).unwrap().start(3);
    assert_eq!(start.optimizer.len(), 2 * layout.trainable_len());
    let online = Online::new().batch_size(20);
    let serial = train(&program, Serial, &online);
    let parallel = train(&program, DataParallel::new(2), &online);
    check("two shards", &parallel, &serial);
    for parameter in layout.parameters() {
        let same = serial.params[parameter.range()] == start.params[parameter.range()];
        assert_eq!(same, parameter.kind() == ParameterKind::Frozen, "{}", parameter.name());
    }
    // Parameters are drawn as if nothing were frozen.
    let all = crate::open::program(Some(4));
    let drawn = Trainer::new(all.clone(), sgd(0.1)).unwrap().start(3);
    for parameter in all.layout().parameters() {
        let own = layout.find(parameter.name()).unwrap().range();
        assert_eq!(drawn.params[parameter.range()], start.params[own], "{}", parameter.name());
    }
    // Threads that do not wait for each other read what is frozen.
    let trainer = Trainer::new(program.clone(), sgd(0.05)).unwrap();
    let run = |trainer: Trainer<f64>| {
        let mut state = trainer.start(3);
        trainer.run(&online, &mut state, &mut rows(107), &mut ()).unwrap();
        state
    };
    let one_row = |trainer: Trainer<f64>| {
        let mut state = trainer.start(3);
        trainer.run(&Online::new().batch_size(1), &mut state, &mut rows(107), &mut ()).unwrap();
        state
    };
    let hogwild = run(trainer.engine(Hogwild::new(1)));
    close("one thread of hogwild", &hogwild, &one_row(Trainer::new(program.clone(), sgd(0.05)).unwrap()));
}

#[test]
fn buffers_and_heads_resume_to_the_bit() {
    let program = program(Some(4));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let strategy = Online::new().batch_size(10).passes(2);
    let trainer = Trainer::new(program.clone(), adam(0.01)).unwrap();
    let wanted = train(&program, Serial, &strategy);
    for stop in [1, 7, 11, 15] {
        let mut state = trainer.start_with(3, metrics());
        let mut stopping = tidemill_strategies::on_event(
            |event: &tidemill_strategies::Event<'_, f64>, run: &mut tidemill_strategies::Control| {
                if matches!(event, tidemill_strategies::Event::Step { state, .. } if state.step == stop) {
                    run.stop();
                }
                Ok(())
            },
        );
        trainer.run(&strategy, &mut state, &mut rows(107), &mut stopping).unwrap();
        trainer.save(&state, &path).unwrap();
        let mut state = trainer.resume(&path, metrics()).unwrap();
        trainer.run(&strategy, &mut state, &mut rows(107), &mut ()).unwrap();
        assert!(bits(&state) == bits(&wanted), "stopped after step {stop}");
    }
    let other = trainer.resume(&path, Metrics::new().of("sold", Rmse::default()));
    assert!(other.err().unwrap().to_string().contains("its metrics are [price.rmse, sold.accuracy, price.loss]"));
}

#[test]
fn two_heads_are_evaluated_and_predicted_by_name() {
    let program = program(Some(4));
    let trainer = Trainer::new(program.clone(), adam(0.02)).unwrap();
    let mut state = trainer.start(3);
    trainer.run(&Batch::new(40).batch_size(20), &mut state, &mut rows(200), &mut ()).unwrap();
    let model = Model::new(program.clone(), &state);
    let mut found = metrics();
    let evaluation = model.evaluate(&mut rows(200), &mut found).unwrap();
    let [rmse, accuracy, loss] = [0, 1, 2].map(|i| found[i].value());
    assert!(rmse < 0.2 && accuracy > 0.95, "{rmse}, {accuracy}");
    assert!((rmse * rmse - loss).abs() < 1e-12 && evaluation.loss() > loss, "the sum of both heads' losses");
    let (mut price, mut sold) = (Vec::new(), Vec::new());
    let each = |rows: tidemill_strategies::Predictions<'_, f64>| {
        price.extend_from_slice(rows.head("price").unwrap());
        sold.extend_from_slice(rows.head("sold").unwrap());
        assert!(rows.head("other").is_none());
        Ok(())
    };
    assert_eq!(model.predict(&mut rows(200), each).unwrap(), 200);
    let data = rows(200);
    let wanted = data.data().reals(data.schema().position("price").unwrap());
    let off = price.iter().zip(wanted).map(|(p, t)| (p - t) * (p - t)).sum::<f64>() / 200.0;
    assert!(off.sqrt() < 0.2 && sold.iter().all(|p| (0.0..=1.0).contains(p)));

    let refused = |metrics: Metrics<f64>| {
        let mut metrics = metrics;
        model.evaluate(&mut rows(5), &mut metrics).unwrap_err().to_string()
    };
    let error = refused(Metrics::new().with(Rmse::default()));
    assert_eq!(error, "metric rmse: the model has the heads price, sold; say which it scores by `of`");
    let error = refused(Metrics::new().of("prize", Rmse::default()));
    assert_eq!(error, "metric prize.rmse: the model has no head prize, only price, sold");
}
