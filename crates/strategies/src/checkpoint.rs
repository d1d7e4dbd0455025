use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Cursor, Encoder};

use crate::callback::check_factor;
use crate::extension::Extensions;
use crate::parameters::{self, Written};
use crate::{Error, Metrics, State, Sums, Trainer, file, finite};

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
    /// Whole numbers that each rank keeps for itself, such as where its source stands.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rank_counts: BTreeMap<String, Vec<Vec<u64>>>,
    /// Names of the numbers that each rank keeps for itself, and how many ranks do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rank_numbers: BTreeMap<String, usize>,
    /// Names of what callbacks remember.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    callbacks: Vec<String>,
    /// What rows went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoder: Option<Encoder>,
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
    if let Some(why) = state.extensions.incomplete {
        let problem = format!("not written: {why}; a callback that saves in a run of ranks says so by `saves`");
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
    let Extensions { callbacks, ranks, counts, .. } = &state.extensions;
    for (name, parts) in ranks {
        for (rank, values) in parts.iter().enumerate() {
            tensors.push(Written::new(rank_name(rank, name), &[values.len()], values));
        }
    }
    tensors.push(Written::new(FACTOR, &[1], &[state.learning_rate_factor]));
    for (name, numbers) in callbacks.iter() {
        tensors.push(Written::new(callback_name(name), &[numbers.len()], numbers));
    }
    let header = Header {
        format: FORMAT,
        callbacks: callbacks.iter().map(|(name, _)| name.to_owned()).collect(),
        rank_counts: counts.clone(),
        rank_numbers: ranks.iter().map(|(name, parts)| (name.clone(), parts.len())).collect(),
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
    let mut extensions = Extensions { ranks: rank_numbers(&tensors, &header.rank_numbers)?, ..Extensions::default() };
    for name in &header.callbacks {
        extensions.callbacks.put(name, tensor::<f64>(&tensors, &callback_name(name))?);
    }
    let factor: Vec<f64> = tensor(&tensors, FACTOR)?;
    let [learning_rate_factor] = factor[..] else {
        return Err(format!("{FACTOR} has {} numbers, expected 1", factor.len()));
    };
    check_factor(learning_rate_factor).map_err(|error| format!("{FACTOR}: {error}"))?;
    nothing_else(trainer, &header, &tensors)?;
    extensions.counts = header.rank_counts;
    extensions.cursors()?;
    Ok(State {
        params,
        optimizer,
        step: header.step,
        rows_trained: header.rows_trained,
        seed: header.seed,
        cursor: header.cursor,
        epoch: Sums { loss, weight, rows: header.epoch_rows },
        metrics,
        learning_rate_factor,
        extensions,
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
        let counts = self.rank_counts.iter().map(|(name, parts)| (name, parts.len()));
        for (name, ranks) in counts.chain(self.rank_numbers.iter().map(|(name, ranks)| (name, *ranks))) {
            if !(1..=MOST_RANKS).contains(&ranks) {
                return Err(format!("it has the {name} of {ranks} ranks, expected 1 to {MOST_RANKS}"));
            }
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
    known.extend(header.rank_numbers.iter().flat_map(|(name, &ranks)| (0..ranks).map(|rank| rank_name(rank, name))));
    match tensors.names().into_iter().find(|name| !known.contains(*name)) {
        Some(name) => Err(format!("it has {name}, which this model and optimizer do not have")),
        None => Ok(()),
    }
}

fn tensor<T: Scalar>(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<T>, String> {
    let view = tensors.tensor(name).map_err(|_| format!("it has no {name}"))?;
    file::numbers(&view).map_err(|problem| format!("{name}: {problem}"))
}

/// What each rank keeps for itself.
fn rank_numbers<T: Scalar>(
    tensors: &SafeTensors<'_>,
    named: &BTreeMap<String, usize>,
) -> Result<BTreeMap<String, Vec<Vec<T>>>, String> {
    let mut all = BTreeMap::new();
    for (name, &ranks) in named {
        let mut parts: Vec<Vec<T>> = Vec::new();
        for rank in 0..ranks {
            let name = rank_name(rank, name);
            let values: Vec<T> = tensor(tensors, &name)?;
            if let Some(at) = finite::first(&values) {
                return Err(format!("{name}[{at}] is {}, expected a finite number", values[at]));
            }
            if let Some(first) = parts.first().filter(|first| first.len() != values.len()) {
                return Err(format!("{name} has {} numbers, that of rank 0 has {}", values.len(), first.len()));
            }
            parts.push(values);
        }
        all.insert(name.clone(), parts);
    }
    Ok(all)
}

fn rank_name(rank: usize, what: &str) -> String {
    format!("rank.{rank}.{what}")
}

fn metric_name(index: usize) -> String {
    format!("metrics.{index}")
}

fn callback_name(name: &str) -> String {
    format!("callback.{name}")
}
