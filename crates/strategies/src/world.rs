use std::ops::Range;

use tidemill_autograd::Program;
use tidemill_autograd::tensor::Scalar;
use tidemill_collective::{Gathered, Values};
use tidemill_data::Source;
use tidemill_optim::TableRows;

use crate::binding::Binding;
use crate::engine::{RankRows, Running, Task, group, share};
use crate::extension::words_of;
use crate::ranks::join;
use crate::rows::StepRows;
use crate::sync::{OwnState, RankMemory};
use crate::{Error, Plan, State, Trainer};

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
                group,
            },
            Some(ranks) => Self {
                rank: ranks.collective.rank(),
                size: ranks.collective.size(),
                rows: ranks.rows,
                compare_every: ranks.compare_every,
                is_alone: false,
                name: ranks.collective.peer(ranks.collective.rank()).to_string(),
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
        (binding, touched): (&'a Binding, &'a [TableRows]),
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
        Task {
            params: &state.params,
            batch,
            binding,
            rows,
            read,
            touched,
            step: state.step,
            learning_rate_factor: state.learning_rate_factor,
            key,
            keys,
            timeline,
        }
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
        let State { extensions, optimizer, .. } = state;
        let memory = RankMemory::new(self.rank, self.size, &extensions.ranks);
        if let Some(ranks) = engine.ranks() {
            ranks.sync.recall(&memory, optimizer)?;
        }
        memory.check_taken()?;
        self.go_to_own_cursor(state, plan)?;
        state.extensions.forget_ranks();
        Ok(())
    }

    fn go_to_own_cursor<T: Scalar>(&self, state: &mut State<T>, plan: &Plan) -> Result<(), Error> {
        let cursors = state.extensions.cursors().map_err(|problem| Error::setting("state", problem))?;
        let (then, now) = (cursors.len().max(1), self.size_of_own_rows());
        let stand_alike = cursors.iter().all(|cursor| *cursor == cursors[0]);
        if then == now {
            state.cursor = cursors.get(self.rank).copied().unwrap_or(state.cursor);
            return Ok(());
        }
        if stand_alike && (!plan.loads || state.cursor.is_start()) {
            return Ok(());
        }
        let problem = format!(
            "it was saved within an epoch by {then} rank(s) with rows of their own, and goes on with as many only; here are \
             {now}. Resume with as many, or from a state that was saved between epochs"
        );
        Err(Error::setting("state", problem))
    }

    /// Gives every rank the whole of the state. `is_sharded` says that each has only its share of the optimizer's memory.
    pub(crate) fn gather_state<T: Scalar>(
        &self,
        engine: &mut dyn Running<T>,
        trainer: &Trainer<T>,
        state: &mut State<T>,
        is_sharded: &mut bool,
    ) -> Result<(), Error> {
        let Some(ranks) = engine.ranks() else { return Ok(()) };
        let (collective, lost) = (ranks.collective, Error::lost(state.step));
        if std::mem::take(is_sharded) {
            let (len, agreed) = (trainer.program().layout().trainable_len(), trainer.agreed_len());
            for slot in state.optimizer.chunks_exact_mut(len).take(trainer.optimizer().slots()) {
                collective.gather_shares(Values::of(&mut slot[..agreed])).map_err(&lost)?;
            }
        }
        state.extensions.forget_ranks();
        let mut own = Vec::new();
        let about = OwnState { step: state.step, optimizer: &state.optimizer };
        ranks.sync.remember(&about, &mut |name, numbers| own.push((name.to_owned(), numbers.to_vec())));
        for (name, numbers) in own {
            let mut parts = vec![numbers; self.size];
            for (rank, part) in parts.iter_mut().enumerate() {
                collective.broadcast(rank, Values::of(part)).map_err(&lost)?;
            }
            state.extensions.ranks.insert(name, parts);
        }
        if self.size_of_own_rows() > 1 {
            let words: Vec<u8> = words_of(state.cursor).iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut all = Gathered::default();
            collective.gather(&words, &mut all).map_err(&lost)?;
            let words = |bytes: &[u8]| bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            state.extensions.set_cursors(all.iter().map(words).collect());
        }
        state.extensions.incomplete = None;
        Ok(())
    }
}
