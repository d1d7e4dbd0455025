use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_autograd::tensor::{Arena, Scalar};
use tidemill_autograd::{Inputs, Program, Table, Write};
use tidemill_optim::{Optimizer, UpdateStep};

use super::pool::Pool;
use super::serial::Shard;
use super::{Arenas, Engine, NonFinite, Outputs, Running, Task, Updated, group, is_coupled};
use crate::binding::BoundRows;
use crate::{Error, Sums};

/// Threads that share the parameters and do not wait for each other: each takes a few rows of the batch, reads the
/// parameters as they happen to be, and adds its step to them. A batch is so many steps, not one.
///
/// No step is lost, and what others write meanwhile is read element by element: a thread may compute on parameters of
/// which some are older than others. So two runs differ, and neither takes the steps of one thread; with one thread they
/// are those of [`Serial`](super::Serial) with batches of as many rows, up to rounding, dropout included. It pays where
/// rows touch few parameters, which threads then seldom share: of an embedding, only the rows that a step's categories
/// name are read and written. Models without one are trained too, and gain little. So do embeddings that the optimizer
/// moves without a gradient, by a penalty such as `l2`: all their rows are read and written in each step.
///
/// Optimizers that remember anything but the parameters, such as momentum, are refused, and so are those that look at the
/// whole gradient first, and models that look at several rows at once, unless a step is the whole batch.
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
        match group(program) {
            None if self.rows < rows => return Err(Error::setting("hogwild", is_coupled(program))),
            Some(group) if self.rows < rows && !self.rows.is_multiple_of(group) => {
                let by = program.coupled_by(true);
                let problem = format!("steps of {} rows cut the groups of {group} rows of {by}", self.rows);
                return Err(Error::setting("hogwild", problem));
            }
            _ => {}
        }
        if program.layout().buffer_len() > 0 {
            let problem = "the model has buffers (such as running averages), which threads that do not wait for each other \
                           cannot share; freeze them, or use another engine";
            return Err(Error::setting("hogwild", problem));
        }
        let tables = program.tables().to_vec();
        let (len, trained) = (program.layout().len(), program.layout().trainable_len());
        let worker = |_| {
            Mutex::new(Worker {
                shard: Shard::new(program, self.rows),
                params: Arena::zeros(len),
                read: Arena::zeros(len),
                gradients: Arena::zeros(trained),
                touched: Vec::new(),
                named: Vec::new(),
                sums: Sums::default(),
                non_finite: None,
            })
        };
        Ok(Box::new(Herd {
            pool: Pool::new(self.threads).map_err(|e| Error::setting("hogwild", e))?,
            shard: Shard::new(program, rows),
            rows: self.rows,
            shared: (0..trained).map(|_| AtomicU64::new(0)).collect(),
            workers: (0..self.threads).map(worker).collect(),
            dense: dense(&tables, trained),
            tables,
            is_random: program.is_random(),
            optimizer: None,
            pieces: Vec::new(),
            non_finite: None,
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
    rows: usize,
    /// The parameters, as bits of `f64`, which holds any scalar.
    shared: Vec<AtomicU64>,
    workers: Vec<Mutex<Worker<T>>>,
    dense: Vec<Range<usize>>,
    tables: Vec<Table>,
    is_random: bool,
    /// By what a run trains.
    optimizer: Option<Arc<Optimizer<T>>>,
    /// The rows of each step of the last batch.
    pieces: Vec<Range<usize>>,
    /// What made its loss not finite.
    non_finite: Option<NonFinite>,
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
    /// The first loss that was not finite.
    non_finite: Option<NonFinite>,
}

impl<T: Scalar> Running<T> for Herd<T> {
    fn describe(&self) -> String {
        describe(self.workers.len(), self.rows)
    }

    fn prepare(&mut self, optimizer: &Arc<Optimizer<T>>) -> Result<(), Error> {
        let measures = !optimizer.is_elementwise();
        let why = match (measures, optimizer.state_len() > 0) {
            (true, _) => "looks at the whole gradient first",
            (false, true) => "keeps a memory of gradients",
            (false, false) => {
                self.make_ready(optimizer);
                return Ok(());
            }
        };
        let problem =
            format!("the optimizer {why}, which threads that do not wait for each other cannot share; use sgd");
        Err(Error::setting("hogwild", problem))
    }

    /// Takes the steps, on parameters that the threads share; [`update`](Running::update) takes them over. The gradient
    /// is never whole: `gradients` stay as they are.
    fn gradient(
        &mut self,
        task: &Task<'_, T>,
        _gradients: &mut [T],
        _write: Write,
        outputs: Option<&mut Outputs<T>>,
    ) -> Sums {
        if let Some(outputs) = outputs {
            self.evaluate(task, outputs);
        }
        for (shared, &value) in self.shared.iter_mut().zip(task.params) {
            *shared.get_mut() = to_bits(value);
        }
        let frozen = self.shared.len()..task.params.len();
        for worker in &mut self.workers {
            let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
            worker.params[frozen.clone()].copy_from_slice(&task.params[frozen.clone()]);
        }
        // Of the rows as they were read, so that a row of weight zero does not move others to another step.
        let (each, read) = (self.rows, task.read.count);
        self.pieces.clear();
        // With rows of weight zero, the first batch may have fewer pieces than others.
        self.pieces.reserve(read.div_ceil(each));
        let pieces = (0..read).step_by(each).map(|start| task.read.kept_of(start..read.min(start + each)));
        self.pieces.extend(pieces.filter(|piece| !piece.is_empty()));
        self.steps(task)
    }

    fn evaluate(&mut self, task: &Task<'_, T>, outputs: &mut Outputs<T>) -> Sums {
        self.shard.evaluate(task, outputs.writer())
    }

    fn update(&mut self, _: &Optimizer<T>, _: UpdateStep, _: T, Arenas { params, .. }: Arenas<'_, T>) -> Updated {
        for (value, shared) in params.iter_mut().zip(&mut self.shared) {
            *value = of_bits(*shared.get_mut());
        }
        Updated { steps: self.pieces.len() as u64, ..Updated::default() }
    }

    fn takes_steps(&self) -> bool {
        true
    }

    fn non_finite(&self) -> Option<NonFinite> {
        self.non_finite
    }
}

impl<T: Scalar> Herd<T> {
    fn make_ready(&mut self, optimizer: &Arc<Optimizer<T>>) {
        self.optimizer = Some(Arc::clone(optimizer));
        // Of what moves without a gradient too, no row is left alone.
        let moves = |table: &Table| optimizer.moves_without_gradient(table.range.clone());
        self.tables.retain(|table| !moves(table));
        self.dense = dense(&self.tables, self.shared.len());
        let (dense, rows) = (self.dense.len(), self.rows);
        let named = |table: &Table| table.inputs.len() * rows;
        let all = self.tables.iter().map(named).sum::<usize>();
        let most = self.tables.iter().map(named).max().unwrap_or(0);
        for worker in &mut self.workers {
            let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
            (worker.touched, worker.named) = (Vec::with_capacity(dense + all), Vec::with_capacity(most));
        }
    }

    /// A step on each of the pieces; the sums as they were met on the way.
    fn steps(&mut self, task: &Task<'_, T>) -> Sums {
        let Self { pool, shared, workers, dense, tables, is_random, pieces, optimizer, .. } = self;
        let optimizer = optimizer.as_deref().expect("an engine is prepared before its first gradient");
        // The first step of each worker is its own, so that all are warm after the first batch.
        let (next, diverged) = (AtomicUsize::new(workers.len()), AtomicBool::new(false));
        let (shared, workers, tables, dense) = (&*shared, &*workers, &*tables, &*dense);
        let (pieces, is_random) = (&*pieces, *is_random);
        pool.run(&|number| {
            let mut worker = workers[number].lock().unwrap_or_else(PoisonError::into_inner);
            (worker.sums, worker.non_finite) = (Sums::default(), None);
            let mut taken = number;
            while !diverged.load(Ordering::Relaxed) {
                let Some(rows) = pieces.get(taken) else { break };
                let step = task.step + taken as u64;
                let key = if is_random { task.keys.fold(step) } else { task.key };
                let part = Task { rows: rows.clone(), step, key, ..task.clone() };
                if !worker.step(&part, shared, (dense, tables), optimizer) {
                    diverged.store(true, Ordering::Relaxed);
                }
                taken = next.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut sums = Sums::default();
        self.non_finite = None;
        for worker in &mut self.workers {
            let worker = worker.get_mut().unwrap_or_else(PoisonError::into_inner);
            sums.add(worker.sums);
            let found = [self.non_finite, worker.non_finite].into_iter().flatten();
            self.non_finite = found.min_by_key(|found| found.step);
        }
        if let Some(found) = self.non_finite {
            sums.loss = found.loss;
        }
        sums
    }
}

impl<T: Scalar> Worker<T> {
    /// Takes a step, unless the loss is not finite; says whether it is.
    fn step(
        &mut self,
        task: &Task<'_, T>,
        shared: &[AtomicU64],
        (dense, tables): (&[Range<usize>], &[Table]),
        optimizer: &Optimizer<T>,
    ) -> bool {
        let step = task.step;
        let Self { shard, params, read, gradients, touched, named, sums, non_finite } = self;
        touched.clear();
        touched.extend_from_slice(dense);
        let inputs = BoundRows { binding: task.binding, batch: task.batch, rows: task.rows.clone() };
        for table in tables {
            named.clear();
            for &input in &table.inputs {
                named.extend_from_slice(Inputs::<T>::indices(&inputs, input));
            }
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
        let task = Task { params, ..task.clone() };
        let found = shard.step_gradient(&task, gradients);
        if !found.loss.is_finite() {
            let loss = found.loss;
            let (row, loss) = shard.first_non_finite(&task).unwrap_or((task.rows.start, loss));
            *non_finite = Some(NonFinite { step, row, loss });
            return false;
        }
        sums.add(found);
        if found.weight == 0.0 {
            return true;
        }
        let scale = T::of(1.0 / found.weight);
        let at = UpdateStep { number: step, learning_rate_factor: task.learning_rate_factor };
        for range in &*touched {
            let params = &mut params[..shared.len()];
            optimizer.update_range(at, scale, range.clone(), params, gradients, &mut []);
            for i in range.clone() {
                let moved = params[i].widen() - read[i].widen();
                if moved != 0.0 {
                    // Added, whatever others have added since it was read.
                    let add = |bits| Some(to_bits(T::of(f64::from_bits(bits) + moved)));
                    let _ = shared[i].fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
                }
            }
        }
        true
    }
}

fn to_bits<T: Scalar>(value: T) -> u64 {
    value.widen().to_bits()
}

fn of_bits<T: Scalar>(bits: u64) -> T {
    T::of(f64::from_bits(bits))
}
