//! Numbers of a fixed width, written one behind the other: pages that need no arrays between the file and the batch.
//!
//! A page is taken only when its header and its levels are exactly as expected, and no row is null. Whatever is unusual
//! is [`Declined`], whether it is allowed or broken: arrow then reads the column from there on, and the errors are its.

mod chunk;
mod codec;
mod header;
mod levels;
mod team;

pub(crate) use chunk::{PlainChunk, PlainPage, with_excess};
pub(crate) use codec::Scratch;
pub(crate) use team::{Team, Ticket};

/// A page that is not taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declined;
