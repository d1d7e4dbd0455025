use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use tidemill_autograd::tensor::{Arena, Scalar, kernels};
use tidemill_autograd::{Program, Write};
use tidemill_optim::{Optimizer, TableRows, UpdateStep};

use super::outputs::Writer;
use super::pool::{Parts, Pool};
use super::serial::Shard;
use super::{Arenas, Engine, Outputs, Running, Task, Updated, group, is_coupled, share};
use crate::{Error, Sums};

/// The batch cut into shards of equal size, computed on several threads, each shard with its workspace and gradient
/// arena; the gradients are then added in the order of the shards, each thread adding, and then updating, its own slice
/// of the parameters.
///
/// The result depends on the number of shards, which changes the rounding of the sums, and not on the number of
/// threads.
#[derive(Clone, Copy, Debug)]
pub struct DataParallel {
    threads: usize,
    shards: usize,
}

impl DataParallel {
    /// As many shards as threads.
    pub fn new(threads: usize) -> Self {
        Self { threads, shards: threads }
    }

    /// So many shards on as many threads as before.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }
}

impl<T: Scalar> Engine<T> for DataParallel {
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error> {
        if self.threads == 0 || self.shards == 0 {
            return Err(Error::setting("data parallel", "expected at least 1 thread and 1 shard"));
        }
        let group = match group(program) {
            None if self.shards > 1 => return Err(Error::setting("data parallel", is_coupled(program))),
            group => group.unwrap_or(rows.max(1)),
        };
        let slot = |number: usize| Slot {
            shard: Shard::new(program, rows.div_ceil(group).div_ceil(self.shards) * group),
            gradients: Arena::zeros(if number == 0 { 0 } else { program.gradient_len() }),
            sums: Sums::default(),
        };
        Ok(Box::new(Parallel {
            pool: Pool::new(self.threads.min(self.shards)).map_err(|e| Error::setting("data parallel", e))?,
            slots: (0..self.shards).map(|number| RwLock::new(slot(number))).collect(),
            group,
            trained: program.layout().trainable_len(),
            scattered: false,
        }))
    }

    fn describe(&self) -> String {
        describe(self.shards, self.threads.min(self.shards))
    }

    fn updates_rows(&self) -> bool {
        true
    }
}

fn describe(shards: usize, threads: usize) -> String {
    format!("{shards} shards on {threads} threads")
}

struct Parallel<T> {
    pool: Pool,
    slots: Vec<RwLock<Slot<T>>>,
    /// Rows that stay together.
    group: usize,
    /// Where gradients end, and what buffers get begins.
    trained: usize,
    /// Whether the slots hold gradients that have not been added up.
    scattered: bool,
}

struct Slot<T> {
    shard: Shard<T>,
    /// Empty for the first shard, which writes its gradient where the sum of all is to be.
    gradients: Arena<T>,
    sums: Sums,
}

impl<T: Scalar> Parallel<T> {
    /// Has each shard computed by some worker, and adds up the sums in the order of the shards.
    fn each_shard(
        &mut self,
        task: &Task<'_, T>,
        outputs: Option<&mut Outputs<T>>,
        compute: impl Fn(usize, &mut Slot<T>, &Task<'_, T>, Option<Writer<'_, T>>) + Sync,
    ) -> Sums {
        let (slots, group, workers) = (&self.slots, self.group, self.pool.size());
        // Shards are of different rows, and each is computed by one worker.
        let writer = outputs.map(Outputs::writer);
        self.pool.run(&|worker| {
            for shard in (worker..slots.len()).step_by(workers) {
                let rows = share(task.rows.clone(), shard, slots.len(), group);
                let mut slot = slots[shard].write().unwrap_or_else(PoisonError::into_inner);
                compute(shard, &mut slot, &Task { rows, ..task.clone() }, writer);
            }
        });
        let mut sums = Sums::default();
        for slot in &mut self.slots {
            sums.add(slot.get_mut().unwrap_or_else(PoisonError::into_inner).sums);
        }
        sums
    }
}

impl<T: Scalar> Parallel<T> {
    /// Adds what buffers get of the other shards to that of the first, which is little.
    fn add_up_buffers(&mut self, gradients: &mut [T]) {
        let updates = &mut gradients[self.trained..];
        if updates.is_empty() {
            return;
        }
        for slot in &mut self.slots[1..] {
            let slot = slot.get_mut().unwrap_or_else(PoisonError::into_inner);
            let own = &mut slot.gradients[self.trained..];
            kernels::add_assign(updates, own);
            own.fill(T::zero());
        }
    }
}

impl<T: Scalar> Running<T> for Parallel<T> {
    fn describe(&self) -> String {
        describe(self.slots.len(), self.pool.size())
    }

    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        let len = gradients.len();
        let parts = Parts::new(gradients);
        // What was added up already is not to be added again.
        let write_other = if self.scattered { write } else { Write::Assign };
        let sums = self.each_shard(task, outputs, |number, slot, task, outputs| {
            let Slot { shard, gradients, sums } = slot;
            *sums = if number == 0 {
                // SAFETY: there is one shard of this number, and the others have arenas of their own.
                shard.gradient(task, unsafe { parts.part(0..len) }, write, outputs)
            } else {
                shard.gradient(task, gradients, write_other, outputs)
            };
        });
        self.scattered = true;
        self.add_up_buffers(gradients);
        sums
    }

    fn reduce(&mut self, gradients: &mut [T], touched: &[TableRows]) {
        if !std::mem::take(&mut self.scattered) || self.slots.len() == 1 {
            return;
        }
        let (slots, len, parts) = (&self.slots[1..], gradients.len(), Parts::new(gradients));
        // Behind the tables is what buffers get, which has been added up.
        let dense = touched.first().map_or(len, |table| table.range.start);
        share_out(&mut self.pool, 0..dense, |range| {
            // SAFETY: the workers' ranges are disjoint.
            add_up(slots, range.clone(), unsafe { parts.part(range) });
        });
        for table in touched {
            share_out(&mut self.pool, 0..table.rows.len() * table.width, |part| {
                let first = part.start.div_ceil(table.width)..part.end.div_ceil(table.width);
                for &row in &table.rows[first] {
                    let place = table.place(row);
                    // SAFETY: the workers' rows are others.
                    add_up(slots, place.clone(), unsafe { parts.part(place) });
                }
            });
        }
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        self.each_shard(task, Some(outputs), |_, slot, task, outputs| {
            slot.sums = slot.shard.evaluate(task, outputs.expect("outputs were given"));
        })
    }

    /// Each worker adds up and updates a slice of its own. Only where something must be measured of the whole gradient
    /// first is that made whole before.
    fn update(&mut self, optimizer: &Optimizer<T>, step: UpdateStep, scale: T, arenas: Arenas<'_, T>) -> Updated {
        let Arenas { params, gradients, optimizer: memory, touched, .. } = arenas;
        if optimizer.measures_first() {
            self.reduce(gradients, touched);
        }
        let others = if std::mem::take(&mut self.scattered) { &self.slots[1..] } else { &[] };
        let (arenas, complete) = ([params, gradients, memory], |range: Range<usize>, gradients: &mut [T]| {
            add_up(others, range, gradients);
        });
        match touched {
            [] => optimizer.update_in_parallel(step, scale, arenas, &mut self.pool, &complete),
            _ => optimizer.update_rows(step, scale, arenas, touched, &mut self.pool, &complete),
        }
        Updated::default()
    }
}

/// Adds a range of the slots' gradients, in their order.
fn add_up<T: Scalar>(slots: &[RwLock<Slot<T>>], range: Range<usize>, gradients: &mut [T]) {
    for slot in slots {
        let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
        kernels::add_assign(gradients, &slot.gradients[range.clone()]);
    }
}

/// Elements of an arena for which it is worth waking another worker up.
const WORTHWHILE: usize = 4096;

/// How many workers share an arena of so many elements.
fn workers(pool: &Pool, elements: usize) -> usize {
    (elements / WORTHWHILE).clamp(1, pool.size())
}

/// Calls `job` with disjoint ranges that make up `range`, on as many workers as are worth it.
fn share_out(pool: &mut Pool, range: Range<usize>, job: impl Fn(Range<usize>) + Sync) {
    match workers(pool, range.len()) {
        1 => job(range),
        workers => pool.run(&|worker| {
            if worker < workers {
                job(share(range.clone(), worker, workers, 1));
            }
        }),
    }
}
