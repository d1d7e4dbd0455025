use tidemill_tensor::Scalar;

use crate::MAX_SLOTS;
use crate::transform::Coefficients;

/// A rule that does in one pass what would take three: `u ← scale u`, [`Rule::update`](crate::Rule::update), and
/// `p ← p − rate u`. It comes to the same bits, but may leave the gradients as they were.
pub(crate) trait Fused<T: Scalar>: Send + Sync {
    fn descend(&self, at: &Coefficients, descent: Descent<'_, T>);
}

/// A chunk of which everything is done in one pass. All slices are equally long.
pub(crate) struct Descent<'a, T> {
    pub(crate) gradients: &'a mut [T],
    pub(crate) parameters: &'a mut [T],
    /// What gradients are multiplied by first.
    pub(crate) scale: T,
    /// The learning rate.
    pub(crate) rate: T,
    pub(crate) slots: [&'a mut [T]; MAX_SLOTS],
}
