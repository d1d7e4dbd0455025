//! What a loss is not defined for is refused by name, whoever computes and wherever rows come from.

use std::sync::Arc;

use tidemill_autograd::Program;
use tidemill_data::{
    Batch as Rows, Column, Cursor, Error as DataError, Field, Kind, MemorySource, Role, Schema, Source,
};
use tidemill_layers::{Dense, Embedding, Layer};
use tidemill_losses::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, Huber, Loss, MeanAbsoluteError, MeanSquaredError,
    SoftmaxCrossEntropy,
};
use tidemill_optim::sgd;
use tidemill_strategies::{
    Batch, DataParallel, Distributed, Engine, Hogwild, Online, Serial, Trainer, evaluate, predict,
};

use crate::ranks::world;

/// Rows that nobody has checked.
pub struct Unchecked {
    rows: Rows<f32>,
    at: usize,
}

impl Unchecked {
    pub fn new(columns: Vec<(Field, Column<f32>)>) -> Self {
        let (fields, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let mut rows = Rows::new(Arc::new(Schema::new(fields)));
        let count = match &values[0] {
            Column::Real { width, values, .. } => values.len() / width,
            Column::Index { values } => values.len(),
            _ => unreachable!("columns of numbers"),
        };
        let written: Result<(), DataError> = rows.append(count, |columns| {
            columns.iter_mut().zip(values).for_each(|(to, from)| *to = from);
            Ok(())
        });
        written.unwrap();
        Self { rows, at: 0 }
    }
}

impl Source<f32> for Unchecked {
    fn schema(&self) -> &Arc<Schema> {
        self.rows.schema()
    }

    fn fill(&mut self, batch: &mut Rows<f32>, rows: usize) -> Result<usize, DataError> {
        let next = self.at..self.rows.rows().min(self.at + rows);
        batch.push_rows(&self.rows, next.clone());
        self.at = next.end;
        Ok(next.len())
    }

    fn cursor(&self) -> Cursor {
        if self.at == 0 { Cursor::start(0) } else { Cursor::start(0).push(self.at as u64) }
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), DataError> {
        self.at = cursor.pop().map_or(0, |(at, _)| at as usize);
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows.rows() as u64)
    }
}

pub fn real(name: &str, role: Role, values: Vec<f32>) -> (Field, Column<f32>) {
    let column = Column::Real { width: 1, values, nulls: Default::default(), digits: Default::default() };
    (Field::new(name, Kind::Real { width: 1 }, role), column)
}

pub fn index(name: &str, role: Role, cardinality: u32, values: Vec<u32>) -> (Field, Column<f32>) {
    (Field::new(name, Kind::Index { cardinality }, role), Column::Index { values })
}

fn program(loss: &dyn Loss, width: usize) -> Program<f32> {
    Program::build(|graph| {
        let x = graph.input("x", &[1])?;
        let y = Dense::new(width).sigmoid().apply(graph, x)?;
        loss.apply(graph, y)
    })
    .unwrap()
}

/// The errors of all ways to use a source, which must be one; `loaded` checks some things of its own.
fn check_all(program: impl Fn() -> Program<f32> + Sync, source: impl Fn() -> Unchecked + Sync, want: &str) {
    let trainer = |engine: Box<dyn Wrap>| engine.wrap(Trainer::new(program(), sgd(0.1)).unwrap());
    let engines: [fn() -> Box<dyn Wrap>; 3] =
        [|| Box::new(Serial), || Box::new(DataParallel::new(2)), || Box::new(Hogwild::new(2))];
    for engine in engines {
        let trainer = trainer(engine());
        let mut state = trainer.start(1);
        let error = trainer.run(&Online::new().batch_size(4), &mut state, &mut source(), &mut ()).unwrap_err();
        assert_eq!(error.to_string(), want, "{}", trainer.describe_engine());
        let error = trainer.run(&Batch::new(2), &mut trainer.start(1), &mut source(), &mut ()).unwrap_err();
        let (error, row) = (error.to_string(), want.split("; expected").next().unwrap().rsplit(' ').next().unwrap());
        assert!(error == want || error.contains(&format!("in row {row}")), "batch: {error}");
    }
    let errors = world(2, |rank| {
        let trainer = Trainer::new(program(), sgd(0.1)).unwrap().engine(Distributed::new(rank, Serial).share_rows());
        let online = Online::new().batch_size(4);
        trainer.run(&online, &mut trainer.start(1), &mut source(), &mut ()).unwrap_err().to_string()
    });
    assert!(errors.iter().any(|error| error == want), "{errors:?}");
    let program = Arc::new(program());
    let params = Trainer::new(Arc::clone(&program), sgd(0.1)).unwrap().start(1).params;
    let error = evaluate(&program, &params, &mut source(), &mut tidemill_strategies::Metrics::new()).unwrap_err();
    assert_eq!(error.to_string(), want, "evaluate");
}

trait Wrap {
    fn wrap(self: Box<Self>, trainer: Trainer<f32>) -> Trainer<f32>;
}

impl<E: Engine<f32> + 'static> Wrap for E {
    fn wrap(self: Box<Self>, trainer: Trainer<f32>) -> Trainer<f32> {
        trainer.engine(*self)
    }
}

/// Six rows, of which number 5 has this target.
fn with_target(target: f32) -> Unchecked {
    let x = real("x", Role::Feature, (0..6).map(|i| i as f32).collect());
    Unchecked::new(vec![x, real("label", Role::Target, vec![0.0, 1.0, 1.0, 0.0, 0.5, target])])
}

#[test]
fn targets_that_a_loss_is_not_defined_for() {
    let unit = "a number from 0 to 1 (two classes are encoded as 0 and 1)";
    let losses: [(&dyn LossInThreads, &str, &[f32], &str); 5] = [
        (&BinaryCrossEntropy, "binary cross entropy", &[-1.0, 2.0, 1.0001], unit),
        (&BinaryCrossEntropyWithLogits::new(), "binary cross entropy with logits", &[-1.0, 2.0, -1e-6], unit),
        (&MeanSquaredError, "mean squared error", &[], "a finite number"),
        (&MeanAbsoluteError, "mean absolute error", &[], "a finite number"),
        (&Huber::default(), "huber loss", &[], "a finite number"),
    ];
    for (loss, name, wrong, expected) in losses {
        for &target in wrong.iter().chain(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]) {
            let want = format!("{name}: column label is {target} in row 5; expected {expected}");
            check_all(|| program(loss, 1), || with_target(target), &want);
        }
    }
}

trait LossInThreads: Loss + Sync {}

impl<L: Loss + Sync> LossInThreads for L {}

/// The first of the small reproductions: it trained to a loss of -122.
#[test]
fn cases_bce_of_minus_one_and_one() {
    let mut rows =
        MemorySource::builder().reals("x", 1, vec![-1f32, 1., 2., -2.]).target(vec![-1., 1., 1., -1.]).build().unwrap();
    let trainer = Trainer::new(program(&BinaryCrossEntropyWithLogits::new(), 1), sgd(0.5)).unwrap();
    let error = trainer.run(&Batch::new(300), &mut trainer.start(1), &mut rows, &mut ()).unwrap_err().to_string();
    assert!(error.starts_with("binary cross entropy with logits: column target is -1 in row 0; expected"), "{error}");
    // Numbers within are targets, whole or not.
    let mut rows = MemorySource::builder().reals("x", 1, vec![1f32; 3]).target(vec![0., 0.3, 1.]).build().unwrap();
    trainer.run(&Batch::new(1), &mut trainer.start(1), &mut rows, &mut ()).unwrap();
}

#[test]
fn classes_categories_and_weights_that_are_none() {
    let x = || real("x", Role::Feature, (0..6).map(|i| i as f32).collect());
    let classes = || index("label", Role::Target, 3, vec![0, 1, 2, 0, 1, 7]);
    let want = "softmax cross entropy: column label is 7 in row 5; expected a class below 3";
    check_all(|| program(&SoftmaxCrossEntropy::new(), 3), || Unchecked::new(vec![x(), classes()]), want);

    for weight in [-1.0, f32::NAN, f32::INFINITY] {
        let weights = || real("w", Role::Weight, vec![1.0, 1.0, 0.0, 1.0, 1.0, weight]);
        let target = || real("y", Role::Target, vec![1.0; 6]);
        let want = format!("row weights: column w is {weight} in row 5; expected a finite number from zero");
        check_all(|| program(&MeanSquaredError, 1), || Unchecked::new(vec![x(), target(), weights()]), &want);
    }

    let embedding = || {
        Program::build(|graph| {
            let word = graph.index_input("word", &[], 4)?;
            let y = Embedding::new(4, 1).apply(graph, word)?;
            MeanSquaredError.apply(graph, y)
        })
        .unwrap()
    };
    let words = || index("word", Role::Feature, 4, vec![0, 1, 2, 3, 0, 4]);
    let source = || Unchecked::new(vec![words(), real("y", Role::Target, vec![1.0; 6])]);
    let want = "the model's input word: column word is 4 in row 5; expected a category below 4";
    check_all(embedding, source, want);
    let program = Arc::new(embedding());
    let error = predict(&program, &[0.0; 4], &mut Unchecked::new(vec![words()]), |_| Ok(())).unwrap_err();
    assert_eq!(error.to_string(), want);
}
