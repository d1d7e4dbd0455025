use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_autograd::tensor::{Arena, Scalar};
use tidemill_autograd::{Inputs, Program, Table, Write};
use tidemill_optim::Optimizer;

use super::pool::Pool;
use super::serial::{RowOutputs, Shard};
use super::{Engine, Outputs, Running, Stepping, Task};
use crate::binding::BoundRows;
use crate::{Error, Sums};

/// Threads that share the parameters and do not wait for each other: each takes a few rows of the batch, reads the
/// parameters as they happen to be, and adds its step to them. A batch is so many steps, not one.
///
/// No step is lost, and what others write meanwhile is read element by element: a thread may compute on parameters of
/// which some are older than others. So two runs differ, and neither takes the steps of one thread; with one thread they
/// are those of [`Serial`](super::Serial) with batches of as many rows, up to rounding. It pays where rows touch few
/// parameters, which threads then seldom share: of an embedding, only the rows that a step's categories name are read and
/// written. Models without one are trained too, and gain little.
///
/// Optimizers that remember anything but the parameters, such as momentum, are refused, and so are those that look at the
/// whole gradient first.
///
/// # Example
///
/// ```
/// # use tidemill_autograd::Program;
/// # use tidemill_data::MemorySource;
/// # use tidemill_layers::{Embedding, Layer};
/// # use tidemill_losses::{Loss, MeanSquaredError};
/// # use tidemill_optim::sgd;
/// use tidemill_strategies::{Hogwild, Online, Trainer};
///
/// # let program = Program::<f64>::build(|graph| {
/// #     let word = graph.index_input("word", &[], 3)?;
/// #     let y = Embedding::new(3, 1).apply(graph, word)?;
/// #     MeanSquaredError.apply(graph, y)
/// # })?;
/// # let mut rows = MemorySource::builder().indices("word", 3, vec![0, 1, 2]).target(vec![2.0, 4.0, 6.0]).build()?;
/// // Steps of one row each, two at a time, of the thousand rows that are read at once.
/// let trainer = Trainer::new(program, sgd(0.1))?.engine(Hogwild::new(2).rows(1));
/// let mut state = trainer.start(7);
/// trainer.run(&Online::new().batch_size(1000).passes(50), &mut state, &mut rows, &mut ())?;
/// assert!((state.params[2] - 6.0).abs() < 0.1);
/// # Ok::<(), tidemill_strategies::Error>(())
/// ```
///
/// # References
///
/// F. Niu, B. Recht, C. Ré, S. J. Wright, *Hogwild!: a lock-free approach to parallelizing stochastic gradient descent*,
/// 2011.
#[derive(Clone, Copy, Debug)]
pub struct Hogwild {
    threads: usize,
    rows: usize,
}

impl Hogwild {
    /// So many threads, with steps of one row.
    pub fn new(threads: usize) -> Self {
        Self { threads, rows: 1 }
    }

    /// Rows of each thread's step.
    #[must_use]
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }
}

impl<T: Scalar> Engine<T> for Hogwild {
    fn start(&self, program: &Arc<Program<T>>, rows: usize) -> Result<Box<dyn Running<T>>, Error> {
        if self.threads == 0 || self.rows == 0 {
            return Err(Error::setting("hogwild", "expected at least 1 thread and 1 row a step"));
        }
        let tables = program.tables().to_vec();
        let len = program.layout().len();
        let dense = dense(&tables, len);
        let worker = |_| {
            Mutex::new(Worker {
                shard: Shard::new(program, self.rows),
                params: Arena::zeros(len),
                read: Arena::zeros(len),
                gradients: Arena::zeros(len),
                touched: Vec::with_capacity(dense.len() + tables.len() * self.rows),
                named: Vec::with_capacity(self.rows),
                sums: Sums::default(),
            })
        };
        Ok(Box::new(Herd {
            pool: Pool::new(self.threads).map_err(|e| Error::setting("hogwild", e))?,
            shard: Shard::new(program, rows),
            width: program.prediction_width(),
            rows: self.rows,
            shared: (0..len).map(|_| AtomicU64::new(0)).collect(),
            workers: (0..self.threads).map(worker).collect(),
            dense,
            tables,
        }))
    }

    fn describe(&self) -> String {
        describe(self.threads, self.rows)
    }
}

fn describe(threads: usize, rows: usize) -> String {
    format!("hogwild, {threads} threads with steps of {rows} rows")
}

/// What no table covers.
fn dense(tables: &[Table], len: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<&Range<usize>> = tables.iter().map(|table| &table.range).collect();
    ranges.sort_by_key(|range| range.start);
    let mut dense = Vec::new();
    let mut at = 0;
    for range in ranges {
        if range.start > at {
            dense.push(at..range.start);
        }
        at = at.max(range.end);
    }
    if at < len {
        dense.push(at..len);
    }
    dense
}

struct Herd<T> {
    pool: Pool,
    /// For what is not training.
    shard: Shard<T>,
    width: usize,
    rows: usize,
    /// The parameters, as bits of `f64`, which holds any scalar.
    shared: Vec<AtomicU64>,
    workers: Vec<Mutex<Worker<T>>>,
    dense: Vec<Range<usize>>,
    tables: Vec<Table>,
}

struct Worker<T> {
    shard: Shard<T>,
    /// The parameters that a step reads, and then those that it wants.
    params: Arena<T>,
    /// As they were read.
    read: Arena<T>,
    /// Zero but for what a step touches.
    gradients: Arena<T>,
    /// What that is.
    touched: Vec<Range<usize>>,
    /// Rows of a table, in order.
    named: Vec<u32>,
    sums: Sums,
}

impl<T: Scalar> Running<T> for Herd<T> {
    fn describe(&self) -> String {
        describe(self.workers.len(), self.rows)
    }

    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        gradients: &mut [T],
        write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        let outputs = outputs.map(|outputs| RowOutputs::of(outputs, task.rows.clone(), self.width));
        self.shard.gradient(task, gradients, write, outputs)
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        self.shard.evaluate(task, RowOutputs::of(outputs, task.rows.clone(), self.width))
    }

    fn stepping(&mut self) -> Option<&mut dyn Stepping<T>> {
        Some(self)
    }
}

impl<T: Scalar> Stepping<T> for Herd<T> {
    fn check(&self, optimizer: &Optimizer<T>) -> Result<(), Error> {
        let measures = optimizer.phases().iter().any(|phase| phase.blocks() > 0);
        let why = match (measures, optimizer.state_len() > 0) {
            (true, _) => "looks at the whole gradient first",
            (false, true) => "keeps a memory of gradients",
            (false, false) => return Ok(()),
        };
        let problem =
            format!("the optimizer {why}, which threads that do not wait for each other cannot share; use sgd");
        Err(Error::setting("hogwild", problem))
    }

    fn steps(&mut self, task: &Task<'_, T>, params: &mut [T], optimizer: &Optimizer<T>, step: u64) -> (Sums, u64) {
        for (shared, &value) in self.shared.iter_mut().zip(&*params) {
            *shared.get_mut() = to_bits(value);
        }
        let Self { pool, rows, shared, workers, dense, tables, .. } = self;
        let count = task.rows.len().div_ceil(*rows);
        let next = AtomicUsize::new(0);
        let (shared, workers, tables, dense, rows) = (&*shared, &*workers, &*tables, &*dense, *rows);
        pool.run(&|number| {
            let mut worker = workers[number].lock().unwrap_or_else(PoisonError::into_inner);
            worker.sums = Sums::default();
            loop {
                let taken = next.fetch_add(1, Ordering::Relaxed);
                if taken >= count {
                    break;
                }
                let start = task.rows.start + taken * rows;
                let part = Task { rows: start..task.rows.end.min(start + rows), ..task.clone() };
                worker.step(&part, shared, (dense, tables), optimizer, step + taken as u64);
            }
        });
        let mut sums = Sums::default();
        for worker in &mut self.workers {
            sums.add(worker.get_mut().unwrap_or_else(PoisonError::into_inner).sums);
        }
        // Where training diverged, the parameters stay as they were.
        if sums.loss.is_finite() {
            for (value, shared) in params.iter_mut().zip(&mut self.shared) {
                *value = of_bits(*shared.get_mut());
            }
        }
        (sums, count as u64)
    }
}

impl<T: Scalar> Worker<T> {
    fn step(
        &mut self,
        task: &Task<'_, T>,
        shared: &[AtomicU64],
        (dense, tables): (&[Range<usize>], &[Table]),
        optimizer: &Optimizer<T>,
        step: u64,
    ) {
        let Self { shard, params, read, gradients, touched, named, sums } = self;
        touched.clear();
        touched.extend_from_slice(dense);
        let inputs = BoundRows { binding: task.binding, batch: task.batch, rows: task.rows.clone() };
        for table in tables {
            named.clear();
            named.extend_from_slice(Inputs::<T>::indices(&inputs, table.input));
            named.sort_unstable();
            named.dedup();
            let row = |&index: &u32| {
                let start = table.range.start + index as usize * table.width;
                start..start + table.width
            };
            touched.extend(named.iter().map(row));
        }
        for range in &*touched {
            for i in range.clone() {
                read[i] = of_bits(shared[i].load(Ordering::Relaxed));
            }
            params[range.clone()].copy_from_slice(&read[range.clone()]);
            gradients[range.clone()].fill(T::zero());
        }
        let found = shard.gradient(&Task { params, ..task.clone() }, gradients, Write::Add, None);
        sums.add(found);
        if found.weight == 0.0 {
            return;
        }
        let scale = T::of(1.0 / found.weight);
        for range in &*touched {
            let (part, factors) = optimizer.split(params, gradients, &mut []);
            let mut part = part.split_at(range.end).0.split_at(range.start).1;
            optimizer.phases().iter().for_each(|phase| phase.update(step, scale, &mut part, factors));
            for i in range.clone() {
                let moved = params[i].widen() - read[i].widen();
                if moved != 0.0 {
                    // Added, whatever others have added since it was read.
                    let add = |bits| Some(to_bits(T::of(f64::from_bits(bits) + moved)));
                    let _ = shared[i].fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
                }
            }
        }
    }
}

fn to_bits<T: Scalar>(value: T) -> u64 {
    value.widen().to_bits()
}

fn of_bits<T: Scalar>(bits: u64) -> T {
    T::of(f64::from_bits(bits))
}
