use std::fmt;

use tidemill_tensor::DType;

/// What a rank calls, as messages name it: `sum of 10 f32`. Calls belong together when they are equal on all ranks.
///
/// For implementations of [`Collective`](crate::Collective).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A sum of so many values.
    Sum(DType, usize),
    /// A sum in any order.
    FastSum(DType, usize),
    /// The first half of a sum.
    SumShares(DType, usize),
    /// The second half of a sum.
    GatherShares(DType, usize),
    /// A maximum.
    Max(DType, usize),
    /// So many values of that rank.
    Broadcast(DType, usize, usize),
    /// A gather of bytes.
    Gather,
    /// A barrier.
    Barrier,
    /// The end of the world, where ranks must agree on it.
    End,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |dtype| if dtype == DType::F32 { "f32" } else { "f64" };
        match *self {
            Self::Sum(dtype, len) => write!(f, "sum of {len} {}", name(dtype)),
            Self::FastSum(dtype, len) => write!(f, "fast sum of {len} {}", name(dtype)),
            Self::SumShares(dtype, len) => write!(f, "sum of shares of {len} {}", name(dtype)),
            Self::GatherShares(dtype, len) => write!(f, "gather of shares of {len} {}", name(dtype)),
            Self::Max(dtype, len) => write!(f, "max of {len} {}", name(dtype)),
            Self::Broadcast(dtype, len, from) => write!(f, "broadcast of {len} {} from rank {from}", name(dtype)),
            Self::Gather => write!(f, "gather"),
            Self::Barrier => write!(f, "barrier"),
            Self::End => write!(f, "end"),
        }
    }
}
