use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tidemill_tensor::Scalar;

use super::queue::{ClosedOnDrop, Queue};
use super::{unwrap, wrap};
use crate::{Batch, Cursor, Error, MemoryPlan, Schema, Source};

/// Another source's rows, read ahead by a thread of its own; made by [`prefetch`](crate::SourceExt::prefetch).
///
/// Buffers go round between the thread and whoever fills: a batch that is filled while empty is swapped for one that is
/// ready. They are handed back by halves of those that there are, as waking a thread takes longer than swapping: with
/// many batches ahead, filling one costs next to nothing. An error of the source comes where the source gave it.
/// Dropping or seeking waits for the one batch that is being read, no longer.
#[derive(Debug)]
pub struct Prefetch<T: Scalar> {
    schema: Arc<Schema>,
    epoch_rows: Option<u64>,
    plan: MemoryPlan,
    batches: usize,
    size: usize,
    thread: Thread<T>,
    /// Buffers that neither the thread nor `current` has.
    spare: Vec<Batch<T>>,
    /// The batch that is given out, and how many of its rows were.
    current: Batch<T>,
    given: usize,
    /// Where the source was before and after `current`.
    before: Cursor,
    after: Cursor,
    ended: bool,
}

impl<T: Scalar> Prefetch<T> {
    pub(super) fn new(source: impl Source<T> + 'static, batches: usize, size: usize) -> Result<Self, Error> {
        let schema = Arc::clone(source.schema());
        let epoch_rows = source.rows();
        let cursor = source.cursor();
        let plan = plan(&source, batches, size);
        let mut spare: Vec<_> = (0..=batches).map(|_| Batch::new(Arc::clone(&schema))).collect();
        spare.iter_mut().for_each(|batch| batch.make_room(size));
        let current = spare.swap_remove(0);
        let thread = Thread::start(source, batches, size)?;
        let (before, after) = (cursor, cursor);
        let mut prefetch = Self {
            schema,
            epoch_rows,
            plan,
            batches,
            size,
            thread,
            spare,
            current,
            given: 0,
            before,
            after,
            ended: false,
        };
        prefetch.hand_over();
        Ok(prefetch)
    }

    /// Gives all spare buffers to the thread.
    fn hand_over(&mut self) {
        self.thread.requests.extend(self.spare.drain(..).map(Request::Fill));
    }

    /// Takes the next batch from the thread; `false` at the end of the epoch.
    fn advance(&mut self) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        match self.thread.answer()? {
            Answer::Filled { batch, before, after, result } => {
                self.spare.push(std::mem::replace(&mut self.current, batch));
                (self.before, self.after, self.given) = (before, after, 0);
                self.ended = result? < self.size;
                // Waking the thread can cost more than all else that is done here, so it is done for several batches.
                if !self.ended && 2 * self.spare.len() >= self.batches {
                    self.hand_over();
                }
                Ok(self.current.rows() > 0)
            }
            Answer::Sought(_) => unreachable!("every seek waits for its answer"),
        }
    }
}

impl<T: Scalar> Source<T> for Prefetch<T> {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn fill(&mut self, batch: &mut Batch<T>, rows: usize) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < rows {
            if self.given == self.current.rows() && !self.advance().inspect_err(|_| batch.clear())? {
                break;
            }
            let next = self.given..self.current.rows().min(self.given + rows - taken);
            taken += next.len();
            let whole = next.len() == self.current.rows();
            if whole && batch.rows() == 0 && Arc::ptr_eq(batch.schema(), &self.schema) {
                std::mem::swap(batch, &mut self.current);
                self.current.make_room(self.size);
                self.given = 0;
            } else {
                self.given = next.end;
                batch.push_rows(&self.current, next);
            }
        }
        Ok(taken)
    }

    fn cursor(&self) -> Cursor {
        let inside = self.given < self.current.rows();
        wrap(if inside { self.before } else { self.after }, if inside { self.given as u64 } else { 0 })
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (given, below) = unwrap(cursor);
        self.current.clear();
        self.given = 0;
        self.ended = true;
        self.after = self.thread.seek(below, &mut self.spare)?;
        self.ended = false;
        self.hand_over();
        if given > 0 {
            self.advance()?;
            if given > self.current.rows() as u64 {
                return Err(Error::seek(cursor, format!("the batch there has {} rows", self.current.rows())));
            }
            self.given = given as usize;
        }
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        self.epoch_rows
    }

    fn memory_plan(&self) -> MemoryPlan {
        self.plan.clone()
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        let needed = self.plan.total();
        if needed <= bytes {
            return Ok(());
        }
        let (what, advice) = ("reading ahead".to_owned(), "limit the source before it is read ahead".to_owned());
        Err(Error::Budget { what, needed, budget: bytes, advice })
    }
}

/// The source's plan and the batches that go round, with the one that whoever fills has.
fn plan<T: Scalar>(source: &impl Source<T>, batches: usize, size: usize) -> MemoryPlan {
    let bytes = (source.schema().row_bytes(size_of::<T>()) as u64).saturating_mul(size as u64);
    let detail = format!("{batches} batches of {size} rows ahead, 2 in use");
    source.memory_plan().with("prefetch", detail, bytes.saturating_mul(batches as u64 + 2))
}

#[derive(Debug)]
enum Request<T> {
    Fill(Batch<T>),
    Seek(Cursor),
}

#[derive(Debug)]
enum Answer<T> {
    Filled { batch: Batch<T>, before: Cursor, after: Cursor, result: Result<usize, Error> },
    Sought(Result<Cursor, Error>),
}

/// The thread that reads: requests are answered in order, except that after a seek or a drop those before it are
/// answered unfilled.
#[derive(Debug)]
struct Thread<T: Scalar> {
    requests: Queue<Request<T>>,
    answers: Queue<Answer<T>>,
    /// How many seeks were asked for and not begun; above zero, nothing needs to be filled.
    interrupts: Arc<AtomicU64>,
    handle: Option<JoinHandle<()>>,
    /// What it said when it panicked.
    panic: String,
}

impl<T: Scalar> Thread<T> {
    fn start(source: impl Source<T> + 'static, batches: usize, size: usize) -> Result<Self, Error> {
        // Room for all buffers and a seek.
        let (requests, answers) = (Queue::new(batches + 1), Queue::new(batches + 1));
        let interrupts = Arc::new(AtomicU64::new(0));
        let worker = (requests.clone(), ClosedOnDrop(answers.clone()), Arc::clone(&interrupts));
        let handle = thread::Builder::new()
            .name("prefetch".into())
            .spawn(move || work(source, size, &worker.0, &worker.1, &worker.2))
            .map_err(|error| Error::invalid("prefetch", format!("there is no thread for it: {error}")))?;
        Ok(Self { requests, answers, interrupts, handle: Some(handle), panic: String::new() })
    }

    /// A request to a thread that has ended is never answered; that the answers end says so.
    fn ask(&self, request: Request<T>) {
        self.requests.push(request);
    }

    fn answer(&mut self) -> Result<Answer<T>, Error> {
        self.answers.pop().ok_or_else(|| self.lost())
    }

    /// Where the source is after the seek; the buffers that the thread had are then spare.
    fn seek(&mut self, cursor: Cursor, spare: &mut Vec<Batch<T>>) -> Result<Cursor, Error> {
        self.interrupts.fetch_add(1, Ordering::SeqCst);
        self.ask(Request::Seek(cursor));
        loop {
            match self.answer()? {
                Answer::Filled { batch, .. } => spare.push(batch),
                Answer::Sought(result) => return result,
            }
        }
    }

    /// The thread has ended before it was told to, which it does by a panic alone.
    fn lost(&mut self) -> Error {
        if let Some(Err(payload)) = self.handle.take().map(JoinHandle::join) {
            self.panic = message(&*payload);
        }
        Error::invalid("prefetch", format!("the thread that reads ahead panicked: {}", self.panic))
    }
}

impl<T: Scalar> Drop for Thread<T> {
    fn drop(&mut self) {
        self.interrupts.fetch_add(1, Ordering::SeqCst);
        self.requests.close();
        if let Some(handle) = self.handle.take() {
            // A panic was either reported or is of no interest any more.
            let _ = handle.join();
        }
    }
}

fn work<T: Scalar>(
    mut source: impl Source<T>,
    size: usize,
    requests: &Queue<Request<T>>,
    answers: &ClosedOnDrop<Answer<T>>,
    interrupts: &AtomicU64,
) {
    let mut ended = false;
    while let Some(request) = requests.pop() {
        let answer = match request {
            Request::Seek(cursor) => {
                interrupts.fetch_sub(1, Ordering::SeqCst);
                ended = false;
                Answer::Sought(source.seek(cursor).map(|()| source.cursor()))
            }
            Request::Fill(mut batch) => {
                batch.clear();
                let before = source.cursor();
                let idle = ended || interrupts.load(Ordering::SeqCst) > 0;
                let result = if idle { Ok(0) } else { source.fill(&mut batch, size) };
                ended = !matches!(result, Ok(rows) if rows == size);
                Answer::Filled { batch, before, after: source.cursor(), result }
            }
        };
        answers.0.push(answer);
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).into(),
        (_, Some(text)) => text.clone(),
        _ => "without a message".into(),
    }
}
