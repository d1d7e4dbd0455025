//! What the workers of one training run say to each other: sums, maxima, broadcasts, gathers and barriers.
//!
//! A [`Collective`] is one worker's end: its rank within a world of so many. [`Solo`] is the world of one, [`Threads`] a
//! world inside one process; others are crates of their own, and pass [`conformance`] like these. This crate does not
//! know what the numbers mean, nor who starts workers.
//!
//! # Example
//!
//! ```
//! use tidemill_collective::{Collective, Threads, Values};
//!
//! let sums = std::thread::scope(|scope| {
//!     let workers: Vec<_> = Threads::world(3)
//!         .into_iter()
//!         .map(|mut worker| {
//!             scope.spawn(move || {
//!                 let mut gradient = [1.0_f32, worker.rank() as f32];
//!                 worker.sum(Values::of(&mut gradient)).map(|()| gradient)
//!             })
//!         })
//!         .collect();
//!     workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Result<Vec<_>, _>>()
//! })?;
//! assert_eq!(sums, [[3.0, 3.0]; 3]);
//! # Ok::<(), tidemill_collective::Error>(())
//! ```

mod call;
mod collective;
pub mod conformance;
mod error;
mod gathered;
mod solo;
mod threads;
mod values;

pub use call::Call;
pub use collective::{Collective, Peer, handshake, share};
pub use error::Error;
pub use gathered::Gathered;
pub use solo::Solo;
pub use threads::Threads;
pub use tidemill_tensor as tensor;
pub use values::{Values, larger};
