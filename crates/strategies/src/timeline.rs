use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Error;

/// What a run does with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// Reading and decoding rows on the run's own thread.
    Read,
    /// Waiting for the thread that reads ahead, or for a stream.
    WaitForData,
    /// Computing losses.
    Forward,
    /// Computing gradients.
    Backward,
    /// Waiting until the slowest rank has come to the end of its step, and telling it the sums of losses.
    WaitForRanks,
    /// Adding gradients up across ranks, and giving out what was updated.
    Sum,
    /// Moving parameters.
    Update,
    /// In callbacks: checkpoints, evaluations, logs.
    Callbacks,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::WaitForData,
        Self::Forward,
        Self::Backward,
        Self::WaitForRanks,
        Self::Sum,
        Self::Update,
        Self::Callbacks,
    ];

    /// As it is written in a trace.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::WaitForData => "wait for data",
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::WaitForRanks => "wait for ranks",
            Self::Sum => "sum",
            Self::Update => "update",
            Self::Callbacks => "callbacks",
        }
    }
}

/// Measures what a run spends its time on, and writes it to a file in Chrome's trace format, which
/// [Perfetto](https://ui.perfetto.dev) and `chrome://tracing` show. Each rank has a file of its own; their clocks are
/// those of their machines, so that files can be joined.
///
/// Given to a trainer by [`Trainer::timeline`](crate::Trainer::timeline). A file takes about 100 bytes a span, of which a
/// step has about six; it can be opened also when the run was killed.
///
/// # Example
///
/// ```
/// # use tidemill_autograd::Program;
/// # use tidemill_data::MemorySource;
/// # use tidemill_layers::{Dense, Layer};
/// # use tidemill_losses::{Loss, MeanSquaredError};
/// # use tidemill_optim::sgd;
/// use tidemill_strategies::{Activity, Batch, Timeline, Trainer};
///
/// # let program = Program::<f64>::build(|graph| {
/// #     let x = graph.input("x", &[1])?;
/// #     let y = Dense::new(1).apply(graph, x)?;
/// #     MeanSquaredError.apply(graph, y)
/// # })?;
/// # let mut rows = MemorySource::builder().reals("x", 1, vec![1.0, 2.0, 3.0]).target(vec![2.0, 4.0, 6.0]).build()?;
/// let timeline = Timeline::new();
/// let trainer = Trainer::new(program, sgd(0.1))?.timeline(timeline.clone());
/// trainer.run(&Batch::new(50), &mut trainer.start(7), &mut rows, &mut ())?;
/// assert!(timeline.total(Activity::Backward) > std::time::Duration::ZERO);
/// println!("{timeline}");
/// # Ok::<(), tidemill_strategies::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    record: Arc<Mutex<Record>>,
    /// What `Instant`s are compared with, and when that was, in microseconds of 1970.
    origin: Instant,
    origin_of_1970: u64,
}

#[derive(Debug, Default)]
struct Record {
    totals: [Duration; Activity::ALL.len()],
    /// The thread of the run, whose time is added up.
    thread: u32,
    began: Option<Instant>,
    whole: Duration,
    sent: u64,
    rank: usize,
    file: Option<Trace>,
}

#[derive(Debug)]
struct Trace {
    path: PathBuf,
    writer: BufWriter<File>,
    /// The first thing that could not be written.
    failed: Option<io::Error>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeline {
    /// Adds up times, and writes no file.
    pub fn new() -> Self {
        Self::with(None)
    }

    /// Writes a file, too.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn to_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let made = File::create(&path).and_then(|mut file| file.write_all(b"[\n").map(|()| file));
        match made {
            Ok(file) => {
                Ok(Self::with(Some(Trace { path, writer: BufWriter::with_capacity(1 << 16, file), failed: None })))
            }
            Err(source) => Err(Error::File { path, source }),
        }
    }

    fn with(file: Option<Trace>) -> Self {
        let of_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            record: Arc::new(Mutex::new(Record { file, ..Record::default() })),
            origin: Instant::now(),
            origin_of_1970: of_1970.as_micros() as u64,
        }
    }

    /// How long the run's thread was at it.
    pub fn total(&self, activity: Activity) -> Duration {
        self.lock().totals[activity as usize]
    }

    /// How long the runs took.
    pub fn whole(&self) -> Duration {
        self.lock().whole
    }

    /// Bytes that were sent to other ranks.
    pub fn sent(&self) -> u64 {
        self.lock().sent
    }

    /// Begins a run of this rank, on this thread.
    pub(crate) fn begin(&self, rank: usize, name: &str) {
        let mut record = self.lock();
        (record.rank, record.thread, record.began) = (rank, thread(), Some(Instant::now()));
        if let Some(trace) = &mut record.file {
            trace.write(format_args!(
                "{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":{rank},\"args\":{{\"name\":{}}}}},\n",
                serde_json::Value::from(name)
            ));
        }
    }

    /// Ends a run that has sent so much.
    pub(crate) fn end(&self, sent: u64) -> Result<(), Error> {
        let mut record = self.lock();
        record.sent += sent;
        let took = record.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        record.whole += took;
        match &mut record.file {
            None => Ok(()),
            Some(Trace { path, writer, failed }) => match failed.take().map_or_else(|| writer.flush(), Err) {
                Ok(()) => Ok(()),
                Err(source) => Err(Error::File { path: path.clone(), source }),
            },
        }
    }

    /// Notes what this thread has done since `began`.
    pub(crate) fn note(&self, activity: Activity, began: Instant) {
        self.note_span(activity, began, began.elapsed());
    }

    pub(crate) fn note_span(&self, activity: Activity, began: Instant, took: Duration) {
        let thread = thread();
        let start = self.origin_of_1970 as f64 + began.saturating_duration_since(self.origin).as_nanos() as f64 / 1e3;
        let mut record = self.lock();
        if thread == record.thread {
            record.totals[activity as usize] += took;
        }
        let rank = record.rank;
        if let Some(trace) = &mut record.file {
            trace.write(format_args!(
                "{{\"name\":\"{}\",\"ph\":\"X\",\"ts\":{start:.3},\"dur\":{:.3},\"pid\":{rank},\"tid\":{thread}}},\n",
                activity.name(),
                took.as_nanos() as f64 / 1e3
            ));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        // Nothing can panic while the lock is held.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trace {
    fn write(&mut self, line: fmt::Arguments<'_>) {
        if self.failed.is_none() {
            self.failed = self.writer.write_fmt(line).err();
        }
    }
}

/// One line: the share of each activity in the time of the run, and what was sent.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.whole().as_secs_f64().max(f64::MIN_POSITIVE);
        let mut rest = 1.0;
        for activity in Activity::ALL {
            let share = self.total(activity).as_secs_f64() / whole;
            rest -= share;
            write!(f, "{} {:.1} %, ", activity.name(), 100.0 * share)?;
        }
        write!(f, "other {:.1} %; {:.1} MB sent", 100.0 * rest.max(0.0), self.sent() as f64 / 1e6)
    }
}

/// A number of this thread.
fn thread() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static OWN: Cell<Option<u32>> = const { Cell::new(None) };
    }
    OWN.get().unwrap_or_else(|| {
        let own = NEXT.fetch_add(1, Ordering::Relaxed);
        OWN.set(Some(own));
        own
    })
}

/// Does something, and notes how long it took where anybody wants to know.
pub(crate) fn timed<R>(timeline: Option<&Timeline>, activity: Activity, work: impl FnOnce() -> R) -> R {
    let Some(timeline) = timeline else { return work() };
    let began = Instant::now();
    let result = work();
    timeline.note(activity, began);
    result
}
