//! What the ranks of a distributed run say to each other beside gradients.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};

use serde::{Deserialize, Serialize};
use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Collective, Error as Lost, Gathered, Values, handshake};
use tidemill_data::{Cursor, Schema};

use crate::engine::{RankRows, Ranks};
use crate::extension::Extensions;
use crate::{Error, Plan, State, Sums, Trainer};

/// What a rank brings to a step, and what all bring together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepAllReduce {
    pub(crate) sums: Sums,
    /// Whether a rank stops here.
    pub(crate) stops: bool,
    /// Whether a rank saves the state that follows.
    pub(crate) saves: bool,
    pub(crate) actions: Actions,
}

/// What callbacks have asked for and all ranks are to do alike.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Actions {
    /// The learning-rate factor of the first rank.
    pub(crate) factor: f64,
    /// Whether a rank has reset its optimizer.
    pub(crate) resets: bool,
}

impl StepAllReduce {
    pub(crate) fn of_all(self, collective: &mut dyn Collective) -> Result<Self, Lost> {
        let Self { sums: Sums { loss, weight, rows }, stops, saves, actions: Actions { factor, resets } } = self;
        let factor = if collective.rank() == 0 { factor } else { 0.0 };
        let flags = [stops, saves, resets].map(f64::from);
        let mut numbers = [loss, weight, rows as f64, flags[0], flags[1], flags[2], factor];
        collective.sum(Values::of(&mut numbers))?;
        let [loss, weight, rows, flags @ .., factor] = numbers;
        let [stops, saves, resets] = flags.map(|flag| flag > 0.0);
        let sums = Sums { loss, weight, rows: rows as u64 };
        Ok(Self { sums, stops, saves, actions: Actions { factor, resets } })
    }
}

/// Compares what must be the same on all ranks, and gives all the state of the first.
pub(crate) fn join<T: Scalar>(
    ranks: &mut Ranks<'_, T>,
    trainer: &Trainer<T>,
    state: &mut State<T>,
    schema: &Schema,
    rows: Option<u64>,
    plan: &Plan,
) -> Result<(), Lost> {
    let mut settings: Vec<(String, String)> = vec![
        ("version of Tidemill".into(), env!("CARGO_PKG_VERSION").into()),
        ("engine".into(), trainer.describe_engine()),
        ("precision".into(), format!("{:?}", T::DTYPE)),
        ("number of parameters".into(), trainer.program().layout().parameters().len().to_string()),
        ("number of columns".into(), schema.fields.len().to_string()),
    ];
    for (i, parameter) in trainer.program().layout().parameters().iter().enumerate() {
        settings.push((format!("parameter {i}"), format!("{} {:?}", parameter.name(), parameter.shape())));
    }
    for (i, field) in schema.fields.iter().enumerate() {
        settings.push((format!("column {i}"), format!("{} ({}, {:?})", field.name, field.kind, field.role)));
    }
    let optimizer = trainer.optimizer();
    let blocks: Vec<&str> = optimizer.state_blocks().iter().map(|block| &*block.name).collect();
    let rate = optimizer.learning_rate(state.step);
    settings.push(("optimizer".into(), format!("[{}], learning rate {rate}", blocks.join(", "))));
    settings.push(("update of tables".into(), if optimizer.tables().is_empty() { "whole" } else { "by rows" }.into()));
    let metrics: Vec<&str> = state.metrics.iter().map(|metric| metric.name()).collect();
    settings.push(("list of metrics".into(), format!("[{}]", metrics.join(", "))));
    settings.push(("number of epochs".into(), plan.epochs.map_or("endless".into(), |epochs| epochs.to_string())));
    if ranks.rows == RankRows::Shared {
        settings.push(("batch size".into(), plan.batch_size.to_string()));
        settings.push(("number of rows".into(), rows.map_or("unknown".into(), |rows| rows.to_string())));
    }
    settings.extend_from_slice(ranks.agreed);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(what, setting)| (&**what, &**setting)).collect();
    handshake(ranks.collective, &settings)?;
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
    counts: BTreeMap<String, Vec<Vec<u64>>>,
    /// What ranks keep: names, and how many numbers each.
    ranks: Vec<(String, Vec<usize>)>,
    learning_rate_factor: u64,
    /// What callbacks remember: names and how many numbers.
    memory: Vec<(String, usize)>,
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
        counts: state.extensions.counts.clone(),
        ranks: state
            .extensions
            .ranks
            .iter()
            .map(|(name, parts)| (name.clone(), parts.iter().map(Vec::len).collect()))
            .collect(),
        memory: state.extensions.callbacks.iter().map(|(name, numbers)| (name.to_owned(), numbers.len())).collect(),
        learning_rate_factor: state.learning_rate_factor.to_bits(),
        is_resumed: state.is_resumed,
    };
    let head = serde_json::to_vec(&head).expect("whole numbers can be written");
    let mut all = Gathered::default();
    collective.gather(if collective.rank() == 0 { &head } else { &[] }, &mut all)?;
    let head: Head = serde_json::from_slice(all.get(0)).map_err(|error| foreign(&error))?;
    (state.step, state.rows_trained, state.seed, state.cursor) = (head.step, head.rows_trained, head.seed, head.cursor);
    state.is_resumed = head.is_resumed;
    let [loss, weight, rows] = head.epoch;
    state.epoch = Sums { loss: f64::from_bits(loss), weight: f64::from_bits(weight), rows };
    for (metric, numbers) in state.metrics.iter_mut().zip(&head.metrics) {
        let numbers: Vec<f64> = numbers.iter().map(|&bits| f64::from_bits(bits)).collect();
        metric.restore(&numbers).map_err(|error| foreign(&error))?;
    }
    state.learning_rate_factor = f64::from_bits(head.learning_rate_factor);
    let Extensions { callbacks: saved, ranks: parts, .. } = std::mem::take(&mut state.extensions);
    state.extensions.counts = head.counts;
    for (name, len) in head.memory {
        let mut numbers = saved.get(&name).map(<[f64]>::to_vec).unwrap_or_default();
        numbers.resize(len, 0.0);
        collective.broadcast(0, Values::of(&mut numbers))?;
        state.extensions.callbacks.put(&name, numbers);
    }
    collective.broadcast(0, Values::of(&mut state.params))?;
    collective.broadcast(0, Values::of(&mut state.optimizer))?;
    for (name, lengths) in head.ranks {
        let mut numbers = parts.get(&name).cloned().unwrap_or_default();
        numbers.resize(lengths.len(), Vec::new());
        for (numbers, len) in numbers.iter_mut().zip(lengths) {
            numbers.resize(len, T::zero());
            collective.broadcast(0, Values::of(numbers))?;
        }
        state.extensions.ranks.insert(name, numbers);
    }
    Ok(())
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

fn foreign(problem: &dyn std::fmt::Display) -> Lost {
    Lost::Transport { call: "state of rank 0".into(), problem: problem.to_string() }
}

impl Error {
    /// Of a step, that ranks were lost.
    pub(crate) fn lost(step: u64) -> impl Fn(Lost) -> Self {
        move |source| Self::Ranks { step, source }
    }
}
