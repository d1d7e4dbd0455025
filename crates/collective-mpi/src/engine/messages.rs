//! What ranks write to each other in a call, and how they wait for it.

use std::ops::Range;
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use tidemill_collective::{Call, Error};

use super::memory::By;
use super::{BULKS, Engine, HEADS, Part, Want, failed, others};
use crate::wire::{ALONG, HEAD, Head, read_error};

/// How long a wait only yields before it sleeps: where somebody waits for it, and where nobody does.
const YIELD: Duration = Duration::from_millis(2);
const GLANCE: Duration = Duration::from_micros(50);
const NAP: Duration = Duration::from_micros(50);

impl Engine {
    /// Sends each rank that part of `out`, and receives in its room what it sends; or they write and read it in memory.
    pub(super) fn exchange(&mut self, part: Part, range: impl Fn(usize) -> Range<usize>) -> Result<(), Error> {
        let call = part.call;
        // All ranks number them alike.
        self.exchanges += 1;
        // Heads tell others that memory was written, and that theirs was read.
        fence(Ordering::Release);
        for rank in others(self.rank, self.size) {
            self.links[rank].want = Want::Head;
            self.send(rank, part, range(rank)).map_err(|problem| failed(call, problem))?;
        }
        let mut wait = Wait::new();
        loop {
            if self.listen(part)? {
                wait.heard();
            }
            // Nothing stays under way: MPI gets no further while this rank computes.
            if self.letters.is_empty()
                && self.links.iter().all(|link| link.want == Want::Nothing && link.sends.is_empty())
            {
                return self.agree(call);
            }
            if self.links.iter().any(|link| link.other.is_some()) {
                // What else is under way may never end.
                if self.links.iter().all(|link| link.want != Want::Head) {
                    return self.agree(call);
                }
            }
            if self.pause(&mut wait, part)? {
                let open = |rank: &usize| {
                    let link = &self.links[*rank];
                    link.want != Want::Nothing || !link.sends.is_empty()
                };
                let peers = (0..self.size).filter(open).map(|rank| self.peer(rank)).collect();
                return Err(Error::Late { call: call.to_string(), after: self.options.deadline, peers });
            }
        }
    }

    /// All ranks have heard of all, and so come to the same verdict.
    fn agree(&self, mine: Call) -> Result<(), Error> {
        // What they wrote before their heads is there.
        fence(Ordering::Acquire);
        let call = |rank: usize| self.links[rank].other.unwrap_or(mine);
        if let Some(rank) = (0..self.size).find(|&rank| call(rank) == Call::End)
            && (0..self.size).any(|rank| call(rank) != Call::End)
        {
            return Err(Error::Left { peer: self.peer(rank) });
        }
        let expected = call(0);
        match (0..self.size).find(|&rank| call(rank) != expected) {
            None => Ok(()),
            Some(rank) => {
                let (peer, found) = (self.peer(rank), call(rank).to_string());
                Err(Error::Mismatch { peer, found, expected: expected.to_string() })
            }
        }
    }

    fn send(&mut self, rank: usize, part: Part, range: Range<usize>) -> Result<(), String> {
        let bytes = range.len();
        let head = Head::Call { call: part.call, number: self.exchanges, phase: part.phase, bytes };
        self.shared.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        if part.by == By::Memory {
            return self.write(rank, head, &[]);
        }
        if bytes <= ALONG {
            let mut along = [0; ALONG];
            along[..bytes].copy_from_slice(&self.out.bytes()[range]);
            return self.write(rank, head, &along[..bytes]);
        }
        self.write(rank, head, &[])?;
        for chunk in self.out.bytes()[range].chunks(self.options.largest_message) {
            // SAFETY: the room stays until the request is done, or is never touched again.
            self.links[rank].sends.push(unsafe { self.port.send(chunk, rank, BULKS) }?);
        }
        Ok(())
    }

    pub(super) fn write(&mut self, rank: usize, head: Head, along: &[u8]) -> Result<(), String> {
        let mut letter = self.blank.pop().unwrap_or_else(|| Box::new([0; HEAD + ALONG]));
        letter[..HEAD].copy_from_slice(&head.write());
        letter[HEAD..HEAD + along.len()].copy_from_slice(along);
        // SAFETY: the letter is kept until the request is done.
        let request = unsafe { self.port.send(&raw const letter[..HEAD + along.len()], rank, HEADS) }?;
        self.letters.push((request, letter));
        Ok(())
    }

    /// Takes back letters that have been sent.
    pub(super) fn posted(&mut self) -> Result<(), String> {
        let mut i = 0;
        while i < self.letters.len() {
            if self.port.done(self.letters[i].0)? {
                self.blank.push(self.letters.swap_remove(i).1);
            } else {
                i += 1;
            }
        }
        Ok(())
    }

    /// Asks for a rank's next head.
    pub(super) fn ask(&mut self, rank: usize) -> Result<(), String> {
        let link = &mut self.links[rank];
        link.arrived = false;
        // SAFETY: the letter is not touched until the request is done, or never again.
        link.head = Some(unsafe { self.port.receive(&raw mut link.letter[..], rank, HEADS) }?);
        Ok(())
    }

    /// Looks once at everything that is under way; says whether anything came of it.
    pub(super) fn listen(&mut self, part: Part) -> Result<bool, Error> {
        let failed = |problem| failed(part.call, problem);
        self.posted().map_err(failed)?;
        let mut heard = false;
        for rank in others(self.rank, self.size) {
            heard |= self.bulks(rank).map_err(failed)?;
            if let Some(head) = self.links[rank].head
                && self.port.done(head).map_err(failed)?
            {
                self.links[rank].head = None;
                self.links[rank].arrived = true;
            }
            if self.links[rank].arrived {
                heard |= self.read(rank, part)?;
            }
            let link = &self.links[rank];
            if link.left && link.want == Want::Head && part.call != Call::End {
                self.told = true;
                return Err(Error::Left { peer: self.peer(rank) });
            }
        }
        Ok(heard)
    }

    fn bulks(&mut self, rank: usize) -> Result<bool, String> {
        let (port, link) = (&self.port, &mut self.links[rank]);
        let before = link.receives.len() + link.sends.len();
        for requests in [&mut link.receives, &mut link.sends] {
            let mut i = 0;
            while i < requests.len() {
                if port.done(requests[i])? {
                    requests.swap_remove(i);
                } else {
                    i += 1;
                }
            }
        }
        if link.want == Want::Bulk && link.receives.is_empty() {
            link.want = Want::Nothing;
        }
        Ok(link.receives.len() + link.sends.len() < before)
    }

    /// Reads the head that has arrived, if it belongs here; says whether it does.
    fn read(&mut self, rank: usize, part: Part) -> Result<bool, Error> {
        let strange = |what: String| failed(part.call, format!("a message of rank {rank} {what}"));
        match Head::read(&self.links[rank].letter[..]) {
            Some(Head::Farewell { bytes }) if bytes <= ALONG => {
                match read_error(&self.links[rank].letter[HEAD..HEAD + bytes], |rank| self.peer(rank)) {
                    Error::Left { .. } => self.links[rank].left = true,
                    why => {
                        self.told = true;
                        return Err(why);
                    }
                }
                self.ask(rank).map_err(|problem| failed(part.call, problem))?;
                Ok(true)
            }
            // Of a call that this rank has not come to.
            Some(Head::Call { .. }) if self.links[rank].want != Want::Head => Ok(false),
            Some(Head::Call { call, number, phase, bytes }) => {
                if number != self.exchanges || (call == part.call && phase != part.phase) {
                    let expected =
                        format!("of exchange {number}, part {phase}, not of {}, {}", self.exchanges, part.phase);
                    return Err(strange(expected));
                }
                if call == part.call {
                    self.take(rank, part.by, bytes).map_err(|problem| failed(call, problem))?;
                } else {
                    self.links[rank].other = Some(call);
                    self.links[rank].want = Want::Nothing;
                }
                if call != Call::End {
                    self.ask(rank).map_err(|problem| failed(part.call, problem))?;
                } else {
                    self.links[rank].arrived = false;
                }
                Ok(true)
            }
            Some(Head::Farewell { bytes }) => Err(strange(format!("is too long: {bytes} bytes"))),
            None => Err(strange("is not of this program".to_owned())),
        }
    }

    /// Takes what comes along with a head, or asks for what comes after it.
    fn take(&mut self, rank: usize, by: By, bytes: usize) -> Result<(), String> {
        let link = &mut self.links[rank];
        if by == By::Memory {
            link.want = Want::Nothing;
            return Ok(());
        }
        if bytes <= ALONG {
            link.room.copy(&link.letter[HEAD..HEAD + bytes]);
            link.want = Want::Nothing;
            return Ok(());
        }
        link.room.resize(bytes);
        link.want = Want::Bulk;
        for chunk in link.room.bytes_mut().chunks_mut(self.options.largest_message) {
            // SAFETY: the room stays and is not touched until the requests are done, or never again.
            link.receives.push(unsafe { self.port.receive(chunk, rank, BULKS) }?);
        }
        Ok(())
    }

    /// Gives others the processor for a while, the longer the longer nothing was heard; says whether it is too late.
    pub(super) fn pause(&self, wait: &mut Wait, part: Part) -> Result<bool, Error> {
        self.shared.beat.fetch_add(1, Ordering::Relaxed);
        if let Some(urgent) = self.shared.interrupted() {
            return Err(self.hurry(urgent));
        }
        let now = Instant::now();
        let idle = now - wait.heard;
        if !self.shared.awaited() {
            // The rank computes meanwhile, and has not begun to wait.
            wait.since = now;
            if idle > GLANCE {
                self.shared.nap(NAP);
            }
            return Ok(false);
        }
        // Never without giving way: the rank that is waited for may be the next on this processor.
        if idle < YIELD {
            thread::yield_now()
        } else {
            self.shared.nap(NAP)
        }
        // In later parts a rank may wait for one that waits for a third: who is nearer to it speaks first.
        let grace = if part.phase == 0 { Duration::ZERO } else { self.options.deadline / 4 };
        Ok(now - wait.since > self.options.deadline + grace)
    }
}

/// Since when nothing was heard.
pub(super) struct Wait {
    heard: Instant,
    /// And since when that counts.
    since: Instant,
}

impl Wait {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { heard: now, since: now }
    }

    fn heard(&mut self) {
        *self = Self::new();
    }
}
