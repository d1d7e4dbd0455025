use crate::{Collective, Error, Gathered, Values};

/// The world of one worker.
///
/// # Example
///
/// ```
/// use tidemill_collective::{Collective, Solo, Values};
///
/// let mut gradient = [1.0, 2.0];
/// Solo.sum(Values::of(&mut gradient))?;
/// assert_eq!(gradient, [1.0, 2.0]);
/// # Ok::<(), tidemill_collective::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Solo;

impl Collective for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&mut self, _: Values<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn gather_shares(&mut self, _: Values<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn max(&mut self, _: Values<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn broadcast(&mut self, from: usize, _: Values<'_>) -> Result<(), Error> {
        if from == 0 { Ok(()) } else { Err(Error::NoSuchRank { rank: from, size: 1 }) }
    }

    fn gather(&mut self, mine: &[u8], all: &mut Gathered) -> Result<(), Error> {
        all.clear();
        all.push(mine);
        Ok(())
    }

    fn barrier(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn abandon(&mut self, _why: &str) {}
}
