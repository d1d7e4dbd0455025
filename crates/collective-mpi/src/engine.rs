//! What MPI's thread does: it passes messages to and from every other rank, and waits for none for ever.
//!
//! From each other rank one short message is always asked for, so that a farewell is heard in the middle of any call.
//! A call begins with a message to each other rank: ranks that are late, or call something else, are known by name. What
//! MPI reads and writes lies in rooms of this thread's own: when a call fails, MPI may still be at it.

mod memory;
mod messages;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tidemill_collective::tensor::{DType, Scalar, kernels};
use tidemill_collective::{Call, Error, Gathered, Peer, Values, larger, share};

use crate::Options;
use crate::library::{Port, Request};
use crate::room::{Room, bytes_of};
use crate::shared::{Answer, Data, Order, Shared, Urgent};
use crate::wire::{ALONG, HEAD, Head, write_error};
use memory::{By, Memory};
use messages::Wait;

/// Tags of heads, and of what comes after them.
const HEADS: i32 = 1;
const BULKS: i32 = 2;

/// Up to so many bytes, everybody's values are sent to everybody: one way, where shares of a sum need two.
const DIRECT: usize = 1024;

/// So many numbers are summed at a time: they stay in the nearest cache.
const BLOCK: usize = 2048;

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

    // Calls.

    fn compute(&mut self, call: Call, values: *mut u8) -> Result<(), Error> {
        let (dtype, len) = match call {
            Call::Sum(dtype, len)
            | Call::FastSum(dtype, len)
            | Call::SumShares(dtype, len)
            | Call::GatherShares(dtype, len)
            | Call::Max(dtype, len)
            | Call::Broadcast(dtype, len, _) => (dtype, len),
            Call::Gather | Call::Barrier | Call::End => (DType::F32, 0),
        };
        match dtype {
            // SAFETY: so many values of that precision are lent until the answer, or lie in a room of that many.
            DType::F32 => self.compute_on::<f32>(call, unsafe { std::slice::from_raw_parts_mut(values.cast(), len) }),
            // SAFETY: as above.
            DType::F64 => self.compute_on::<f64>(call, unsafe { std::slice::from_raw_parts_mut(values.cast(), len) }),
        }
    }

    fn compute_on<T: Scalar>(&mut self, call: Call, x: &mut [T]) -> Result<(), Error> {
        match call {
            Call::Sum(..) => self.reduce(call, x, kernels::add_assign),
            Call::Max(..) => self.reduce(call, x, larger),
            Call::FastSum(..) => self.fast_sum(call, x),
            Call::SumShares(..) => self.reduce_shares(call, x, kernels::add_assign).map(drop),
            Call::GatherShares(..) => {
                let (by, phase) = self.way(call, size_of_val(x))?;
                self.gather_shares(Part { call, phase, by }, x)
            }
            Call::Broadcast(_, _, from) => self.broadcast(call, from, x),
            Call::Gather | Call::Barrier | Call::End => Ok(()),
        }
    }

    fn meet_in(&mut self, call: Call) -> Result<(), Error> {
        self.tell(Part { call, phase: 0, by: By::Messages }, &[])
    }

    /// Sends all others the same bytes.
    fn tell(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        self.out.copy(bytes);
        self.exchange(part, |_| 0..bytes.len())
    }

    /// Where this rank writes what the next exchange is to send: so many numbers.
    fn out<T: Scalar>(&mut self, by: By, len: usize) -> &mut [T] {
        match (by, &mut self.memory) {
            // SAFETY: one exchange ends before another begins, and it only begins when they are written.
            (By::Memory, Some(memory)) => unsafe { memory.write(self.rank, self.exchanges + 1, len) },
            _ => {
                self.out.resize(len * size_of::<T>());
                self.out.values_mut()
            }
        }
    }

    /// What another rank has sent in the last exchange: that range of the numbers that it wrote.
    fn heard<T: Scalar>(&self, rank: usize, by: By, range: Range<usize>) -> &[T] {
        match (by, &self.memory) {
            // SAFETY: the exchange has ended, and the next needs this engine back.
            (By::Memory, Some(memory)) => unsafe { &memory.read(rank, self.exchanges, range.end)[range] },
            _ => self.links[rank].room.values(),
        }
    }

    fn reduce<T: Scalar>(&mut self, call: Call, x: &mut [T], combine: fn(&mut [T], &[T])) -> Result<(), Error> {
        if size_of_val(x) > DIRECT {
            let by = self.reduce_shares(call, x, combine)?;
            return self.gather_shares(Part { call, phase: 1, by }, x);
        }
        self.tell(Part { call, phase: 0, by: By::Messages }, bytes_of(x))?;
        for rank in 0..self.size {
            let theirs = if rank == self.rank { self.out.values() } else { self.links[rank].room.values() };
            if rank == 0 { x.copy_from_slice(theirs) } else { combine(x, theirs) }
        }
        Ok(())
    }

    /// Each rank gets from all what is in its share, and combines it in the order of the ranks.
    fn reduce_shares<T: Scalar>(&mut self, call: Call, x: &mut [T], combine: fn(&mut [T], &[T])) -> Result<By, Error> {
        let (len, size, width) = (x.len(), self.size, size_of::<T>());
        let (by, phase) = self.way(call, size_of_val(x))?;
        let own = share(len, self.rank, size);
        let out = self.out(by, len);
        out[..own.start].copy_from_slice(&x[..own.start]);
        out[own.end..].copy_from_slice(&x[own.end..]);
        self.exchange(Part { call, phase, by }, |rank| {
            let part = share(len, rank, size);
            part.start * width..part.end * width
        })?;
        let mut sum = [T::of(0.0); BLOCK];
        for start in own.clone().step_by(BLOCK) {
            let block = start..own.end.min(start + BLOCK);
            let theirs = |rank| &self.heard::<T>(rank, by, own.clone())[start - own.start..block.end - own.start];
            let mine = &mut x[block.clone()];
            if self.rank == 0 {
                (1..size).for_each(|rank| combine(mine, theirs(rank)));
                continue;
            }
            let sum = &mut sum[..block.len()];
            sum.copy_from_slice(theirs(0));
            (1..size).for_each(|rank| combine(sum, if rank == self.rank { &*mine } else { theirs(rank) }));
            mine.copy_from_slice(sum);
        }
        Ok(by)
    }

    fn gather_shares<T: Scalar>(&mut self, part: Part, x: &mut [T]) -> Result<(), Error> {
        let (len, size) = (x.len(), self.size);
        let own = share(len, self.rank, size);
        self.out(part.by, own.len()).copy_from_slice(&x[own.clone()]);
        self.exchange(part, |_| 0..own.len() * size_of::<T>())?;
        for rank in others(self.rank, size) {
            let theirs = share(len, rank, size);
            x[theirs.clone()].copy_from_slice(self.heard(rank, part.by, 0..theirs.len()));
        }
        Ok(())
    }

    fn fast_sum<T: Scalar>(&mut self, call: Call, x: &mut [T]) -> Result<(), Error> {
        // MPI knows no way of its own that is faster than memory.
        if size_of_val(x) <= DIRECT || self.way(call, size_of_val(x))?.0 == By::Memory {
            return self.reduce(call, x, kernels::add_assign);
        }
        // First all come, so that who is late has a name; then MPI does as it likes.
        self.meet_in(call)?;
        self.out.copy(bytes_of(x));
        let most = (self.options.largest_message / size_of::<T>()).max(1);
        let part = Part { call, phase: 1, by: By::Messages };
        for start in (0..x.len()).step_by(most) {
            let len = most.min(x.len() - start);
            // SAFETY: the room lies on this thread and is not touched until the request is done, or never again.
            let request = unsafe {
                let values = self.out.values_mut::<T>().as_mut_ptr().add(start);
                self.port.sum(values.cast(), T::DTYPE, len)
            };
            let request = request.map_err(|problem| failed(call, problem))?;
            let mut wait = Wait::new();
            while !self.port.done(request).map_err(|problem| failed(call, problem))? {
                self.listen(part)?;
                if self.pause(&mut wait, part)? {
                    let problem = format!("MPI_Iallreduce does not end, for {:?}", self.options.deadline);
                    return Err(failed(call, problem));
                }
            }
        }
        x.copy_from_slice(self.out.values());
        let bytes = 2 * (self.size - 1) * size_of_val(x) / self.size;
        self.shared.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    }

    fn broadcast<T: Scalar>(&mut self, call: Call, from: usize, x: &mut [T]) -> Result<(), Error> {
        let (by, phase) = self.way(call, size_of_val(x))?;
        let len = if self.rank == from { x.len() } else { 0 };
        self.out(by, len).copy_from_slice(&x[..len]);
        self.exchange(Part { call, phase, by }, |_| 0..len * size_of::<T>())?;
        if self.rank != from {
            x.copy_from_slice(self.heard(from, by, 0..x.len()));
        }
        Ok(())
    }

    fn gather(&mut self, mine: &[u8], all: &mut Gathered) -> Result<(), Error> {
        self.tell(Part { call: Call::Gather, phase: 0, by: By::Messages }, mine)?;
        all.clear();
        for (rank, link) in self.links.iter().enumerate() {
            all.push(if rank == self.rank { mine } else { link.room.bytes() });
        }
        Ok(())
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
