use tidemill_data::MemoryPlan;
use tidemill_optim::Optimizer;

use crate::{State, Summary, Sums, Waited};

/// What happens in a run. The set is closed: whoever matches on it matches all.
pub enum Event<'a, T> {
    /// The run begins.
    Started {
        /// Where it begins.
        state: &'a State<T>,
        /// Rows of an epoch, where known.
        rows: Option<u64>,
        /// Epochs to end at, where there is an end.
        epochs: Option<u64>,
        /// What obtains the gradients, such as `2 shards on 2 threads`.
        engine: &'a str,
        /// What the source holds in memory at most, stage by stage; it prints as a table.
        memory: &'a MemoryPlan,
    },
    /// A step was taken, or several by an engine that takes steps of its own and by ranks that train apart. Batches whose
    /// rows all have the weight zero are passed over without an event.
    Step {
        /// After the step.
        state: &'a State<T>,
        /// Of the step's batch, before the update.
        sums: Sums,
        /// For its learning rate.
        optimizer: &'a Optimizer<T>,
        /// How long the run has waited for the source until now.
        waited: Waited,
    },
    /// An epoch ended.
    Epoch {
        /// After the epoch.
        state: &'a State<T>,
        /// Which one, counted from zero.
        number: u64,
        /// Of the epoch's batches, each before its update.
        sums: Sums,
        /// For its learning rate.
        optimizer: &'a Optimizer<T>,
    },
    /// The run ended, by itself or because a callback stopped it.
    Finished {
        /// Where it ended.
        state: &'a State<T>,
        /// What it did.
        summary: &'a Summary,
    },
}
