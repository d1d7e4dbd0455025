//! What is compared: all that a run needs to know, as a file that its process reads.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill::autograd::Program;
use tidemill::data::{Kind, Role};
use tidemill::layers::Features;
use tidemill::prelude::*;

use crate::results::TaskKind;
use crate::rows::{self, Targets};

/// One comparison, prepared: rows in order, encoder fitted, boundaries known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The rows, in the order of the stream.
    #[serde(with = "crate::any_path")]
    pub data: PathBuf,
    /// The condition that rows must meet to count; all do when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// What is predicted.
    pub task: TaskKind,
    /// Fitted on the training rows.
    pub encoder: Encoder,
    /// What targets must be.
    pub targets: Targets,
    /// Another encoder, whose runs are shown beside those of the first.
    pub variant: Option<Variant>,
    /// The stretches of the stream, the held-out ones last.
    pub spans: Vec<Span>,
    /// How many of the spans are trained on.
    pub training_spans: usize,
    /// How many of them the warm start is trained on first.
    pub warm_spans: usize,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Rows in a step.
    pub batch_size: usize,
    /// Epochs of batch training.
    pub epochs: u64,
    /// Adam's.
    pub learning_rate: f64,
    /// Worker threads.
    pub threads: usize,
    /// The loss on the held-out rows whose first reaching is timed.
    pub target_loss: Option<f64>,
    /// What losses are multiplied with to be in the target's units.
    pub loss_scale: f64,
    /// Bytes that reading, and the rows of batch training, may take together.
    pub budget: u64,
    /// About how many points of a curve to take.
    pub curve_points: u64,
}

/// Other features from the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// What it is called in names of strategies, such as `month`: `batch-month`.
    pub name: String,
    /// What it is called in labels, such as `with month`: `Batch, with month`.
    pub label: String,
    /// What it is, as the end of a sentence.
    pub description: String,
    /// Fitted on the training rows.
    pub encoder: Encoder,
}

/// A stretch of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Short name, such as `Jan`.
    pub label: String,
    /// Its rows in the file, those included that the encoder leaves out.
    pub rows: Range<u64>,
}

impl Spec {
    /// What a strategy trains with: its name without the variant's, and this with the variant's encoder where the
    /// strategy is one of the variant's.
    pub fn of<'a>(&self, strategy: &'a str) -> (&'a str, Self) {
        let mut spec = self.clone();
        if let Some(variant) = spec.variant.take()
            && let Some(plain) = strategy.strip_suffix(&format!("-{}", variant.name))
        {
            spec.encoder = variant.encoder;
            return (plain, spec);
        }
        (strategy, spec)
    }

    /// The model: categories embedded, beside the real numbers, through dense layers with ReLU.
    ///
    /// # Errors
    ///
    /// When the encoder gives no feature.
    pub fn program(&self) -> Result<Arc<Program<f32>>, tidemill::autograd::Error> {
        let program = Program::build(|graph| {
            let input = self.features().declare(graph)?;
            let hidden = self.hidden.iter().fold(Sequential::new(), |model, &n| model.add(Dense::new(n).relu()));
            match self.task {
                TaskKind::Binary => {
                    let logits = hidden.add(Dense::new(1)).apply(graph, input)?;
                    BinaryCrossEntropyWithLogits::new().apply(graph, logits)
                }
                TaskKind::Multiclass => {
                    let logits = hidden.add(Dense::new(self.classes())).apply(graph, input)?;
                    SoftmaxCrossEntropy::new().apply(graph, logits)
                }
                TaskKind::Regression => {
                    let prediction = hidden.add(Dense::new(1)).apply(graph, input)?;
                    MeanSquaredError.apply(graph, prediction)
                }
            }
        })?;
        Ok(Arc::new(program))
    }

    /// The trainer of every strategy.
    ///
    /// # Errors
    ///
    /// When the model or a setting is impossible.
    pub fn trainer(&self) -> Result<Trainer<f32>, tidemill::strategies::Error> {
        let trainer = Trainer::new(self.program()?, adam(self.learning_rate))?;
        Ok(if self.threads > 1 { trainer.engine(Auto::new(self.threads)) } else { trainer })
    }

    /// The encoded rows of some spans, read from the file as they are asked for.
    ///
    /// # Errors
    ///
    /// When the file is not as it was.
    pub fn rows(&self, spans: Range<usize>) -> Result<impl Source<f32> + use<>, tidemill::data::Error> {
        let columns = self.encoder.raw_columns();
        let targets = Some((&self.targets, &self.encoder));
        let raw = rows::open(&self.data, &columns, self.filter.as_deref(), self.budget, targets)?;
        let rows = match (self.spans.get(spans.start), self.spans[..spans.end].last()) {
            (Some(first), Some(last)) if !spans.is_empty() => first.rows.start..last.rows.end,
            _ => 0..0,
        };
        rows::range(raw, rows).encode(&self.encoder)
    }

    /// Rows of some spans, those included that the encoder leaves out.
    pub fn rows_of(&self, spans: &Range<usize>) -> u64 {
        self.spans[spans.clone()].iter().map(|span| span.rows.end - span.rows.start).sum()
    }

    /// The spans that are held out.
    pub fn held_out(&self) -> Range<usize> {
        self.training_spans..self.spans.len()
    }

    /// What is measured, in the order loss, score.
    pub fn metrics(&self) -> Metrics<f32> {
        match self.task {
            TaskKind::Binary => Metrics::new()
                .with(LogLoss::default())
                .with(RocAuc::binned(AUC_BINS).expect("a possible number of bins")),
            TaskKind::Multiclass => Metrics::new().with(LogLoss::default()).with(Accuracy::multiclass()),
            TaskKind::Regression => {
                Metrics::new().with(Rmse::default()).with(R2::new(1).expect("one output is possible"))
            }
        }
    }

    fn features(&self) -> Features {
        let schema = self.encoder.schema();
        let features = schema.fields.iter().filter(|field| field.role == Role::Feature);
        features.fold(Features::new(), |features, field| match field.kind {
            Kind::Index { cardinality } => features.category(&field.name, cardinality, embedding_width(cardinality)),
            Kind::Real { width } => features.reals(&field.name, width),
            Kind::Text => unreachable!("encoders give no text"),
        })
    }

    fn classes(&self) -> usize {
        self.encoder.classes().map_or(2, |classes| classes.len())
    }
}

/// Scores are counted in so many bins: memory does not grow with the stream, and two scores closer than this count as a
/// tie.
const AUC_BINS: usize = 1 << 14;

/// Elements of a category's vector: the square root of the number of categories, between 2 and 16.
fn embedding_width(cardinality: u32) -> usize {
    (f64::from(cardinality).sqrt().ceil() as usize).clamp(2, 16)
}
