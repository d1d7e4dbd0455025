//! What flows: a [`Batch`] filled in place by a [`Source`].
//!
//! In-memory data, files and adaptors are all sources and look alike downstream. The order of rows is a function of
//! (seed, epoch, position), so a [`Cursor`] is a few integers and resuming is exact. This crate knows nothing of
//! models, optimizers or file formats.

mod adaptors;
mod batch;
mod column;
mod digits;
mod encoder;
mod error;
mod feed;
pub mod file;
mod interrupt;
mod memory;
mod number;
mod numbers;
mod permutation;
mod plan;
mod predicate;
mod schema;
mod source;
mod stream;

pub use adaptors::{ExactShuffle, Filter, Inspect, Part, Prefetch, Select, Shuffle, SourceExt, Split, Take};
pub use batch::Batch;
pub use column::{Column, Nulls};
pub use digits::Digits;
pub use encoder::{
    ColumnReport, Encode, Encoder, EncoderBuilder, Encoding, FitReport, Fitting, Missing, Quantiles, Summary, describe,
};
pub use error::Error;
pub use feed::{Feed, Order};
pub use interrupt::{Interrupt, Waiting, Watch};
pub use memory::{MemoryBuilder, MemorySource};
pub use number::Number;
pub use numbers::{Numbers, Unit};
pub use permutation::Permutation;
pub use plan::{MemoryPlan, Stage};
pub use predicate::{Bounds, Limits, Predicate, RowTest};
pub use schema::{Field, Kind, Role, Schema};
pub use source::{Cursor, Source};
pub use stream::{
    AsValue, ChannelSource, Receiver, Resume, Row, RowSender, Stream, Supplied, Supply, TrySend, Value, channel,
};

pub use tidemill_tensor as tensor;
