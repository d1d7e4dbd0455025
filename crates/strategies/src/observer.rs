use tidemill_data::{Interrupt, MemoryPlan};
use tidemill_optim::Optimizer;

use crate::{Error, State, Summary, Sums, Waited};

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
    /// The run ended, by itself or because an observer stopped it.
    Finished {
        /// Where it ended.
        state: &'a State<T>,
        /// What it did.
        summary: &'a Summary,
    },
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends after this event; the state is complete and can be saved.
    Stop,
}

/// Somebody who is told what happens in a run, and may end it: progress, early stopping, checkpoints, logs.
///
/// Several observe together as a tuple, a slice or a vector: all are told, and one is enough to stop.
pub trait Observer<T> {
    /// Takes note of an event.
    ///
    /// # Errors
    ///
    /// Whatever the observer cannot do; the run ends with it.
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error>;

    /// What stops the run while it waits for rows, where no event tells the observer that it should; nothing, unless one
    /// says so. Taken when the run begins.
    fn interrupt(&self) -> Option<Interrupt> {
        None
    }

    /// Whether the state after step `step` (counted from one) will be saved, in [`Event::Step`]: what other ranks hold
    /// of it is gathered then.
    fn saves(&self, step: u64) -> bool {
        let _ = step;
        false
    }

    /// What it remembers and needs again in a run that is resumed: calls `keep` with a name that no other observer has,
    /// and numbers. They are kept in the state, saved with it, and found again by [`State::memory`] in
    /// [`Event::Started`]. Asked after each epoch, before a step's event where the state [will be saved](Observer::saves),
    /// and when the run ends.
    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        let _ = keep;
    }
}

/// Nobody, or somebody: of several ranks, one alone may have something to say or to save.
impl<T, O: Observer<T>> Observer<T> for Option<O> {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        self.as_mut().map_or(Ok(Flow::Continue), |observer| observer.observe(event))
    }

    fn interrupt(&self) -> Option<Interrupt> {
        self.as_ref().and_then(Observer::interrupt)
    }

    fn saves(&self, step: u64) -> bool {
        self.as_ref().is_some_and(|observer| observer.saves(step))
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        self.iter().for_each(|observer| observer.memories(keep));
    }
}

impl<T> Observer<T> for () {
    fn observe(&mut self, _event: &Event<'_, T>) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }
}

impl<T, O: Observer<T> + ?Sized> Observer<T> for &mut O {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        (**self).observe(event)
    }

    fn interrupt(&self) -> Option<Interrupt> {
        (**self).interrupt()
    }

    fn saves(&self, step: u64) -> bool {
        (**self).saves(step)
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        (**self).memories(keep);
    }
}

impl<T, O: Observer<T> + ?Sized> Observer<T> for Box<O> {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        (**self).observe(event)
    }

    fn interrupt(&self) -> Option<Interrupt> {
        (**self).interrupt()
    }

    fn saves(&self, step: u64) -> bool {
        (**self).saves(step)
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        (**self).memories(keep);
    }
}

impl<T, A: Observer<T>, B: Observer<T>> Observer<T> for (A, B) {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        either(self.0.observe(event)?, self.1.observe(event)?)
    }

    fn interrupt(&self) -> Option<Interrupt> {
        Some(Interrupt::any([self.0.interrupt(), self.1.interrupt()].into_iter().flatten()))
    }

    fn saves(&self, step: u64) -> bool {
        self.0.saves(step) || self.1.saves(step)
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        self.0.memories(keep);
        self.1.memories(keep);
    }
}

impl<T, A: Observer<T>, B: Observer<T>, C: Observer<T>> Observer<T> for (A, B, C) {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        either(either(self.0.observe(event)?, self.1.observe(event)?)?, self.2.observe(event)?)
    }

    fn interrupt(&self) -> Option<Interrupt> {
        let all = [self.0.interrupt(), self.1.interrupt(), self.2.interrupt()];
        Some(Interrupt::any(all.into_iter().flatten()))
    }

    fn saves(&self, step: u64) -> bool {
        self.0.saves(step) || self.1.saves(step) || self.2.saves(step)
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        self.0.memories(keep);
        self.1.memories(keep);
        self.2.memories(keep);
    }
}

impl<T, O: Observer<T>> Observer<T> for [O] {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        self.iter_mut().try_fold(Flow::Continue, |flow, observer| either(flow, observer.observe(event)?))
    }

    fn interrupt(&self) -> Option<Interrupt> {
        Some(Interrupt::any(self.iter().filter_map(Observer::interrupt)))
    }

    fn saves(&self, step: u64) -> bool {
        self.iter().any(|observer| observer.saves(step))
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        self.iter().for_each(|observer| observer.memories(keep));
    }
}

impl<T, O: Observer<T>> Observer<T> for Vec<O> {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        self.as_mut_slice().observe(event)
    }

    fn interrupt(&self) -> Option<Interrupt> {
        self.as_slice().interrupt()
    }

    fn saves(&self, step: u64) -> bool {
        self.as_slice().saves(step)
    }

    fn memories(&self, keep: &mut dyn FnMut(&str, &mut dyn Iterator<Item = f64>)) {
        self.as_slice().memories(keep);
    }
}

fn either(a: Flow, b: Flow) -> Result<Flow, Error> {
    Ok(if a == Flow::Stop { a } else { b })
}

/// An observer that is a function; made by [`on_event`].
#[derive(Clone, Copy, Debug)]
pub struct OnEvent<F>(F);

/// Calls `function` with every event.
pub fn on_event<T, F: FnMut(&Event<'_, T>) -> Result<Flow, Error>>(function: F) -> OnEvent<F> {
    OnEvent(function)
}

impl<T, F: FnMut(&Event<'_, T>) -> Result<Flow, Error>> Observer<T> for OnEvent<F> {
    fn observe(&mut self, event: &Event<'_, T>) -> Result<Flow, Error> {
        (self.0)(event)
    }
}
