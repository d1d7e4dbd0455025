//! Numbers of a fixed width, written one behind the other or as places in a dictionary, with or without nulls: pages
//! that need no arrays between the file and the batch.
//!
//! A page is taken only when its header and its levels are exactly as expected. Whatever is unusual is [`Declined`],
//! whether it is allowed or broken: arrow then reads the column from there on, and the errors are its.

mod chunk;
mod codec;
mod header;
mod levels;
mod pieces;
mod runs;
mod team;

pub(crate) use chunk::{PlainChunk, with_excess};
pub(crate) use codec::Scratch;
pub(crate) use pieces::PlainPage;
pub(crate) use team::{Team, Ticket};

/// A page that is not taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declined;
