use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use tidemill::autograd::Error;
use tidemill::prelude::*;
use tidemill::tensor::Key;
use tidemill::tensor::ndarray::Array2;
use tidemill::tensor::ndarray_rand::rand::Rng;
use tidemill::tensor::ndarray_rand::rand_distr::StandardNormal;

use crate::{Model, clicks};

/// What a model is trained on, and by which loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// As in reports.
    pub name: String,
    /// What is trained.
    pub model: Model,
    /// What its outputs are to be.
    pub goal: Goal,
    /// Rows a step.
    pub batch_size: usize,
    /// Rows of an epoch, whole batches.
    pub rows: usize,
}

/// What the outputs of a model are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Goal {
    /// One class of as many as there are outputs: softmax cross-entropy.
    Ce,
    /// Yes or no for each output: binary cross-entropy of logits.
    Bce,
    /// A number for each output: mean squared error.
    Mse,
}

impl Goal {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ce => "ce",
            Self::Bce => "bce",
            Self::Mse => "mse",
        }
    }
}

/// What makes a workload that has a name.
struct Named {
    name: &'static str,
    model: fn() -> Model,
    goal: Goal,
    batch_size: usize,
    rows: usize,
}

const NAMED: [Named; 5] = [
    Named { name: "seed", model: || Model::Dense(vec![10, 10, 1]), goal: Goal::Bce, batch_size: 32, rows: 100_000 },
    Named {
        name: "mlp",
        model: || Model::Dense(vec![784, 512, 512, 10]),
        goal: Goal::Ce,
        batch_size: 128,
        rows: 12_800,
    },
    Named {
        name: "wide",
        model: || Model::Dense(vec![28, 256, 256, 1]),
        goal: Goal::Bce,
        batch_size: 1024,
        rows: 102_400,
    },
    Named { name: "cnn", model: || Model::Convolutional { classes: 10 }, goal: Goal::Ce, batch_size: 64, rows: 3_200 },
    Named {
        name: "ctr",
        model: || Model::Tables { categories: 100_000 },
        goal: Goal::Bce,
        batch_size: 1024,
        rows: 200_000,
    },
];

impl FromStr for Workload {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let named = NAMED.iter().find(|named| named.name == name);
        let named = named.with_context(|| format!("no model is named {name:?}, only {}", Self::names().join(", ")))?;
        Self::new(name.into(), (named.model)(), named.goal, named.batch_size, named.rows)
    }
}

impl Workload {
    /// A workload of one's own; rows that fill no batch are left out.
    ///
    /// # Errors
    ///
    /// When there is no such model, or not one whole batch.
    pub fn new(name: String, model: Model, goal: Goal, batch_size: usize, rows: usize) -> Result<Self> {
        ensure!(
            goal != Goal::Ce || (2..=u32::MAX as usize).contains(&model.outputs()),
            "{model}: classes are told apart by 2 outputs or more; for one output use the loss bce or mse"
        );
        ensure!(batch_size > 0, "batch: 0 rows; expected 1 or more");
        ensure!(rows >= batch_size, "rows: {rows} do not fill one batch of {batch_size}");
        Ok(Self { name, model, goal, batch_size, rows: rows - rows % batch_size })
    }

    /// `ctr` with other numbers of categories a column, or of rows.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn ctr(categories: Option<u32>, rows: Option<usize>) -> Result<Self> {
        let Self { name, model, goal, batch_size, rows: usual } = "ctr".parse()?;
        let model = categories.map_or(Ok(model), Model::tables)?;
        Self::new(name, model, goal, batch_size, rows.unwrap_or(usual))
    }

    /// The names that there are.
    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|named| named.name).collect()
    }

    /// The model and its loss.
    ///
    /// # Errors
    ///
    /// Those of the graph.
    pub fn program(&self) -> Result<Program<f32>, Error> {
        Program::build(|graph| {
            let y = self.model.record(graph)?;
            match self.goal {
                Goal::Ce => SoftmaxCrossEntropy::new().apply(graph, y),
                Goal::Bce => BinaryCrossEntropyWithLogits::new().apply(graph, y),
                Goal::Mse => MeanSquaredError.apply(graph, y),
            }
        })
    }

    /// Standard normal features; targets are classes at random, or else tell (the sign of) the sum of the first two
    /// features. A model with categories has rows in the shape of click logs.
    ///
    /// # Errors
    ///
    /// Those of the source.
    pub fn source(&self) -> Result<MemorySource<f32>, tidemill::data::Error> {
        if let Some(categories) = self.model.categories() {
            return clicks::memory(self.rows, categories);
        }
        let (inputs, outputs) = (self.model.input().iter().product(), self.model.outputs());
        let mut rng = Key::new(0).rng();
        let x: Vec<f32> = (0..self.rows * inputs).map(|_| rng.sample(StandardNormal)).collect();
        let sums = x.chunks_exact(inputs).map(|row| row.iter().take(2).sum::<f32>()).collect::<Vec<_>>();
        let each = |value: fn(f32) -> f32| Array2::from_shape_fn((self.rows, outputs), |(row, _)| value(sums[row]));
        let builder = MemorySource::builder();
        let builder = match self.goal {
            Goal::Ce => {
                let classes = outputs as u32;
                builder.target_classes(classes, (0..self.rows).map(|_| rng.random_range(0..classes)).collect())
            }
            Goal::Bce => builder.target_array(each(|sum| f32::from(sum > 0.0))),
            Goal::Mse => builder.target_array(each(|sum| sum)),
        };
        builder.reals("x", inputs, x).build()
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> usize {
        self.rows / self.batch_size
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, model, batch_size, rows, .. } = self;
        write!(f, "{name} ({model}, batch {batch_size}, {rows} rows)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_parameters(workload: &str, expected: usize) {
        let workload: Workload = workload.parse().unwrap();
        assert_eq!(workload.program().unwrap().layout().len(), expected, "parameters of {workload}");
    }

    #[test]
    fn models_have_the_parameters_of_the_table() {
        check_parameters("seed", (10 + 1) * 10 + (10 + 1));
        check_parameters("mlp", (784 + 1) * 512 + (512 + 1) * 512 + (512 + 1) * 10);
        check_parameters("wide", (28 + 1) * 256 + (256 + 1) * 256 + (256 + 1));
        check_parameters("cnn", (9 + 1) * 16 + (16 * 9 + 1) * 32 + (32 * 5 * 5 + 1) * 10);
        check_parameters("ctr", 26 * 100_000 * 8 + (13 + 26 * 8 + 1) * 64 + (64 + 1) * 32 + (32 + 1));
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_exist() {
        for name in ["resnet", "stream", "Seed", ""] {
            let error = name.parse::<Workload>().unwrap_err().to_string();
            assert_eq!(error, format!("no model is named {name:?}, only seed, mlp, wide, cnn, ctr"));
        }
    }

    #[test]
    fn rows_that_fill_no_batch_are_left_out() {
        let workload = Workload::new("own".into(), Model::Dense(vec![3, 2]), Goal::Mse, 20, 50).unwrap();
        assert_eq!((workload.rows, workload.steps()), (40, 2));
        assert_eq!(workload.source().unwrap().len(), 40);
    }

    #[test]
    fn impossible_models_are_refused_by_name() {
        let error = |dims: &[usize], goal, batch, rows| {
            let model = Model::dense(dims.to_vec());
            model.and_then(|model| Workload::new("own".into(), model, goal, batch, rows)).unwrap_err().to_string()
        };
        assert!(error(&[3], Goal::Mse, 1, 1).contains("expected inputs and outputs"));
        assert!(error(&[3, 0, 1], Goal::Mse, 1, 1).contains("no element"));
        assert!(error(&[3, 1], Goal::Ce, 1, 1).contains("2 outputs or more"));
        assert!(error(&[3, 1], Goal::Bce, 0, 1).contains("batch: 0 rows"));
        assert_eq!(error(&[3, 1], Goal::Bce, 8, 7), "rows: 7 do not fill one batch of 8");
        assert!(Workload::ctr(Some(0), None).unwrap_err().to_string().starts_with("categories: 0"));
    }

    #[test]
    fn ctr_is_as_large_as_it_is_asked_to_be() {
        let names = |categories, rows| Workload::ctr(categories, rows).unwrap().to_string();
        assert_eq!(names(None, None), "ctr (13 numbers, 26 x 100000 categories, 64-32-1, batch 1024, 199680 rows)");
        assert_eq!(
            names(Some(50), Some(3_000)),
            "ctr (13 numbers, 26 x 50 categories, 64-32-1, batch 1024, 2048 rows)"
        );
    }

    #[test]
    fn what_is_clicked_can_be_learned() {
        let workload = Workload::new("own".into(), Model::Tables { categories: 20 }, Goal::Bce, 64, 6_400).unwrap();
        let trainer = Trainer::new(workload.program().unwrap(), crate::measure::optimizer()).unwrap();
        let (mut state, mut source) = (trainer.start(0), workload.source().unwrap());
        let mut loss = |params: &[f32]| {
            tidemill::strategies::evaluate(trainer.program(), params, &mut source, &mut Metrics::new()).unwrap().loss()
        };
        let before = loss(&state.params);
        let strategy = Online::new().batch_size(workload.batch_size);
        trainer.run(&strategy, &mut state, &mut workload.source().unwrap(), &mut ()).unwrap();
        let after = loss(&state.params);
        assert!(after < before - 0.05, "{before}, then {after}");
    }

    #[test]
    fn sources_feed_their_programs() {
        let others = [(Model::Convolutional { classes: 3 }, Goal::Ce), (Model::Tables { categories: 5 }, Goal::Bce)];
        let dense = [Goal::Ce, Goal::Bce, Goal::Mse].map(|goal| (Model::Dense(vec![1, 4, 2]), goal));
        for (model, goal) in dense.into_iter().chain(others) {
            let workload = Workload::new("own".into(), model, goal, 8, 16).unwrap();
            let program = std::sync::Arc::new(workload.program().unwrap());
            let params = program.layout().initialize(Key::new(1));
            let mut source = workload.source().unwrap();
            let loss =
                tidemill::strategies::evaluate(&program, &params, &mut source, &mut Metrics::new()).unwrap().loss();
            assert!(loss.is_finite() && loss > 0.0, "{goal:?}: {loss}");
        }
    }
}
