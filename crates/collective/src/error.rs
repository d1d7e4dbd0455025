use std::time::Duration;

use crate::Peer;

/// Why a call across workers failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank ended while others still call.
    #[error("{peer} has left")]
    Left {
        /// The first that left.
        peer: Peer,
    },
    /// A rank panicked.
    #[error("{peer} has panicked")]
    Panicked {
        /// The first that did.
        peer: Peer,
    },
    /// A rank could not go on.
    #[error("{peer} could not go on: {why}")]
    Abandoned {
        /// The first that could not.
        peer: Peer,
        /// In its words.
        why: String,
    },
    /// Ranks did not come in time.
    #[error("{call}: after {after:?}, still nothing from {}", list(peers))]
    Late {
        /// What was called.
        call: String,
        /// How long they were waited for.
        after: Duration,
        /// Who did not come.
        peers: Vec<Peer>,
    },
    /// Ranks do not make the same call.
    #[error("{peer} calls {found}, where {expected} was called")]
    Mismatch {
        /// The first that differs.
        peer: Peer,
        /// What it calls.
        found: String,
        /// What others call.
        expected: String,
    },
    /// What must be the same on all ranks is not.
    #[error("{peer} has another {what} than rank 0: {found}, not {expected}")]
    Differs {
        /// The first that differs.
        peer: Peer,
        /// What it is.
        what: String,
        /// What that rank has.
        found: String,
        /// What rank 0 has.
        expected: String,
    },
    /// A rank that the world does not have.
    #[error("there is no rank {rank} in a world of {size} ranks")]
    NoSuchRank {
        /// The rank that was asked for.
        rank: usize,
        /// Ranks of the world.
        size: usize,
    },
    /// What carries the messages failed.
    #[error("{call}: {problem}")]
    Transport {
        /// What was called.
        call: String,
        /// What it says.
        problem: String,
    },
}

fn list(peers: &[Peer]) -> String {
    peers.iter().map(Peer::to_string).collect::<Vec<_>>().join(", ")
}
