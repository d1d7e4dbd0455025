//! Promises 6 and 7: bounded by what was asked; fail early, by name.

use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Cursor, Error as DataError, MemorySource, Schema, Source};
use tidemill_strategies::{Batch, DataParallel, Engine, Error, Online, Strategy, Trainer};

use crate::model::{program, rows, trainer};

/// Rows that are not in memory, as far as anybody can see.
struct Elsewhere<T>(MemorySource<T>);

impl<T: Scalar> Source<T> for Elsewhere<T> {
    fn schema(&self) -> &std::sync::Arc<Schema> {
        self.0.schema()
    }

    fn fill(&mut self, batch: &mut tidemill_data::Batch<T>, rows: usize) -> Result<usize, DataError> {
        self.0.fill(batch, rows)
    }

    fn cursor(&self) -> Cursor {
        self.0.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), DataError> {
        self.0.seek(cursor)
    }

    fn rows(&self) -> Option<u64> {
        self.0.rows()
    }
}

fn run(strategy: impl Strategy<f32>, source: &mut dyn Source<f32>) -> Result<(), Error> {
    let trainer = trainer(0.0);
    trainer.run(&strategy, &mut trainer.start(1), source, &mut ()).map(|_| ())
}

#[test]
fn batch_training_over_budget_is_refused_with_the_numbers() {
    // 3 real inputs, a category, a target and a weight: 24 bytes a row.
    let error = run(Batch::new(1).budget(2_399), &mut Elsewhere(rows(100))).unwrap_err().to_string();
    assert!(error.contains("2400 bytes") && error.contains("2399 bytes"), "{error}");
    run(Batch::new(1).budget(2_400), &mut Elsewhere(rows(100))).unwrap();
    run(Online::new(), &mut Elsewhere(rows(100))).unwrap();
}

#[test]
fn rows_elsewhere_are_loaded_and_train_alike() {
    let here = crate::model::train(&trainer::<f32>(0.2), &Batch::new(2), &mut rows(50));
    let elsewhere = crate::model::train(&trainer::<f32>(0.2), &Batch::new(2), &mut Elsewhere(rows(50)));
    assert_eq!(here.params, elsewhere.params);
}

fn source() -> tidemill_data::MemoryBuilder<f32> {
    MemorySource::builder().indices("carrier", 5, vec![0, 1])
}

#[test]
fn a_source_that_does_not_fit_the_model_is_refused_by_name() {
    let error = |source: tidemill_data::MemoryBuilder<f32>| {
        run(Online::new(), &mut source.build().unwrap()).unwrap_err().to_string()
    };
    assert_eq!(
        error(source().target(vec![0.0, 1.0])),
        "the model's input x: the source has no such column, only carrier, target"
    );
    assert_eq!(
        error(source().reals("x", 2, vec![0.0; 4]).target(vec![0.0, 1.0])),
        "source: column x is real [2], the model's input x expects real [3]"
    );
    assert_eq!(
        error(source().reals("x", 3, vec![0.0; 6])),
        "the model's target: the source has no such column, only carrier, x"
    );
    let wide = MemorySource::builder().indices("carrier", 6, vec![0, 1]).reals("x", 3, vec![0.0; 6]);
    assert_eq!(
        error(wide.target(vec![0.0, 1.0])),
        "source: column carrier is index below 6, the model's input carrier expects an index below 5"
    );
}

#[test]
fn a_loss_that_is_no_number_names_row_and_column_and_updates_nothing() {
    let x = vec![0.0, 1.0, 2.0, 3.0, f32::NAN, 5.0];
    let mut source = source().reals("x", 3, x).target(vec![0.0, 1.0]).build().unwrap();
    let trainer = trainer::<f32>(0.0);
    let mut state = trainer.start(1);
    let error = trainer.run(&Online::new(), &mut state, &mut source, &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "step 0: the loss of row 1 of the batch is NaN; column x[1] is NaN there");
    assert_eq!(state.params, trainer.start(1).params);
    assert_eq!(state.step, 0);
}

#[test]
fn diverged_training_is_told_from_bad_data() {
    let trainer = Trainer::new(program::<f32>(0.0), tidemill_optim::sgd(1e30)).unwrap();
    let error = trainer.run(&Batch::new(50), &mut trainer.start(1), &mut rows(100), &mut ()).unwrap_err().to_string();
    assert!(error.contains("training has diverged: lower the learning rate"), "{error}");
}

#[test]
fn impossible_settings_are_refused() {
    let error = |engine: &dyn Engine<f32>| engine.start(&program(0.0), 10).err().unwrap().to_string();
    assert_eq!(error(&DataParallel::new(0)), "data parallel: expected at least 1 thread and 1 shard");
    let batch_size = run(Online::new().batch_size(0), &mut rows(10)).unwrap_err().to_string();
    assert_eq!(batch_size, "batch size: 0 rows; expected 1 or more");
    assert_eq!(run(Batch::new(1), &mut rows(0)).unwrap_err().to_string(), "batch training: the source has no rows");
    let optimizer = Trainer::new(program::<f32>(0.0), tidemill_optim::sgd(-1.0)).err().unwrap().to_string();
    assert!(optimizer.contains("-1"), "{optimizer}");
}
