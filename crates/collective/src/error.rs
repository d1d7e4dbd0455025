/// Why a call across workers failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank ended while others still call.
    #[error("rank {rank} has left the world of {size} ranks")]
    Left {
        /// The first that left.
        rank: usize,
        /// Ranks of the world.
        size: usize,
    },
    /// A rank panicked.
    #[error("rank {rank} of {size} ranks has panicked")]
    Panicked {
        /// The first that did.
        rank: usize,
        /// Ranks of the world.
        size: usize,
    },
    /// Ranks do not make the same call.
    #[error("rank {rank} calls {found}, rank 0 calls {expected}")]
    Mismatch {
        /// The first that differs.
        rank: usize,
        /// What it calls.
        found: String,
        /// What rank 0 calls.
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
}
