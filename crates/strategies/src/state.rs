use serde::{Deserialize, Serialize};
use tidemill_autograd::tensor::{Key, Scalar};
use tidemill_data::Cursor;

use crate::Metrics;

use crate::CallbackMemory;
use crate::extension::Extensions;

/// Row-weighted sums: of losses, of weights, and how many rows. Divided once, at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Σ weight · loss.
    pub loss: f64,
    /// Σ weight.
    pub weight: f64,
    /// Rows.
    pub rows: u64,
}

impl Sums {
    /// Takes in other rows.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.weight += other.weight;
        self.rows += other.rows;
    }

    /// The mean loss; NaN of nothing.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.weight
    }
}

/// Everything that changes while a model is trained. Saved and loaded again, training goes on as if it had never
/// stopped.
pub struct State<T> {
    /// The parameters, one arena of the program's layout. Within an epoch, rows of tables that decay may be behind:
    /// [`Trainer::parameters`](crate::Trainer::parameters).
    pub params: Vec<T>,
    /// The optimizer's memory.
    pub optimizer: Vec<T>,
    /// Steps taken: updates of the parameters, by which schedules go. A batch of which all rows have the weight zero is
    /// passed over, and is no step.
    pub step: u64,
    /// Rows trained on, repetitions and rows of weight zero counted.
    pub rows_trained: u64,
    /// What everything random is a function of.
    pub seed: u64,
    /// Where the next row is taken from. Its epoch counts those of the state's whole life, and strategies end at a number
    /// of them: set it to `Cursor::start(0)` to train a trained state anew, on other rows or by another strategy.
    pub cursor: Cursor,
    /// Losses of the current epoch so far.
    pub epoch: Sums,
    /// What every learning rate is multiplied by; set by
    /// [`Control::set_learning_rate_factor`](crate::Control::set_learning_rate_factor).
    pub learning_rate_factor: f64,
    /// Test-then-train scores, updated by [`Online`](crate::Online).
    pub metrics: Metrics<T>,
    /// What callbacks and ranks keep.
    pub(crate) extensions: Extensions<T>,
    /// Whether it has been read from a checkpoint, and not been trained since.
    pub(crate) is_resumed: bool,
}

impl<T: Scalar> State<T> {
    /// The key of which the keys of the steps' random numbers are children.
    pub(crate) fn steps_key(&self) -> Key {
        Key::new(self.seed).fold(STEPS)
    }

    /// The key of the first parameters.
    pub(crate) fn parameter_key(seed: u64) -> Key {
        Key::new(seed).fold(PARAMETERS)
    }

    /// What callbacks remembered when they were last asked.
    pub fn memory(&self) -> &CallbackMemory {
        &self.extensions.callbacks
    }

    /// What each rank remembered of the [`GradientSync`](crate::GradientSync) of this name when the state was last whole, in
    /// the order of the ranks; `None` where none did.
    pub fn rank_memory(&self, name: &str) -> Option<&[Vec<T>]> {
        self.extensions.ranks.get(name).map(Vec::as_slice)
    }

    /// Forgets what each rank remembered of a [`GradientSync`](crate::GradientSync), so that the state can be trained by one
    /// process, or by ranks that agree in another way. What compression had not sent of gradients is lost.
    pub fn forget_rank_memory(&mut self) {
        self.extensions.ranks.clear();
    }

    /// The value of a metric, by name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|m| m.name() == name).map(|m| m.value())
    }
}

/// Children of a seed's key: one for each thing that is random.
const PARAMETERS: u64 = 0;
const STEPS: u64 = 1;
