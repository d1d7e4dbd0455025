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

/// What a model is trained on, and by which loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// As in reports.
    pub name: String,
    /// Inputs, then the outputs of each layer; ReLU in between.
    pub dims: Vec<usize>,
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

/// The workloads that have names: name, dims, goal, rows a step, rows.
const NAMED: [(&str, &[usize], Goal, usize, usize); 3] = [
    ("seed", &[10, 10, 1], Goal::Bce, 32, 100_000),
    ("mlp", &[784, 512, 512, 10], Goal::Ce, 128, 12_800),
    ("wide", &[28, 256, 256, 1], Goal::Bce, 1024, 102_400),
];

impl FromStr for Workload {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let named = NAMED.iter().find(|workload| workload.0 == name);
        let &(name, dims, goal, batch_size, rows) =
            named.with_context(|| format!("there is no workload {name:?}, only {}", Self::names()))?;
        Self::new(name.into(), dims.to_vec(), goal, batch_size, rows)
    }
}

impl Workload {
    /// A workload of one's own; rows that fill no batch are left out.
    ///
    /// # Errors
    ///
    /// When there is no such model, or not one whole batch.
    pub fn new(name: String, dims: Vec<usize>, goal: Goal, batch_size: usize, rows: usize) -> Result<Self> {
        ensure!(dims.len() >= 2, "dims {dims:?}: expected inputs and outputs at least, such as 10,10,1");
        ensure!(!dims.contains(&0), "dims {dims:?}: a layer has no element");
        let outputs = dims[dims.len() - 1];
        ensure!(
            goal != Goal::Ce || (2..=u32::MAX as usize).contains(&outputs),
            "dims {dims:?}: classes are told apart by 2 outputs or more; for one output use the loss bce or mse"
        );
        ensure!(batch_size > 0, "batch: 0 rows; expected 1 or more");
        ensure!(rows >= batch_size, "rows: {rows} do not fill one batch of {batch_size}");
        Ok(Self { name, dims, goal, batch_size, rows: rows - rows % batch_size })
    }

    /// `seed, mlp, wide`.
    pub fn names() -> String {
        NAMED.map(|workload| workload.0).join(", ")
    }

    /// The model and its loss.
    ///
    /// # Errors
    ///
    /// Those of the graph.
    pub fn program(&self) -> Result<Program<f32>, Error> {
        let (&outputs, hidden) = self.dims[1..].split_last().expect("a workload has outputs");
        let model = hidden.iter().fold(Sequential::new(), |model, &width| model.add(Dense::new(width).relu()));
        let model = model.add(Dense::new(outputs));
        Program::build(|graph| {
            let x = graph.input("x", &[self.dims[0]])?;
            let y = model.apply(graph, x)?;
            match self.goal {
                Goal::Ce => SoftmaxCrossEntropy::new().apply(graph, y),
                Goal::Bce => BinaryCrossEntropyWithLogits::new().apply(graph, y),
                Goal::Mse => MeanSquaredError.apply(graph, y),
            }
        })
    }

    /// Standard normal features; targets are classes at random, or else tell (the sign of) the sum of the first two
    /// features.
    ///
    /// # Errors
    ///
    /// Those of the source.
    pub fn source(&self) -> Result<MemorySource<f32>, tidemill::data::Error> {
        let (inputs, outputs) = (self.dims[0], self.dims[self.dims.len() - 1]);
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
        let dims: Vec<String> = self.dims.iter().map(usize::to_string).collect();
        write!(f, "{} ({}, batch {}, {} rows)", self.name, dims.join("-"), self.batch_size, self.rows)
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
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_exist() {
        for name in ["cnn", "stream", "online1", "Seed", ""] {
            let error = name.parse::<Workload>().unwrap_err().to_string();
            assert_eq!(error, format!("there is no workload {name:?}, only seed, mlp, wide"));
        }
    }

    #[test]
    fn rows_that_fill_no_batch_are_left_out() {
        let workload = Workload::new("own".into(), vec![3, 2], Goal::Mse, 20, 50).unwrap();
        assert_eq!((workload.rows, workload.steps()), (40, 2));
        assert_eq!(workload.source().unwrap().len(), 40);
    }

    #[test]
    fn impossible_models_are_refused_by_name() {
        let error = |dims: &[usize], goal, batch, rows| {
            Workload::new("own".into(), dims.to_vec(), goal, batch, rows).unwrap_err().to_string()
        };
        assert!(error(&[3], Goal::Mse, 1, 1).contains("expected inputs and outputs"));
        assert!(error(&[3, 0, 1], Goal::Mse, 1, 1).contains("no element"));
        assert!(error(&[3, 1], Goal::Ce, 1, 1).contains("2 outputs or more"));
        assert!(error(&[3, 1], Goal::Bce, 0, 1).contains("batch: 0 rows"));
        assert_eq!(error(&[3, 1], Goal::Bce, 8, 7), "rows: 7 do not fill one batch of 8");
    }

    #[test]
    fn sources_feed_their_programs() {
        for goal in [Goal::Ce, Goal::Bce, Goal::Mse] {
            let workload = Workload::new("own".into(), vec![1, 4, 2], goal, 8, 16).unwrap();
            let program = std::sync::Arc::new(workload.program().unwrap());
            let params = program.layout().initialize(Key::new(1));
            let mut source = workload.source().unwrap();
            let loss = tidemill::strategies::evaluate(&program, &params, &mut source, &mut []).unwrap().loss();
            assert!(loss.is_finite() && loss > 0.0, "{goal:?}: {loss}");
        }
    }
}
