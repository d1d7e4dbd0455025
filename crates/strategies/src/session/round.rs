use tidemill_autograd::tensor::Scalar;

use crate::{State, Sums};

/// The steps that this rank has taken on its own since all ranks last agreed, where ranks train apart; else of one
/// batch.
pub(super) struct Round<T> {
    /// Of the rows of these steps.
    pub(super) sums: Sums,
    /// Batches, those of weight zero counted.
    pub(super) batches: u64,
    /// The state's step when it began.
    pub(super) first: u64,
    /// Parameters and optimizer's memory as all ranks last had them; empty where ranks do not train apart.
    agreed: Option<(Vec<T>, Vec<T>)>,
    is_open: bool,
}

impl<T: Scalar> Round<T> {
    pub(super) fn new() -> Self {
        Self { sums: Sums::default(), batches: 0, first: 0, agreed: None, is_open: false }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Begins at the state's step, unless it has begun; `apart` says that ranks may have to take it back.
    pub(super) fn begin(&mut self, state: &State<T>, apart: bool) {
        if self.batches > 0 || self.is_open {
            return;
        }
        (self.sums, self.first, self.is_open) = (Sums::default(), state.step, apart);
        if !apart {
            return;
        }
        let (params, optimizer) = self.agreed.get_or_insert_with(|| (state.params.clone(), state.optimizer.clone()));
        params.copy_from_slice(&state.params);
        optimizer.copy_from_slice(&state.optimizer);
    }

    /// All ranks agree.
    pub(super) fn close(&mut self) {
        (self.is_open, self.batches) = (false, 0);
    }

    /// Takes the steps back: no rank's own are of any use to the others.
    pub(super) fn undo(&mut self, state: &mut State<T>) {
        if let (true, Some((params, optimizer))) = (self.is_open, &self.agreed) {
            state.params.copy_from_slice(params);
            state.optimizer.copy_from_slice(optimizer);
            state.step = self.first;
        }
        self.close();
    }
}
