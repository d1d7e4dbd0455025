use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::Error;

/// What the ranks of an earlier run remembered, by name: see [`GradientSync::recall`](crate::GradientSync::recall).
pub struct RankMemory<'a, T> {
    /// This rank now.
    pub rank: usize,
    /// How many ranks there are now.
    pub ranks: usize,
    named: &'a BTreeMap<String, Vec<Vec<T>>>,
    taken: RefCell<BTreeSet<String>>,
}

impl<'a, T> RankMemory<'a, T> {
    pub(crate) fn new(rank: usize, ranks: usize, named: &'a BTreeMap<String, Vec<Vec<T>>>) -> Self {
        Self { rank, ranks, named, taken: RefCell::default() }
    }

    /// What each rank then gave by this name, at least one, as many numbers each; `None` where none did.
    pub fn get(&self, name: &str) -> Option<&'a [Vec<T>]> {
        let parts = self.named.get(name).filter(|parts| !parts.is_empty())?;
        self.taken.borrow_mut().insert(name.to_owned());
        Some(parts)
    }

    /// An error that says that what has this name is of another model or optimizer.
    pub fn of_another_model(&self, name: &str, found: usize, expected: usize) -> Error {
        let problem = format!(
            "what its ranks remember as {name} is {found} numbers, expected {expected}: it is of another model or optimizer"
        );
        Error::setting("state", problem)
    }

    /// Whether all of it was taken.
    pub(crate) fn check_taken(&self) -> Result<(), Error> {
        match self.named.keys().find(|name| !self.taken.borrow().contains(*name)) {
            None => Ok(()),
            Some(name) => {
                let problem = format!(
                    "its ranks remember {name}, which this run's GradientSync does not know; resume by the one that it was \
                     saved by, or drop it by `state.forget_rank_memory()`"
                );
                Err(Error::setting("state", problem))
            }
        }
    }
}
