//! Ranks of one host: what is long lies in memory that all of them read, and messages are heads alone.
//!
//! Each rank has a segment of two areas and writes them in turn, one an exchange. It sends a head when it has read what
//! came with the last ones: whoever has heard all heads of an exchange may write where what came before it lay.

use std::env;
use std::sync::atomic::Ordering;

use tidemill_collective::tensor::Scalar;
use tidemill_collective::{Call, Error};

use super::{Engine, Part};
use crate::segment::Segment;
use crate::wire::{ALONG, text};

/// The variable that turns it off.
const VARIABLE: &str = "TIDEMILL_MPI_SHARED";

/// What areas begin at multiples of.
const PAGE: usize = 4096;

/// How values get to other ranks.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum By {
    Messages,
    Memory,
}

/// The segments of all ranks.
pub(super) struct Memory {
    /// This rank may have one: others hear it when they are to have theirs.
    allowed: bool,
    /// None until they are needed.
    segments: Vec<Segment>,
    /// Bytes of an area.
    area: usize,
}

impl Memory {
    /// Where all ranks are on one host.
    pub(super) fn of(hosts: &[String]) -> Result<Option<Self>, String> {
        let allowed = match env::var(VARIABLE).as_deref() {
            Ok("0") => false,
            Ok("1") | Err(env::VarError::NotPresent) => true,
            other => return Err(format!("{VARIABLE} is 0 or 1, not {}", other.unwrap_or("what is no text"))),
        };
        let together = hosts.len() > 1 && hosts.iter().all(|host| *host == hosts[0]);
        Ok(together.then(|| Self { allowed, segments: Vec::new(), area: 0 }))
    }

    fn start(&self, exchange: u64) -> usize {
        (exchange % 2) as usize * self.area
    }

    /// Where this rank writes so many numbers for an exchange.
    ///
    /// # Safety
    ///
    /// It has heard all heads of the one before, and sends none of this one before it has written.
    pub(super) unsafe fn write<T: Scalar>(&mut self, rank: usize, exchange: u64, len: usize) -> &mut [T] {
        let start = self.start(exchange);
        // SAFETY: its own, and by the caller's promise nobody reads there.
        unsafe { self.segments[rank].values_mut(start, len) }
    }

    /// The first so many numbers that a rank has written for an exchange.
    ///
    /// # Safety
    ///
    /// Its head of that was heard, and this rank sends none of the next while they are borrowed.
    pub(super) unsafe fn read<T: Scalar>(&self, rank: usize, exchange: u64, len: usize) -> &[T] {
        // SAFETY: by the caller's promise the rank is done there, and waits before it writes again.
        unsafe { self.segments[rank].values(self.start(exchange), len) }
    }
}

impl Engine {
    /// How values of so many bytes get to all ranks, the same on each of them; and the phase that the call goes on with.
    pub(super) fn way(&mut self, call: Call, bytes: usize) -> Result<(By, u8), Error> {
        match &self.memory {
            // What is shorter goes along with heads.
            Some(memory) if bytes / self.size > ALONG => {
                if bytes <= memory.area {
                    return Ok((By::Memory, 0));
                }
                let allowed = memory.allowed;
                self.make_segments(call, bytes, allowed)?;
                Ok((if self.memory.is_some() { By::Memory } else { By::Messages }, 2))
            }
            _ => Ok((By::Messages, 0)),
        }
    }

    /// Each rank makes a segment and opens the others'. Where one cannot, all hear it, and do without from then on.
    fn make_segments(&mut self, call: Call, bytes: usize, allowed: bool) -> Result<(), Error> {
        // The smaller ones first make room.
        self.memory = None;
        let sent = self.shared.sent.load(Ordering::Relaxed);
        let area = bytes.next_multiple_of(PAGE);
        let (mut own, mut offer, mut problem) = (None, None, String::new());
        match if allowed { Segment::make(2 * area, self.size - 1) } else { Err(format!("{VARIABLE} is 0")) } {
            Ok((segment, offered)) => (own, offer) = (Some(segment), Some(offered)),
            Err(why) => problem = why,
        }
        self.tell(Part { call, phase: 0, by: By::Messages }, offer.as_ref().map_or(&[], |offer| offer.text()))?;
        let mut segments = Vec::with_capacity(self.size);
        for (rank, link) in self.links.iter().enumerate() {
            if rank == self.rank {
                segments.extend(own.take());
            } else if problem.is_empty() && !link.room.bytes().is_empty() {
                match Segment::open(link.room.bytes(), 2 * area) {
                    Ok(segment) => segments.push(segment),
                    Err(why) => problem = why,
                }
            }
        }
        let problem = text(&problem);
        self.tell(Part { call, phase: 1, by: By::Messages }, problem.as_bytes())?;
        // All have opened it, or do without.
        drop(offer);
        let said = |rank: usize| if rank == self.rank { problem.as_bytes() } else { self.links[rank].room.bytes() };
        let what = match (0..self.size).find(|&rank| !said(rank).is_empty()) {
            Some(rank) => format!("by messages: {}: {}", self.peer(rank), String::from_utf8_lossy(said(rank))),
            None => {
                self.memory = Some(Memory { allowed, segments, area });
                "through shared memory".to_owned()
            }
        };
        self.shared.set_way(format!("long values {what}"));
        // What is counted is values.
        self.shared.sent.store(sent, Ordering::Relaxed);
        Ok(())
    }
}
