//! River's logistic regression on the phishing data, tested and then trained row by row, by the online strategy over the
//! Parquet file.
//!
//! River predicts a row as scaled by what was known before it, and learns it as scaled by what is known with it. So the
//! rows are scaled twice: those that are learned are the source, and the others are predicted by an observer, with the
//! parameters as they stand between two steps.

use tidemill::data::Batch as Rows;
use tidemill::metrics::{Rows as Scored, RunningMoments, Target};
use tidemill::optim::{Chain, l2, learning_rate};
use tidemill::prelude::*;
use tidemill::strategies::Error;
use tidemill_golden::{Case, Group, Outcome, data_set};

#[test]
fn golden_progressive_validation() {
    Group::load("metrics").run(
        &[
            "adwin",
            "binary_classification",
            "ddm",
            "kswin",
            "multiclass_classification",
            "page_hinkley",
            "regression",
            "standard_scaler",
        ],
        |case| match case.kind {
            "progressive_validation" => {
                check(case);
                Outcome::Checked
            }
            _ => Outcome::NotCovered("trains no model; tested in crates/metrics"),
        },
    );
}

fn check(case: &Case<'_>) {
    let table = Table::read(case);
    let (before, after) = table.scaled();
    let program = Program::build(|graph| {
        let x = graph.input("x", &[table.width])?;
        let logit = Dense::new(1).apply(graph, x)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, logit)
    });
    let trainer = Trainer::new(program.unwrap(), optimizer(case)).unwrap();
    let mut state = trainer.start(0);
    state.params.fill(0.0);

    let mut tested = Tested { trainer: &trainer, before: &before, table: &table, scores: Scores::new() };
    let mut callback = on_event(|event: &Event<'_, f64>, _: &mut Control| {
        if let Event::Started { state, .. } | Event::Step { state, .. } = event {
            tested.predict_next(state)?;
        }
        Ok(())
    });
    let mut source =
        MemorySource::builder().reals("x", table.width, after).target(table.target.clone()).build().unwrap();
    trainer.run(&Online::new().batch_size(1), &mut state, &mut source, &mut callback).unwrap();

    let Scores { proba, accuracy, metrics } = tested.scores;
    case.close("proba", proba, &case.tensor("proba").values, 1e-9, 0.0);
    case.close("accuracy", accuracy, &case.tensor("accuracy").values, 1e-9, 0.0);
    let expected = |name: &str| case.expected[name].as_f64().unwrap();
    let scores = metrics.iter().map(|m| m.value());
    case.close("accuracy and log_loss", scores, &[expected("accuracy"), expected("log_loss")], 1e-9, 0.0);
    let right = metrics[0].value() * table.target.len() as f64;
    assert_eq!(right.round(), expected("correct"), "{}: rows that were right", case.name);
    let parameter = |name: &str| state.params[trainer.program().layout().find(name).unwrap().range()].to_vec();
    case.close("weights", parameter("dense1.weight"), &case.tensor("weights").values, 1e-9, 0.0);
    case.close("intercept", parameter("dense1.bias"), &case.tensor("intercept").values, 1e-9, 0.0);
}

/// A rate for the weights and one for the intercept, which is not held small.
fn optimizer(case: &Case<'_>) -> Chain {
    let weights = l2(case.number("l2")).then(learning_rate(case.number("lr"))).only("*.weight");
    weights.then(learning_rate(case.number("intercept_lr")).only("*.bias"))
}

/// The data, in the order of the case.
struct Table {
    width: usize,
    rows: Vec<Vec<f64>>,
    target: Vec<f64>,
}

impl Table {
    fn read(case: &Case<'_>) -> Self {
        let features = case.params["features"].as_array().unwrap();
        let features: Vec<&str> = features.iter().map(|name| name.as_str().unwrap()).collect();
        let width = features.len();
        let source = ParquetSource::open(data_set("phishing.parquet")).real_block("x", features).target("is_phishing");
        let mut source = source.build().unwrap();
        let order = case.tensor("order").indices();
        let mut batch = Rows::<f64>::new(source.schema().clone());
        assert_eq!(source.fill(&mut batch, usize::MAX).unwrap(), order.len(), "rows of the file");
        let row = |&row: &u32| batch.reals(0)[row as usize * width..][..width].to_vec();
        Self {
            width,
            rows: order.iter().map(row).collect(),
            target: order.iter().map(|&row| batch.reals(1)[row as usize]).collect(),
        }
    }

    /// Every row as scaled by the rows before it, and by those and itself.
    fn scaled(&self) -> (Vec<f64>, Vec<f64>) {
        let mut moments = vec![RunningMoments::default(); self.width];
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for row in &self.rows {
            before.extend(row.iter().zip(&moments).map(|(&x, m)| scale(x, m)));
            row.iter().zip(&mut moments).for_each(|(&x, m)| m.update(x));
            after.extend(row.iter().zip(&moments).map(|(&x, m)| scale(x, m)));
        }
        (before, after)
    }
}

/// Zero where there is no spread yet.
fn scale(x: f64, moments: &RunningMoments) -> f64 {
    if moments.variance() > 0.0 { (x - moments.mean()) / moments.variance().sqrt() } else { 0.0 }
}

/// Predicts each row before the step that learns it.
struct Tested<'a> {
    trainer: &'a Trainer<f64>,
    before: &'a [f64],
    table: &'a Table,
    scores: Scores,
}

struct Scores {
    proba: Vec<f64>,
    accuracy: Vec<f64>,
    metrics: Metrics<f64>,
}

impl Scores {
    fn new() -> Self {
        // River's rows are of class 1 above one half, not at it.
        let accuracy = Accuracy::binary(0.5f64.next_up()).unwrap();
        let metrics = Metrics::new().with(accuracy).with(LogLoss::default());
        Self { proba: Vec::new(), accuracy: Vec::new(), metrics }
    }
}

impl Tested<'_> {
    fn predict_next(&mut self, state: &State<f64>) -> Result<(), Error> {
        let (row, width) = (state.step as usize, self.table.width);
        let Some(target) = self.table.target.get(row..=row) else { return Ok(()) };
        let x = self.before[row * width..][..width].to_vec();
        let mut source = MemorySource::builder().reals("x", width, x).build()?;
        let Scores { proba, accuracy, metrics } = &mut self.scores;
        tidemill::strategies::predict(self.trainer.program(), &state.params, &mut source, |prediction| {
            proba.extend(prediction.values);
            let scored = Scored::new(prediction.values, 1, Target::Real(target))?;
            metrics.iter_mut().try_for_each(|metric| metric.update(&scored))?;
            accuracy.push(metrics[0].value());
            Ok(())
        })?;
        Ok(())
    }
}
