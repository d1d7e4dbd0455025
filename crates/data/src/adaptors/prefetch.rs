use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidemill_tensor::Scalar;

use super::queue::{ClosedOnDrop, Queue};
use super::{unwrap, wrap};
use crate::{Batch, Cursor, Error, Interrupt, MemoryPlan, Schema, Source, Waiting, Watch};

/// Another source's rows, read ahead by a thread of its own; made by [`prefetch`](crate::SourceExt::prefetch).
///
/// Buffers go round between the thread and whoever fills: a batch that is filled while empty is swapped for one that is
/// ready. They are handed back by halves of those that there are, as waking a thread takes longer than swapping: with
/// many batches ahead, filling one costs next to nothing. An error of the source comes where the source gave it.
///
/// Dropping or seeking interrupts a source that waits for rows, and waits for the one batch that is being read. A source
/// that takes longer than a second for it is left to its thread, which ends with that batch.
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
    /// Whether `current` came with fewer rows than were asked for.
    short: bool,
    /// Whether an error came since the last seek.
    failed: bool,
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
            short: false,
            failed: false,
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
        match self.thread.answer(&mut self.spare)? {
            Answer::Filled { batch, before, after, result } => {
                self.spare.push(std::mem::replace(&mut self.current, batch));
                (self.before, self.after, self.given) = (before, after, 0);
                let rows = result?;
                (self.ended, self.short) = (rows == 0, rows < self.size);
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
        if self.failed && self.thread.handle.is_some() {
            batch.clear();
            return Err(Error::invalid("prefetch", "an error came before; seek to where reading is to go on"));
        }
        let mut taken = 0;
        while taken < rows {
            if self.given == self.current.rows() {
                // The source had no more when it gave these: whoever has some need not wait for others.
                if taken > 0 && self.short {
                    break;
                }
                match self.advance() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        self.failed |= taken > 0 || !matches!(error, Error::Interrupted);
                        batch.clear();
                        return Err(error);
                    }
                }
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
        if !self.failed && cursor == self.cursor() {
            return Ok(());
        }
        let (given, below) = unwrap(cursor);
        self.failed = true;
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
        self.failed = false;
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

    fn watch(&mut self, interrupt: &Interrupt) {
        self.thread.watch.add(interrupt);
    }

    fn blocked(&self) -> Duration {
        self.thread.blocked
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

/// How long the source may take, when nobody needs it any more, to notice.
const PATIENCE: Duration = Duration::from_secs(1);

/// The thread that reads: requests are answered in order, except that after a seek or a drop those before it are
/// answered unfilled.
#[derive(Debug)]
struct Thread<T: Scalar> {
    requests: Queue<Request<T>>,
    answers: Queue<Answer<T>>,
    control: Arc<Control>,
    handle: Option<JoinHandle<()>>,
    /// What it said when it panicked.
    panic: String,
    /// Seeks that were interrupted before they were answered: what comes before their answers is of no interest.
    stale: usize,
    watch: Watch,
    blocked: Duration,
}

/// What the thread is told past the queue.
#[derive(Debug, Default)]
struct Control {
    /// How many seeks were asked for and not begun; above zero, nothing needs to be filled.
    seeks: AtomicU64,
    /// Set while there are any, so that the source does not wait for rows that nobody needs.
    interrupt: Interrupt,
}

impl Control {
    fn begin_seek(&self) {
        self.seeks.fetch_add(1, Ordering::SeqCst);
        self.interrupt.set();
    }

    fn seek_begins(&self) {
        // Should another be asked for just now, then nothing is filled until it begins, whether or not the flag is set.
        if self.seeks.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.interrupt.clear();
        }
    }

    fn fills(&self) -> bool {
        self.seeks.load(Ordering::SeqCst) == 0
    }
}

impl<T: Scalar> Thread<T> {
    fn start(mut source: impl Source<T> + 'static, batches: usize, size: usize) -> Result<Self, Error> {
        // Room for all buffers and a seek.
        let (requests, answers) = (Queue::new(batches + 1), Queue::new(batches + 1));
        let control = Arc::new(Control::default());
        source.watch(&control.interrupt);
        let worker = (requests.clone(), ClosedOnDrop(answers.clone()), Arc::clone(&control));
        let handle = thread::Builder::new()
            .name("prefetch".into())
            .spawn(move || work(source, size, &worker.0, &worker.1, &worker.2))
            .map_err(|error| Error::invalid("prefetch", format!("there is no thread for it: {error}")))?;
        Ok(Self {
            requests,
            answers,
            control,
            handle: Some(handle),
            panic: String::new(),
            stale: 0,
            watch: Watch::default(),
            blocked: Duration::ZERO,
        })
    }

    /// A request to a thread that has ended is never answered; that the answers end says so.
    fn ask(&self, request: Request<T>) {
        self.requests.push(request);
    }

    /// The next answer to what was asked since the last seek; other buffers are then spare.
    fn answer(&mut self, spare: &mut Vec<Batch<T>>) -> Result<Answer<T>, Error> {
        self.watch.check()?;
        loop {
            let mut waiting = Waiting::new(&self.watch);
            let answer = self.answers.pop_within(&mut waiting);
            self.blocked += waiting.blocked();
            match answer?.ok_or_else(|| self.lost())? {
                answer if self.stale == 0 => return Ok(answer),
                Answer::Filled { batch, .. } => spare.push(batch),
                Answer::Sought(_) => self.stale -= 1,
            }
        }
    }

    /// Where the source is after the seek; the buffers that the thread had are then spare.
    fn seek(&mut self, cursor: Cursor, spare: &mut Vec<Batch<T>>) -> Result<Cursor, Error> {
        self.control.begin_seek();
        self.ask(Request::Seek(cursor));
        loop {
            match self.answer(spare) {
                Ok(Answer::Filled { batch, .. }) => spare.push(batch),
                Ok(Answer::Sought(result)) => return result,
                Err(error) => {
                    self.stale += 1;
                    return Err(error);
                }
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
        self.control.begin_seek();
        self.requests.close();
        let nobody = Watch::default();
        let mut waiting = Waiting::until(&nobody, Some(Instant::now() + PATIENCE));
        while let Ok(Some(_)) = self.answers.pop_within(&mut waiting) {}
        // A panic was either reported or is of no interest any more.
        if let Some(handle) = self.handle.take()
            && self.answers.is_closed()
        {
            let _ = handle.join();
        }
    }
}

fn work<T: Scalar>(
    mut source: impl Source<T>,
    size: usize,
    requests: &Queue<Request<T>>,
    answers: &ClosedOnDrop<Answer<T>>,
    control: &Control,
) {
    let mut ended = false;
    while let Some(request) = requests.pop() {
        let answer = match request {
            Request::Seek(cursor) => {
                control.seek_begins();
                ended = false;
                Answer::Sought(source.seek(cursor).map(|()| source.cursor()))
            }
            Request::Fill(mut batch) => {
                batch.clear();
                let before = source.cursor();
                let result = if ended || !control.fills() { Ok(0) } else { source.fill(&mut batch, size) };
                ended = !matches!(result, Ok(1..));
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
