use std::collections::HashSet;
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Cursor, Encoder};

use crate::callback::check_factor;
use crate::parameters::{self, Written};
use crate::state::RankMemory;
use crate::{CallbackMemory, Error, Metrics, State, Sums, Trainer, file, finite};

/// The safetensors metadata under which [`Header`] is stored.
const KEY: &str = "tidemill.state";
const FORMAT: u32 = 2;
const EPOCH: &str = "training.epoch";
const FACTOR: &str = "training.learning_rate_factor";

/// The whole numbers of a [`State`]. Real numbers are tensors, so that they come back bit for bit.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    step: u64,
    rows_trained: u64,
    seed: u64,
    cursor: Cursor,
    epoch_rows: u64,
    metrics: Vec<String>,
    /// Ranks with rows of their own.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    world: usize,
    /// Where the source of each stands, where that is not the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cursors: Vec<Cursor>,
    /// Ranks that keep something for themselves.
    #[serde(default, skip_serializing_if = "is_zero")]
    ranks: usize,
    /// Names of what callbacks remember.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    callbacks: Vec<String>,
    /// What rows went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoder: Option<Encoder>,
}

fn one() -> usize {
    1
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The encoder that a checkpoint or a model was saved with; `None` where it was saved without.
///
/// It tells how many inputs the model has, so it is read before the program is built.
///
/// # Errors
///
/// When the file cannot be read, is neither a checkpoint nor a safetensors file, or its encoder is broken.
pub fn saved_encoder(path: impl AsRef<Path>) -> Result<Option<Encoder>, Error> {
    let path = path.as_ref();
    let broken = |problem: String| Error::Checkpoint { path: path.to_owned(), problem };
    let bytes = file::read(path)?;
    if let Some(encoder) = crate::model::encoder(&bytes).map_err(broken)? {
        return Ok(Some(encoder));
    }
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| broken(error.to_string()))?;
    let is_checkpoint = metadata.metadata().as_ref().is_some_and(|metadata| metadata.contains_key(KEY));
    Ok(if is_checkpoint { header(&bytes).map_err(broken)?.encoder } else { None })
}

pub(crate) fn save<T: Scalar>(trainer: &Trainer<T>, state: &State<T>, path: &Path) -> Result<(), Error> {
    if state.is_spread {
        let problem = "parts of the state are on other ranks; a callback says by `saves` that it will save".into();
        return Err(Error::Checkpoint { path: path.to_owned(), problem });
    }
    finite::check(trainer, state)?;
    let mut tensors = parameters::write(trainer.program().layout(), &state.params);
    for block in trainer.optimizer().state_blocks() {
        let values = &state.optimizer[block.range.clone()];
        tensors.push(Written::new(format!("optimizer.{}", block.name), &[values.len()], values));
    }
    tensors.push(Written::new(EPOCH, &[2], &[state.epoch.loss, state.epoch.weight]));
    for (i, metric) in state.metrics.iter().enumerate() {
        let values = metric.state();
        tensors.push(Written::new(metric_name(i), &[values.len()], &values));
    }
    for (rank, RankMemory { optimizer, feedback }) in state.ranks.iter().enumerate() {
        for (what, values) in [(OPTIMIZER, optimizer), (FEEDBACK, feedback)] {
            tensors.push(Written::new(rank_name(rank, what), &[values.len()], values));
        }
    }
    tensors.push(Written::new(FACTOR, &[1], &[state.learning_rate_factor]));
    for (name, numbers) in state.memory.iter() {
        tensors.push(Written::new(callback_name(name), &[numbers.len()], numbers));
    }
    let header = Header {
        format: FORMAT,
        callbacks: state.memory.iter().map(|(name, _)| name.to_owned()).collect(),
        world: state.world,
        cursors: state.cursors.clone(),
        ranks: state.ranks.len(),
        step: state.step,
        rows_trained: state.rows_trained,
        seed: state.seed,
        cursor: state.cursor,
        epoch_rows: state.epoch.rows,
        metrics: state.metrics.iter().map(|m| m.name().to_owned()).collect(),
        encoder: trainer.encoder().cloned(),
    };
    let broken = |problem: String| Error::Checkpoint { path: path.to_owned(), problem };
    let header = serde_json::to_string(&header).map_err(|error| broken(error.to_string()))?;
    file::write(path, &parameters::serialize(&tensors, KEY, header).map_err(broken)?)
}

pub(crate) fn load<T: Scalar>(trainer: &Trainer<T>, path: &Path, metrics: Metrics<T>) -> Result<State<T>, Error> {
    let bytes = file::read(path)?;
    parse(trainer, &bytes, metrics).map_err(|problem| Error::Checkpoint { path: path.to_owned(), problem })
}

fn parse<T: Scalar>(trainer: &Trainer<T>, bytes: &[u8], mut metrics: Metrics<T>) -> Result<State<T>, String> {
    let header = header(bytes)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("it is no safetensors file: {error}"))?;
    let mut optimizer = Vec::with_capacity(trainer.optimizer().state_len());
    for block in trainer.optimizer().state_blocks() {
        let name = format!("optimizer.{}", block.name);
        let values: Vec<T> = tensor(&tensors, &name)?;
        if values.len() != block.range.len() {
            return Err(format!("{name} has {} numbers, this optimizer's has {}", values.len(), block.range.len()));
        }
        optimizer.extend(values);
    }
    if let Some((what, value)) = finite::memory(trainer.optimizer(), &optimizer) {
        return Err(format!("{what} is {value}, expected a finite number"));
    }
    let names: Vec<&str> = metrics.iter().map(|m| m.name()).collect();
    if names != header.metrics {
        return Err(format!("its metrics are [{}], this run's are [{}]", header.metrics.join(", "), names.join(", ")));
    }
    for (i, metric) in metrics.iter_mut().enumerate() {
        let values: Vec<f64> = tensor(&tensors, &metric_name(i))?;
        metric.restore(&values).map_err(|error| error.to_string())?;
    }
    if let Some((ours, theirs)) = trainer.encoder().zip(header.encoder.as_ref())
        && ours != theirs
    {
        return Err("its rows went through another encoder; take the one that saved_encoder reads from it".into());
    }
    let epoch: Vec<f64> = tensor(&tensors, EPOCH)?;
    let [loss, weight] = epoch[..] else { return Err(format!("{EPOCH} has {} numbers, expected 2", epoch.len())) };
    if !(loss.is_finite() && weight.is_finite() && weight >= 0.0) {
        return Err(format!("{EPOCH} is [{loss}, {weight}], expected finite numbers and a weight from zero"));
    }
    let params = parameters::read(trainer.program().layout(), &tensors)?;
    nothing_else(trainer, &header, &tensors)?;
    let mut memory = CallbackMemory::default();
    for name in &header.callbacks {
        memory.put(name, tensor::<f64>(&tensors, &callback_name(name))?);
    }
    let factor: Vec<f64> = tensor(&tensors, FACTOR)?;
    let [learning_rate_factor] = factor[..] else {
        return Err(format!("{FACTOR} has {} numbers, expected 1", factor.len()));
    };
    check_factor(learning_rate_factor).map_err(|error| format!("{FACTOR}: {error}"))?;
    Ok(State {
        params,
        optimizer,
        step: header.step,
        rows_trained: header.rows_trained,
        seed: header.seed,
        cursor: header.cursor,
        epoch: Sums { loss, weight, rows: header.epoch_rows },
        metrics,
        feedback: Vec::new(),
        ranks: rank_memories(trainer, &tensors, header.ranks)?,
        is_spread: false,
        world: header.world,
        cursors: header.cursors,
        memory,
        learning_rate_factor,
        is_resumed: true,
    })
}

fn header(bytes: &[u8]) -> Result<Header, String> {
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| format!("it is no safetensors file: {error}"))?;
    let header = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
    let header = header.ok_or_else(|| format!("it is not a checkpoint: it has no metadata {KEY}"))?;
    let header: Header = serde_json::from_str(header).map_err(|error| format!("its header is broken: {error}"))?;
    match header.format {
        FORMAT => header.check().map(|()| header),
        other => Err(format!("it is of format {other}, this version reads {FORMAT}")),
    }
}

/// What no run counts beyond, and real numbers of 64 bits hold exactly.
const MOST: u64 = 1 << 53;
/// More ranks than any machine has.
const MOST_RANKS: usize = 1 << 20;

impl Header {
    /// Whether a run can have come so far.
    fn check(&self) -> Result<(), String> {
        let counts = [("steps", self.step), ("rows", self.rows_trained), ("rows of the epoch", self.epoch_rows)];
        for (what, count) in counts {
            if count > MOST {
                return Err(format!("it counts {count} {what}, expected {MOST} at most"));
            }
        }
        for (what, ranks) in [("ranks", self.ranks), ("ranks with rows of their own", self.world)] {
            if ranks > MOST_RANKS {
                return Err(format!("it is of {ranks} {what}, expected {MOST_RANKS} at most"));
            }
        }
        if self.world == 0 {
            return Err("it is of 0 ranks with rows of their own, expected 1 or more".into());
        }
        if !self.cursors.is_empty() && self.cursors.len() != self.world {
            return Err(format!("it has {} cursors for {} ranks", self.cursors.len(), self.world));
        }
        Ok(())
    }
}

/// A tensor that nothing asks for is one of another model, optimizer or run.
fn nothing_else<T: Scalar>(trainer: &Trainer<T>, header: &Header, tensors: &SafeTensors<'_>) -> Result<(), String> {
    let mut known: HashSet<String> = trainer.program().layout().parameters().iter().map(|p| p.name().into()).collect();
    known.extend(trainer.optimizer().state_blocks().iter().map(|block| format!("optimizer.{}", block.name)));
    known.extend((0..header.metrics.len()).map(metric_name));
    known.extend(header.callbacks.iter().map(|name| callback_name(name)));
    known.extend([EPOCH, FACTOR].map(String::from));
    let of_a_rank = |name: &str| {
        (0..header.ranks).any(|rank| [OPTIMIZER, FEEDBACK].iter().any(|what| name == rank_name(rank, what)))
    };
    match tensors.names().into_iter().find(|name| !known.contains(*name) && !of_a_rank(name)) {
        Some(name) => Err(format!("it has {name}, which this model and optimizer do not have")),
        None => Ok(()),
    }
}

fn tensor<T: Scalar>(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<T>, String> {
    let view = tensors.tensor(name).map_err(|_| format!("it has no {name}"))?;
    file::numbers(&view).map_err(|problem| format!("{name}: {problem}"))
}

/// What each rank keeps for itself.
fn rank_memories<T: Scalar>(
    trainer: &Trainer<T>,
    tensors: &SafeTensors<'_>,
    ranks: usize,
) -> Result<Vec<RankMemory<T>>, String> {
    let sizes = [(OPTIMIZER, trainer.optimizer().state_len()), (FEEDBACK, trainer.program().layout().len())];
    let mut memories: Vec<RankMemory<T>> = Vec::new();
    for rank in 0..ranks {
        let [optimizer, feedback] = sizes.map(|(what, len)| {
            let name = rank_name(rank, what);
            let values: Vec<T> = tensor(tensors, &name)?;
            if !values.is_empty() && values.len() != len {
                return Err(format!("{name} has {} numbers, expected none or {len}", values.len()));
            }
            match finite::first(&values) {
                Some(at) => Err(format!("{name}[{at}] is {}, expected a finite number", values[at])),
                None => Ok(values),
            }
        });
        let memory = RankMemory { optimizer: optimizer?, feedback: feedback? };
        let lengths = |memory: &RankMemory<T>| [memory.optimizer.len(), memory.feedback.len()];
        if memories.first().is_some_and(|first| lengths(first) != lengths(&memory)) {
            return Err(format!("rank {rank} keeps other numbers than rank 0"));
        }
        memories.push(memory);
    }
    Ok(memories)
}

const OPTIMIZER: &str = "optimizer";
const FEEDBACK: &str = "feedback";

fn rank_name(rank: usize, what: &str) -> String {
    format!("rank.{rank}.{what}")
}

fn metric_name(index: usize) -> String {
    format!("metrics.{index}")
}

fn callback_name(name: &str) -> String {
    format!("callback.{name}")
}
