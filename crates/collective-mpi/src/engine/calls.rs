//! What calls do: what ranks send each other of their values, and what they make of it.

use std::ops::Range;
use std::sync::atomic::Ordering;

use tidemill_collective::tensor::{DType, Scalar, kernels};
use tidemill_collective::{Call, Error, Gathered, larger, share};

use super::memory::By;
use super::messages::Wait;
use super::{Engine, Part, failed, others};
use crate::room::bytes_of;

/// Up to so many bytes, everybody's values are sent to everybody: one way, where shares of a sum need two.
const DIRECT: usize = 1024;

/// So many numbers are summed at a time: they stay in the nearest cache.
const BLOCK: usize = 2048;

impl Engine {
    pub(super) fn compute(&mut self, call: Call, values: *mut u8) -> Result<(), Error> {
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

    pub(super) fn meet_in(&mut self, call: Call) -> Result<(), Error> {
        self.tell(Part { call, phase: 0, by: By::Messages }, &[])
    }

    /// Sends all others the same bytes.
    pub(super) fn tell(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
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

    pub(super) fn fast_sum<T: Scalar>(&mut self, call: Call, x: &mut [T]) -> Result<(), Error> {
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

    pub(super) fn gather(&mut self, mine: &[u8], all: &mut Gathered) -> Result<(), Error> {
        self.tell(Part { call: Call::Gather, phase: 0, by: By::Messages }, mine)?;
        all.clear();
        for (rank, link) in self.links.iter().enumerate() {
            all.push(if rank == self.rank { mine } else { link.room.bytes() });
        }
        Ok(())
    }
}
