//! What the ranks of a distributed run say to each other beside gradients.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tidemill_autograd::Program;
use tidemill_autograd::tensor::{Scalar, kernels};
use tidemill_collective::{Collective, Error as Lost, Gathered, Values, handshake};
use tidemill_data::{Cursor, Schema, Source};
use tidemill_optim::Optimizer;

use crate::binding::Binding;
use crate::engine::{LocalSteps, RankRows, Ranks, Running, Task, group, share};
use crate::rows::StepRows;
use crate::state::RankMemory;
use crate::{Error, Plan, State, Sums, Trainer};

/// This process among others.
pub(crate) struct World {
    pub(crate) rank: usize,
    pub(crate) size: usize,
    pub(crate) rows: RankRows,
    pub(crate) compare_every: u64,
    /// Whether there are others to agree with.
    pub(crate) is_alone: bool,
    /// As messages name this rank.
    pub(crate) name: String,
    local: Option<LocalSteps>,
    /// Rows that stay together when a batch is shared out.
    group: usize,
}

impl World {
    pub(crate) fn of<T: Scalar>(engine: &mut dyn Running<T>, program: &Program<T>) -> Self {
        let group = group(program).unwrap_or(1);
        match engine.ranks() {
            None => Self {
                rank: 0,
                size: 1,
                rows: RankRows::Own,
                compare_every: 0,
                is_alone: true,
                name: "tidemill".into(),
                local: None,
                group,
            },
            Some(ranks) => Self {
                rank: ranks.collective.rank(),
                size: ranks.collective.size(),
                rows: ranks.rows,
                compare_every: ranks.compare_every,
                is_alone: false,
                name: ranks.collective.peer(ranks.collective.rank()).to_string(),
                local: ranks.local,
                group,
            },
        }
    }

    /// How many ranks have rows of their own.
    pub(crate) fn size_of_own_rows(&self) -> usize {
        match self.rows {
            RankRows::Own => self.size,
            RankRows::Shared => 1,
        }
    }

    /// How many batches ranks take on their own from this step on, before they meet; `None` where they meet in each.
    pub(crate) fn local(&self, step: u64) -> Option<u64> {
        self.local.filter(|local| step >= local.after).map(|local| local.every)
    }

    /// Of so many rows, those that are computed on here.
    pub(crate) fn own_rows(&self, rows: usize) -> Range<usize> {
        match self.rows {
            RankRows::Own => 0..rows,
            RankRows::Shared => share(0..rows, self.rank, self.size, self.group),
        }
    }

    /// Some rows of a step for an engine.
    pub(crate) fn task<'a, T: Scalar>(
        &self,
        trainer: &'a Trainer<T>,
        state: &'a State<T>,
        step: &'a StepRows<T>,
        binding: &'a Binding,
        rows: Range<usize>,
    ) -> Task<'a, T> {
        let keys = state.steps_key();
        // Making a new key takes a good part of a small step, so only where random numbers are drawn. Ranks with rows of
        // their own draw numbers of their own.
        let key = match (trainer.program().is_random(), self.rows) {
            (false, _) => keys,
            (true, RankRows::Own) if self.rank > 0 => keys.fold(state.step).fold(self.rank as u64),
            (true, _) => keys.fold(state.step),
        };
        let (batch, read, timeline) = (step.batch(), step.read_rows(), trainer.declared_timeline());
        Task { params: &state.params, batch, binding, rows, read, step: state.step, key, keys, timeline }
    }

    /// Compares with the other ranks what must be the same, and takes over the first one's state.
    pub(crate) fn join<T: Scalar>(
        &self,
        engine: &mut dyn Running<T>,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        source: &dyn Source<T>,
        plan: &Plan,
    ) -> Result<(), Error> {
        if let Some(mut ranks) = engine.ranks() {
            let joined = join(&mut ranks, trainer, state, source.schema(), source.rows(), plan);
            joined.map_err(Error::lost(state.step))?;
        }
        let world = self.size_of_own_rows();
        if let Some(&cursor) = state.cursors.get(self.rank).filter(|_| state.world == world) {
            state.cursor = cursor;
        } else if !state.cursors.is_empty() || plan.loads && !state.cursor.is_start() && state.world != world {
            let problem = format!(
                "it was saved within an epoch by {} rank(s) with rows of their own, and goes on with as many only; here \
                 are {world}. Resume with as many, or from a state that was saved between epochs",
                state.world
            );
            return Err(Error::setting("state", problem));
        }
        state.world = world;
        state.cursors.clear();
        Ok(())
    }

    /// Gives every rank the whole of the state.
    pub(crate) fn gather_state<T: Scalar>(
        &self,
        engine: &mut dyn Running<T>,
        optimizer: &Optimizer<T>,
        state: &mut State<T>,
    ) -> Result<(), Error> {
        let Some(ranks) = engine.ranks() else { return Ok(()) };
        let lost = Error::lost(state.step);
        if std::mem::take(&mut state.is_spread) {
            let len = state.params.len();
            for slot in state.optimizer.chunks_exact_mut(len).take(optimizer.slots()) {
                ranks.collective.gather_shares(Values::of(slot)).map_err(&lost)?;
            }
        }
        let train_apart = self.local.is_some_and(|local| state.step > local.after);
        gather_what_each_keeps(ranks.collective, state, train_apart).map_err(&lost)?;
        gather_cursors(ranks.collective, state).map_err(&lost)
    }
}

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
fn join<T: Scalar>(
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
        world: state.world,
        cursors: state.cursors.clone(),
        memory: state.memory.iter().map(|(name, numbers)| (name.to_owned(), numbers.len())).collect(),
        learning_rate_factor: state.learning_rate_factor.to_bits(),
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
    state.learning_rate_factor = f64::from_bits(head.learning_rate_factor);
    let saved = std::mem::take(&mut state.memory);
    for (name, len) in head.memory {
        let mut numbers = saved.get(&name).map(<[f64]>::to_vec).unwrap_or_default();
        numbers.resize(len, 0.0);
        collective.broadcast(0, Values::of(&mut numbers))?;
        state.memory.put(&name, numbers);
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
fn gather_what_each_keeps<T: Scalar>(
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
fn gather_cursors<T: Scalar>(collective: &mut dyn Collective, state: &mut State<T>) -> Result<(), Lost> {
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
