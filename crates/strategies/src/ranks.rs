//! What the ranks of a distributed run say to each other beside gradients.

use std::hash::{DefaultHasher, Hasher};

use serde::{Deserialize, Serialize};
use tidemill_autograd::tensor::{Scalar, kernels};
use tidemill_collective::{Collective, Error as Lost, Gathered, Values, handshake};
use tidemill_data::{Cursor, Schema};

use crate::engine::{RankRows, Ranks};
use crate::state::RankMemory;
use crate::strategy::Plan;
use crate::{Error, State, Sums, Trainer};

/// What a rank brings to a step, and what all bring together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meeting {
    pub(crate) sums: Sums,
    /// Whether a rank stops here.
    pub(crate) stops: bool,
    /// Whether a rank saves the state that follows.
    pub(crate) saves: bool,
}

impl Meeting {
    pub(crate) fn of_all(self, collective: &mut dyn Collective) -> Result<Self, Lost> {
        let Self { sums: Sums { loss, weight, rows }, stops, saves } = self;
        let mut numbers = [loss, weight, rows as f64, f64::from(stops), f64::from(saves)];
        collective.sum(Values::of(&mut numbers))?;
        let [loss, weight, rows, stops, saves] = numbers;
        Ok(Self { sums: Sums { loss, weight, rows: rows as u64 }, stops: stops > 0.0, saves: saves > 0.0 })
    }
}

/// Compares what must be the same on all ranks, and gives all the state of the first.
pub(crate) fn join<T: Scalar>(
    ranks: &mut Ranks<'_>,
    trainer: &Trainer<T>,
    state: &mut State<T>,
    schema: &Schema,
    rows: Option<u64>,
    plan: &Plan,
) -> Result<(), Lost> {
    let mut texts: Vec<(String, String)> = vec![
        ("version of Tidemill".into(), env!("CARGO_PKG_VERSION").into()),
        ("engine".into(), trainer.describe_engine()),
        ("precision".into(), format!("{:?}", T::DTYPE)),
        ("number of parameters".into(), trainer.program().layout().parameters().len().to_string()),
        ("number of columns".into(), schema.fields.len().to_string()),
    ];
    for (i, parameter) in trainer.program().layout().parameters().iter().enumerate() {
        texts.push((format!("parameter {i}"), format!("{} {:?}", parameter.name(), parameter.shape())));
    }
    for (i, field) in schema.fields.iter().enumerate() {
        texts.push((format!("column {i}"), format!("{} ({}, {:?})", field.name, field.kind, field.role)));
    }
    let optimizer = trainer.optimizer();
    let blocks: Vec<&str> = optimizer.state_blocks().iter().map(|block| &*block.name).collect();
    let rate = optimizer.learning_rate(state.step);
    texts.push(("optimizer".into(), format!("[{}], learning rate {rate}", blocks.join(", "))));
    let metrics: Vec<&str> = state.metrics.iter().map(|metric| metric.name()).collect();
    texts.push(("list of metrics".into(), format!("[{}]", metrics.join(", "))));
    texts.push(("number of epochs".into(), plan.epochs.map_or("endless".into(), |epochs| epochs.to_string())));
    if ranks.rows == RankRows::Shared {
        texts.push(("batch size".into(), plan.batch_size.to_string()));
        texts.push(("number of rows".into(), rows.map_or("unknown".into(), |rows| rows.to_string())));
    }
    texts.extend_from_slice(ranks.agreed);
    let texts: Vec<(&str, &str)> = texts.iter().map(|(what, text)| (&**what, &**text)).collect();
    handshake(ranks.collective, &texts)?;
    share_state(ranks.collective, state)
}

/// The whole numbers of a state; those of reals by their bits.
#[derive(Serialize, Deserialize)]
struct Head {
    step: u64,
    rows_trained: u64,
    seed: u64,
    cursor: Cursor,
    epoch: [u64; 3],
    metrics: Vec<Vec<u64>>,
    world: usize,
    cursors: Vec<Cursor>,
    /// What observers remember: names and how many numbers.
    memories: Vec<(String, usize)>,
    is_resumed: bool,
}

fn share_state<T: Scalar>(collective: &mut dyn Collective, state: &mut State<T>) -> Result<(), Lost> {
    let Sums { loss, weight, rows } = state.epoch;
    let head = Head {
        step: state.step,
        rows_trained: state.rows_trained,
        seed: state.seed,
        cursor: state.cursor,
        epoch: [loss.to_bits(), weight.to_bits(), rows],
        metrics: state.metrics.iter().map(|m| m.state().into_iter().map(f64::to_bits).collect()).collect(),
        world: state.world,
        cursors: state.cursors.clone(),
        memories: state.memories.iter().map(|(name, numbers)| (name.clone(), numbers.len())).collect(),
        is_resumed: state.is_resumed,
    };
    let head = serde_json::to_vec(&head).expect("whole numbers can be written");
    let mut all = Gathered::default();
    collective.gather(if collective.rank() == 0 { &head } else { &[] }, &mut all)?;
    let head: Head = serde_json::from_slice(all.get(0)).map_err(|error| foreign(&error))?;
    (state.step, state.rows_trained, state.seed, state.cursor) = (head.step, head.rows_trained, head.seed, head.cursor);
    (state.world, state.cursors, state.is_resumed) = (head.world, head.cursors, head.is_resumed);
    let [loss, weight, rows] = head.epoch;
    state.epoch = Sums { loss: f64::from_bits(loss), weight: f64::from_bits(weight), rows };
    for (metric, numbers) in state.metrics.iter_mut().zip(&head.metrics) {
        let numbers: Vec<f64> = numbers.iter().map(|&bits| f64::from_bits(bits)).collect();
        metric.restore(&numbers).map_err(|error| foreign(&error))?;
    }
    let mut saved = std::mem::take(&mut state.memories);
    for (name, len) in head.memories {
        let mut numbers = saved.remove(&name).unwrap_or_default();
        numbers.resize(len, 0.0);
        collective.broadcast(0, Values::of(&mut numbers))?;
        state.memories.insert(name, numbers);
    }
    collective.broadcast(0, Values::of(&mut state.params))?;
    collective.broadcast(0, Values::of(&mut state.optimizer))?;
    give_each_its_own(collective, state)
}

/// Gives each rank what a rank of its number kept for itself when the state was saved. With fewer ranks now, what the
/// others had not sent of their gradients is shared out.
fn give_each_its_own<T: Scalar>(collective: &mut dyn Collective, state: &mut State<T>) -> Result<(), Lost> {
    let saved = std::mem::take(&mut state.ranks);
    let first = saved.first().map_or([0, 0], |memory| [memory.optimizer.len(), memory.feedback.len()]);
    let mut lengths = [saved.len(), first[0], first[1]].map(|count| count as f64);
    collective.broadcast(0, Values::of(&mut lengths))?;
    let [ranks, optimizer, feedback] = lengths.map(|count| count as usize);
    if optimizer > 0 && optimizer != state.optimizer.len() || feedback > 0 && feedback != state.params.len() {
        return Err(foreign(&"what its ranks kept is of another model or optimizer"));
    }
    state.feedback.clear();
    state.feedback.resize(feedback, T::zero());
    let (own, size) = (collective.rank(), collective.size());
    for rank in 0..ranks {
        let mut memory = saved.get(rank).cloned().unwrap_or_default();
        memory.optimizer.resize(optimizer, T::zero());
        memory.feedback.resize(feedback, T::zero());
        collective.broadcast(0, Values::of(&mut memory.optimizer))?;
        collective.broadcast(0, Values::of(&mut memory.feedback))?;
        if own % ranks == rank && optimizer > 0 {
            state.optimizer.copy_from_slice(&memory.optimizer);
        }
        if rank % size == own && feedback > 0 {
            kernels::add_assign(&mut state.feedback, &memory.feedback);
        }
    }
    Ok(())
}

/// Gives all ranks what each keeps for itself, to be saved.
pub(crate) fn gather_what_each_keeps<T: Scalar>(
    collective: &mut dyn Collective,
    state: &mut State<T>,
    train_apart: bool,
) -> Result<(), Lost> {
    state.ranks.clear();
    if !train_apart && state.feedback.is_empty() {
        return Ok(());
    }
    for rank in 0..collective.size() {
        let mut memory = RankMemory {
            optimizer: if train_apart { state.optimizer.clone() } else { Vec::new() },
            feedback: state.feedback.clone(),
        };
        collective.broadcast(rank, Values::of(&mut memory.optimizer))?;
        collective.broadcast(rank, Values::of(&mut memory.feedback))?;
        state.ranks.push(memory);
    }
    Ok(())
}

/// Makes of the parameters of all ranks their mean, each weighted by what it was trained on; gives the same to all.
pub(crate) fn average<T: Scalar>(
    collective: &mut dyn Collective,
    params: &mut [T],
    own_weight: f64,
    weight: f64,
) -> Result<(), Lost> {
    kernels::scale(params, T::of(own_weight / weight));
    collective.sum(Values::of(params))
}

/// The largest of a number of each rank.
pub(crate) fn largest(collective: &mut dyn Collective, number: u64) -> Result<u64, Lost> {
    let mut numbers = [number as f64];
    collective.max(Values::of(&mut numbers))?;
    Ok(numbers[0] as u64)
}

/// Compares the parameters of all ranks.
pub(crate) fn compare<T: Scalar>(collective: &mut dyn Collective, params: &[T]) -> Result<(), Lost> {
    let mut hasher = DefaultHasher::new();
    params.iter().for_each(|x| hasher.write_u64(x.widen().to_bits()));
    handshake(collective, &[("set of parameters", &format!("one of fingerprint {:016x}", hasher.finish()))])
}

/// Notes where each rank's source stands, unless all stand at the same row.
pub(crate) fn gather_cursors<T: Scalar>(collective: &mut dyn Collective, state: &mut State<T>) -> Result<(), Lost> {
    let mut all = Gathered::default();
    collective.gather(&serde_json::to_vec(&state.cursor).expect("whole numbers can be written"), &mut all)?;
    state.cursors.clear();
    if all.iter().any(|other| other != all.get(0)) {
        for cursor in all.iter() {
            state.cursors.push(serde_json::from_slice(cursor).map_err(|error| foreign(&error))?);
        }
    }
    Ok(())
}

fn foreign(problem: &dyn std::fmt::Display) -> Lost {
    Lost::Transport { call: "state of rank 0".into(), problem: problem.to_string() }
}

impl Error {
    /// Of a step, that ranks were lost.
    pub(crate) fn lost(step: u64) -> impl Fn(Lost) -> Self {
        move |source| Self::Ranks { step, source }
    }
}
