use std::fmt::{self, Debug};
use std::ops::Range;

use crate::{Error, Gathered, Values};

/// One worker's end of a world of workers that take the same calls in the same order.
///
/// Every call waits for all ranks, and none for ever: where a rank is gone, has [abandoned](Collective::abandon) the
/// run, or does not come within the world's deadline, the others' calls fail, now and later.
pub trait Collective: Debug + Send {
    /// This worker's number, below [`size`](Collective::size).
    fn rank(&self) -> usize;

    /// How many workers there are.
    fn size(&self) -> usize;

    /// A rank and the machine it runs on, as messages name it.
    fn peer(&self, rank: usize) -> Peer {
        Peer { rank, size: self.size(), host: None }
    }

    /// `xᵢ ← Σᵣ xᵢ⁽ʳ⁾`, the ranks added one after the other from the first: the bits depend on nothing but the values,
    /// and are the same on every rank and with every implementation.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late, or calls something else or with another number of values. The values are then
    /// whatever they are.
    fn sum(&mut self, values: Values<'_>) -> Result<(), Error>;

    /// `xᵢ ← Σᵣ xᵢ⁽ʳ⁾` in the order that is fastest here: the same bits on every rank, but possibly others in another
    /// world.
    ///
    /// # Errors
    ///
    /// As [`sum`](Collective::sum).
    fn fast_sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.sum(values)
    }

    /// The first half of a [`sum`](Collective::sum): of the values, those of this rank's [`share`] become sums. What is in
    /// the others is not said.
    ///
    /// # Errors
    ///
    /// As [`sum`](Collective::sum).
    fn sum_shares(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.sum(values)
    }

    /// The second half of a [`sum`](Collective::sum): each rank's [`share`] of the values is given to all.
    ///
    /// # Errors
    ///
    /// As [`sum`](Collective::sum).
    fn gather_shares(&mut self, values: Values<'_>) -> Result<(), Error>;

    /// Begins a [`sum`](Collective::sum) that goes on while the caller computes, where that is possible here.
    /// [`end_sum`](Collective::end_sum) is then to be called with the same values, not touched meanwhile; several sums
    /// may have begun, and end in that order. Other calls come after them.
    ///
    /// # Errors
    ///
    /// As [`sum`](Collective::sum).
    fn begin_sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        let _ = values;
        Ok(())
    }

    /// Waits for the oldest sum that has [begun](Collective::begin_sum).
    ///
    /// # Errors
    ///
    /// As [`sum`](Collective::sum).
    fn end_sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.sum(values)
    }

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

    /// Gives every rank what each rank brings, in the order of the ranks; of any length, each its own. `all` loses what
    /// it had, and keeps its room.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late, or calls something else.
    fn gather(&mut self, mine: &[u8], all: &mut Gathered) -> Result<(), Error>;

    /// Returns when every rank has come here.
    ///
    /// # Errors
    ///
    /// When a rank is gone or late, or calls something else.
    fn barrier(&mut self) -> Result<(), Error>;

    /// Bytes that this rank has sent to others since it joined: those of the values, without what goes along with them.
    fn sent(&self) -> u64 {
        0
    }

    /// Tells all ranks that this one cannot go on, and why. Their calls fail with [`Error::Abandoned`], those that wait
    /// already too; so do this rank's.
    fn abandon(&mut self, why: &str);
}

macro_rules! forward {
    ($($call:ident($($name:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(fn $call(&mut self, $($name: $kind),*) -> $result {
            (**self).$call($($name),*)
        })*
    };
}

impl<C: Collective + ?Sized> Collective for Box<C> {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn size(&self) -> usize {
        (**self).size()
    }

    fn peer(&self, rank: usize) -> Peer {
        (**self).peer(rank)
    }

    fn sent(&self) -> u64 {
        (**self).sent()
    }

    forward! {
        sum(values: Values<'_>) -> Result<(), Error>;
        fast_sum(values: Values<'_>) -> Result<(), Error>;
        sum_shares(values: Values<'_>) -> Result<(), Error>;
        gather_shares(values: Values<'_>) -> Result<(), Error>;
        begin_sum(values: Values<'_>) -> Result<(), Error>;
        end_sum(values: Values<'_>) -> Result<(), Error>;
        max(values: Values<'_>) -> Result<(), Error>;
        broadcast(from: usize, values: Values<'_>) -> Result<(), Error>;
        gather(mine: &[u8], all: &mut Gathered) -> Result<(), Error>;
        barrier() -> Result<(), Error>;
        abandon(why: &str) -> ();
    }
}

/// A rank, as messages name it: `rank 1 of 4 on node2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// The machine it runs on; `None` in a world inside one process.
    pub host: Option<String>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)?;
        match &self.host {
            Some(host) => write!(f, " on {host}"),
            None => Ok(()),
        }
    }
}

/// A rank's share of so many values: contiguous, in the order of the ranks, and of whole cache lines but for the last.
///
/// # Example
///
/// ```
/// use tidemill_collective::share;
///
/// assert_eq!([share(100, 0, 3), share(100, 1, 3), share(100, 2, 3)], [0..48, 48..96, 96..100]);
/// ```
pub fn share(len: usize, rank: usize, size: usize) -> Range<usize> {
    let part = len.div_ceil(size).next_multiple_of(16);
    (rank * part).min(len)..((rank + 1) * part).min(len)
}

/// Compares texts that must be the same on all ranks, such as a version, a configuration or the fingerprint of data,
/// before a run begins.
///
/// # Errors
///
/// The first text that differs from rank 0's, with the first rank that has it; when a rank is gone or late.
///
/// # Example
///
/// ```
/// use tidemill_collective::{Solo, handshake};
///
/// handshake(&mut Solo, &[("version", "1.2.0"), ("batch size", "1024")])?;
/// # Ok::<(), tidemill_collective::Error>(())
/// ```
pub fn handshake(collective: &mut dyn Collective, texts: &[(&str, &str)]) -> Result<(), Error> {
    let mut all = Gathered::default();
    for (what, mine) in texts {
        collective.gather(format!("{what}\0{mine}").as_bytes(), &mut all)?;
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).split_once('\0').map_or_else(String::new, |t| t.1.into());
        let expected = all.get(0);
        if let Some(rank) = all.iter().position(|found| found != expected) {
            let (found, expected) = (text(all.get(rank)), text(expected));
            return Err(Error::Differs { peer: collective.peer(rank), what: (*what).to_owned(), found, expected });
        }
    }
    Ok(())
}
