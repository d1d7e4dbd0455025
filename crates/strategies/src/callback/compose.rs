//! Several callbacks as one.

use tidemill_data::Interrupt;

use super::{Callback, CallbackMemory, Control, Event};
use crate::Error;

/// What a callback of callbacks does: the same with each of `$each`, which are borrowed as `$borrow` says.
macro_rules! forward {
    ($self:ident, [$($each:expr),*]) => {
        fn on_event(&mut $self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
            $($each.on_event(event, run)?;)*
            Ok(())
        }

        fn interrupt(&$self) -> Option<Interrupt> {
            Some(Interrupt::any([$($each.interrupt()),*].into_iter().flatten()))
        }

        fn saves(&$self, step: u64) -> bool {
            $($each.saves(step))||*
        }

        fn remember(&$self, memory: &mut CallbackMemory) {
            $($each.remember(memory);)*
        }

        fn recall(&mut $self, memory: &CallbackMemory) -> Result<(), Error> {
            $($each.recall(memory)?;)*
            Ok(())
        }
    };
}

impl<T, C: Callback<T> + ?Sized> Callback<T> for &mut C {
    forward!(self, [(**self)]);
}

impl<T, C: Callback<T> + ?Sized> Callback<T> for Box<C> {
    forward!(self, [(**self)]);
}

impl<T, A: Callback<T>, B: Callback<T>> Callback<T> for (A, B) {
    forward!(self, [self.0, self.1]);
}

impl<T, A: Callback<T>, B: Callback<T>, C: Callback<T>> Callback<T> for (A, B, C) {
    forward!(self, [self.0, self.1, self.2]);
}

impl<T, A: Callback<T>, B: Callback<T>, C: Callback<T>, D: Callback<T>> Callback<T> for (A, B, C, D) {
    forward!(self, [self.0, self.1, self.2, self.3]);
}

/// What a callback of any number of callbacks does.
macro_rules! forward_all {
    () => {
        fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
            self.iter_mut().try_for_each(|each| each.on_event(event, run))
        }

        fn interrupt(&self) -> Option<Interrupt> {
            Some(Interrupt::any(self.iter().filter_map(Callback::interrupt)))
        }

        fn saves(&self, step: u64) -> bool {
            self.iter().any(|each| each.saves(step))
        }

        fn remember(&self, memory: &mut CallbackMemory) {
            self.iter().for_each(|each| each.remember(memory));
        }

        fn recall(&mut self, memory: &CallbackMemory) -> Result<(), Error> {
            self.iter_mut().try_for_each(|each| each.recall(memory))
        }
    };
}

/// Nobody, or somebody: of several ranks, one alone may have something to say or to save.
impl<T, C: Callback<T>> Callback<T> for Option<C> {
    forward_all!();
}

impl<T, C: Callback<T>> Callback<T> for [C] {
    forward_all!();
}

impl<T, C: Callback<T>> Callback<T> for Vec<C> {
    forward_all!();
}

/// Nobody.
impl<T> Callback<T> for () {
    fn on_event(&mut self, _event: &Event<'_, T>, _run: &mut Control) -> Result<(), Error> {
        Ok(())
    }
}

/// A callback that is a function; made by [`on_event`].
#[derive(Clone, Copy, Debug)]
pub struct OnEvent<F>(F);

/// Calls `function` with every event.
pub fn on_event<T, F: FnMut(&Event<'_, T>, &mut Control) -> Result<(), Error>>(function: F) -> OnEvent<F> {
    OnEvent(function)
}

impl<T, F: FnMut(&Event<'_, T>, &mut Control) -> Result<(), Error>> Callback<T> for OnEvent<F> {
    fn on_event(&mut self, event: &Event<'_, T>, run: &mut Control) -> Result<(), Error> {
        (self.0)(event, run)
    }
}
