use std::fmt::Debug;

use crate::{Error, Values};

/// One worker's end of a world of workers that take the same calls in the same order.
///
/// Every call waits for all ranks. A rank that is gone makes the others' calls fail, now and later; none waits for ever.
pub trait Collective: Debug + Send {
    /// This worker's number, below [`size`](Collective::size).
    fn rank(&self) -> usize;

    /// How many workers there are.
    fn size(&self) -> usize;

    /// `xᵢ ← Σᵣ xᵢ⁽ʳ⁾`, the ranks added one after the other from the first: the bits depend on nothing but the values,
    /// and are the same on every rank.
    ///
    /// # Errors
    ///
    /// When a rank is gone, or calls something else or with another number of values. The values are then as they were.
    fn sum(&mut self, values: Values<'_>) -> Result<(), Error>;

    /// `xᵢ ← maxᵣ xᵢ⁽ʳ⁾`; NaN where a rank has NaN.
    ///
    /// # Errors
    ///
    /// As [`sum`](Collective::sum).
    fn max(&mut self, values: Values<'_>) -> Result<(), Error>;

    /// Gives every rank the values of rank `from`.
    ///
    /// # Errors
    ///
    /// As [`sum`](Collective::sum); and when there is no such rank, in which case nobody is waited for.
    fn broadcast(&mut self, from: usize, values: Values<'_>) -> Result<(), Error>;

    /// Gives every rank what each rank brings, in the order of the ranks; of any length, each its own.
    ///
    /// # Errors
    ///
    /// When a rank is gone or calls something else.
    fn gather(&mut self, mine: &[u8]) -> Result<Vec<Vec<u8>>, Error>;

    /// Returns when every rank has come here.
    ///
    /// # Errors
    ///
    /// When a rank is gone or calls something else.
    fn barrier(&mut self) -> Result<(), Error>;
}
