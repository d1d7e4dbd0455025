//! What MPI's thread does: it passes messages to and from every other rank, and waits for none for ever.
//!
//! From each other rank one short message is always asked for, so that a farewell is heard in the middle of any call.
//! A call begins with a message to each other rank: ranks that are late, or call something else, are known by name. What
//! MPI reads and writes lies in rooms of this thread's own: when a call fails, MPI may still be at it.

mod calls;
mod memory;
mod messages;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidemill_collective::tensor::Scalar;
use tidemill_collective::{Call, Error, Gathered, Peer, Values};

use crate::Options;
use crate::library::{Port, Request};
use crate::room::Room;
use crate::shared::{Answer, Data, Order, Shared, Urgent};
use crate::wire::{ALONG, HEAD, Head, write_error};
use memory::{By, Memory};

/// Tags of heads, and of what comes after them.
const HEADS: i32 = 1;
const BULKS: i32 = 2;

pub(crate) struct Engine {
    port: Box<dyn Port>,
    shared: Arc<Shared>,
    options: Options,
    rank: usize,
    size: usize,
    /// The machine of each rank, once they have told.
    pub(crate) hosts: Vec<String>,
    /// What goes on with each rank; nothing with this one.
    links: Vec<Link>,
    /// Heads that are being sent, and letters for others.
    letters: Vec<(Request, Letter)>,
    blank: Vec<Letter>,
    /// What bulks are sent of.
    out: Room,
    /// Where long values lie instead, where ranks share it.
    memory: Option<Memory>,
    /// Exchanges so far.
    exchanges: u64,
    lost: Option<Error>,
    /// Whether another rank has said so, to all.
    told: bool,
}

type Letter = Box<[u8; HEAD + ALONG]>;

/// What goes on with another rank.
struct Link {
    letter: Letter,
    /// Its next head, being received; or, where none is, in the letter already.
    head: Option<Request>,
    arrived: bool,
    want: Want,
    /// Bulks under way.
    receives: Vec<Request>,
    sends: Vec<Request>,
    /// What it sent in this part of the call.
    room: Room,
    /// What it calls, where that is something else.
    other: Option<Call>,
    /// It makes no more calls.
    left: bool,
}

/// What is still to come of a rank.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    Head,
    Bulk,
    Nothing,
}

/// A part of a call: between two, every rank has heard of every other.
#[derive(Clone, Copy)]
struct Part {
    call: Call,
    phase: u8,
    /// How what is too long to go along with heads gets to others.
    by: By,
}

impl Engine {
    /// Of MPI that has started: the ranks tell where they are, and add up what is known.
    pub(crate) fn new(
        port: Box<dyn Port>,
        (rank, size): (usize, usize),
        options: Options,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        let letter = || Box::new([0; HEAD + ALONG]);
        let link = |_| Link {
            letter: letter(),
            head: None,
            arrived: false,
            want: Want::Nothing,
            receives: Vec::new(),
            sends: Vec::new(),
            room: Room::default(),
            other: None,
            left: false,
        };
        let (links, hosts) = ((0..size).map(link).collect(), Vec::new());
        // A rank that answers has read the letter before: to none more are under way.
        let blank: Vec<Letter> = (0..4 * size).map(|_| letter()).collect();
        let (letters, out) = (Vec::with_capacity(blank.len()), Room::default());
        let mut engine = Self {
            port,
            shared,
            options,
            rank,
            size,
            hosts,
            links,
            letters,
            blank,
            out,
            memory: None,
            exchanges: 0,
            lost: None,
            told: false,
        };
        let checked = engine.meet();
        if let Err(why) = &checked {
            engine.lose(why.clone());
            // MPI may still write to what it was given.
            std::mem::forget(engine);
            return Err(why.clone());
        }
        Ok(engine)
    }

    fn meet(&mut self) -> Result<(), Error> {
        let start = |problem| Error::Transport { call: "start of MPI".to_owned(), problem };
        for rank in others(self.rank, self.size) {
            self.ask(rank).map_err(start)?;
        }
        let host = self.port.host().map_err(start)?;
        let mut all = Gathered::default();
        self.gather(host.as_bytes(), &mut all)?;
        self.hosts = all.iter().map(|host| String::from_utf8_lossy(host).into_owned()).collect();
        self.adds_up::<f32>()?;
        self.adds_up::<f64>()?;
        self.memory = Memory::of(&self.hosts).map_err(start)?;
        self.shared.set_started();
        Ok(())
    }

    /// What MPI takes for a sum of so many numbers of this precision is one.
    fn adds_up<T: Scalar>(&mut self) -> Result<(), Error> {
        const LEN: usize = 400;
        let mut x = [T::of(self.rank as f64 + 1.0); LEN];
        let call = Call::FastSum(T::DTYPE, LEN);
        self.fast_sum(call, &mut x)?;
        let sum = T::of((self.size * (self.size + 1)) as f64 / 2.0);
        match x.iter().find(|&&x| x != sum) {
            None => Ok(()),
            Some(wrong) => Err(Error::Transport {
                call: "start of MPI".to_owned(),
                problem: format!(
                    "the library does not add up: 1 + .. + {} is {}, not {}",
                    self.size,
                    sum.widen(),
                    wrong.widen()
                ),
            }),
        }
    }

    /// Does what it is told until the end, which is MPI's.
    pub(crate) fn serve(mut self) {
        loop {
            let (ticket, order) = match self.shared.next() {
                Ok(Some(next)) => next,
                Ok(None) => {
                    self.nudge();
                    continue;
                }
                Err(urgent) => {
                    let why = self.hurry(urgent);
                    self.lose(why);
                    continue;
                }
            };
            let finish = matches!(order, Order::Finish);
            let mut room = None;
            let result = match &self.lost {
                Some(why) => {
                    if let Order::Call(_, Data::Copied(copied)) = order {
                        room = Some(copied);
                    }
                    Err(why.clone())
                }
                None => self.obey(order, &mut room),
            };
            if let (Err(why), None) = (&result, &self.lost) {
                self.lose(why.clone());
            }
            let ended = finish && result.is_ok();
            if ended {
                self.shared.set_finished();
            }
            self.shared.answer(ticket, Answer { result, room });
            if ended {
                return;
            }
        }
    }

    fn obey(&mut self, order: Order, room: &mut Option<Room>) -> Result<(), Error> {
        match order {
            Order::Call(call, Data::Nothing) => self.meet_in(call),
            Order::Call(_, Data::Gather(mine, all)) => {
                // SAFETY: both are lent until the answer.
                let (mine, all) = unsafe { (&*mine, &mut *all) };
                self.gather(mine, all)
            }
            Order::Call(call, Data::Lent(values)) => self.compute(call, values),
            Order::Call(call, Data::Copied(mut copied)) => {
                let values = copied.bytes_mut().as_mut_ptr();
                let result = self.compute(call, values);
                *room = Some(copied);
                result
            }
            Order::Leave => {
                let peer = self.peer(self.rank);
                self.farewell(&Error::Left { peer });
                Ok(())
            }
            Order::Finish => {
                let call = Call::End;
                self.meet_in(call)?;
                self.port.end().map_err(|problem| Error::Transport { call: call.to_string(), problem })
            }
        }
    }

    fn peer(&self, rank: usize) -> Peer {
        Peer { rank, size: self.size, host: self.hosts.get(rank).cloned() }
    }

    /// The world is over: whoever has not said so himself is told, and every later call fails.
    fn lose(&mut self, why: Error) {
        if self.lost.is_some() {
            return;
        }
        if !self.told {
            self.farewell(&why);
        }
        self.shared.set_lost(&why);
        self.lost = Some(why);
    }

    /// What is urgent: why the world is over.
    fn hurry(&self, urgent: Urgent) -> Error {
        match urgent {
            Urgent::Lose(why) => why,
            Urgent::Abort(code) => {
                self.port.abort(code);
                self.shared.end(code)
            }
        }
    }

    /// Tells all ranks that this one makes no more calls. Those who do not listen are not waited for.
    fn farewell(&mut self, why: &Error) {
        let along = write_error(why);
        for rank in others(self.rank, self.size) {
            // Whoever cannot be told finds out when it is late.
            let _ = self.write(rank, Head::Farewell { bytes: along.len() }, &along);
        }
        let since = Instant::now();
        while self.posted().is_ok() && !self.letters.is_empty() && since.elapsed() < Duration::from_secs(1) {
            thread::yield_now();
        }
    }

    /// Lets MPI bring to an end what others may still wait for, such as that this rank has read what they sent.
    fn nudge(&mut self) {
        if self.lost.is_some() {
            return;
        }
        for link in &mut self.links {
            // What fails here fails in the next call too.
            if let Some(head) = link.head
                && self.port.done(head) == Ok(true)
            {
                link.head = None;
                link.arrived = true;
            }
        }
    }
}

/// The other ranks, from the next on: so not all send to the same one first.
fn others(rank: usize, size: usize) -> impl Iterator<Item = usize> {
    (1..size).map(move |i| (rank + i) % size)
}

fn failed(call: Call, problem: String) -> Error {
    Error::Transport { call: call.to_string(), problem }
}

/// Where values lie, for an order.
pub(crate) fn start_of(values: &mut Values<'_>) -> *mut u8 {
    match values {
        Values::F32(values) => values.as_mut_ptr().cast(),
        Values::F64(values) => values.as_mut_ptr().cast(),
    }
}
