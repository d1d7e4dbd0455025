use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tidemill_collective::{Call, Collective, Error, Gathered, Peer, Solo, Values};

use crate::engine::{Engine, start_of};
use crate::launcher::Launcher;
use crate::library::{Library, VARIABLE};
use crate::room::{Room, bytes_of};
use crate::shared::{Answer, Data, Order, Shared, say};

/// Status of a process that ends because ranks were late: to start again, from a checkpoint, may help.
pub const RETRY: i32 = 75;

/// Status of a process that panicked.
pub const PANICKED: i32 = 101;

/// What a rank writes to its standard error, with the status, before it ends the job by [`exit`]: whoever watches the
/// launcher knows that it is to end soon, which it does not where a host is cut off.
pub const ENDS_THE_JOB: &str = "this rank ends the job with status";

/// How ranks work together; the same on all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a rank waits in one call without hearing anything from those that it waits for: 60 s unless said
    /// otherwise. It must be longer than what a rank may do between two calls while others do nothing, such as writing a
    /// checkpoint.
    pub deadline: Duration,
    /// Bytes of the largest single message; larger ones are split. 1 GiB unless said otherwise, and at most that: MPI
    /// counts in 32 bits.
    pub largest_message: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(60), largest_message: LARGEST }
    }
}

const LARGEST: usize = 1 << 30;
/// MPI itself may take its time to start.
const START: Duration = Duration::from_secs(60);

/// Time for what this rank and others have written to get through the launcher.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The world of this process, which MPI has one of.
static WORLD: OnceLock<Arc<Shared>> = OnceLock::new();

/// This process's place among the ranks that `mpirun` or `srun` has started; the world of one where neither has, for which
/// no MPI is needed.
///
/// The program is to end by [`exit`], whatever happened.
///
/// # Errors
///
/// When MPI is not there or does not start, and when it is not that of the launcher: it then does not know as many ranks.
///
/// # Example
///
/// ```
/// use tidemill_collective::Values;
/// use tidemill_collective_mpi::{Options, world};
///
/// let mut world = world(Options::default())?;
/// let mut ranks = [1.0_f32];
/// world.sum(Values::of(&mut ranks))?;
/// assert_eq!(ranks, [world.size() as f32]);
/// # Ok::<(), tidemill_collective::Error>(())
/// ```
pub fn world(options: Options) -> Result<Box<dyn Collective>, Error> {
    match Launcher::found() {
        None => Ok(Box::new(Solo)),
        Some(launcher) => Ok(Box::new(Mpi::begin(options, Some(launcher))?)),
    }
}

/// Ends the process, and MPI as is right: with code 0 it waits until all ranks have come here, and MPI ends well. With
/// another code, or when the world is over already, MPI is told to end all ranks, so that the launcher's status is the
/// code's too.
///
/// A world that was dropped before has left: until it comes here, calls of others fail.
///
/// # Example
///
/// ```no_run
/// # fn train() -> Result<(), tidemill_collective::Error> { Ok(()) }
/// use tidemill_collective_mpi as mpi;
///
/// match train() {
///     Ok(()) => mpi::exit(0),
///     Err(error) => {
///         eprintln!("{error}");
///         mpi::exit(mpi::status(&error))
///     }
/// }
/// ```
pub fn exit(code: i32) -> ! {
    let Some(shared) = WORLD.get() else { std::process::exit(code) };
    let code = match code {
        0 if shared.finished() => 0,
        0 => match shared.wait(shared.order(Order::Finish)).result {
            Ok(()) => 0,
            Err(error) => {
                say(&error.to_string());
                status(&error)
            }
        },
        code => code,
    };
    if code == 0 || shared.finished() {
        std::process::exit(code);
    }
    say(&format!("{ENDS_THE_JOB} {code}"));
    // Launchers lose what was written just before.
    thread::sleep(LAST_WORDS);
    shared.abort(code)
}

/// Ends all ranks at once, this one with that status, as far as MPI can.
pub fn abort(code: i32) -> ! {
    match WORLD.get() {
        Some(shared) => shared.abort(code),
        None => std::process::exit(code),
    }
}

/// The status that a process ends with for an error: [`RETRY`] where ranks were late, [`PANICKED`] where one panicked, 1
/// otherwise.
pub fn status(error: &Error) -> i32 {
    match error {
        Error::Late { .. } => RETRY,
        Error::Panicked { .. } => PANICKED,
        _ => 1,
    }
}

/// One rank of a world of MPI.
///
/// MPI is called by one thread of its own. It sends and adds up while the rank computes ([`begin_sum`]), and notices by
/// the deadline, or by the others' word, when the world is over: each call then fails, now and later. To drop it is to
/// leave the world: others' calls fail from then on, and MPI goes on until [`exit`]. To drop it while panicking ends the
/// world.
///
/// [`begin_sum`]: Collective::begin_sum
pub struct Mpi {
    rank: usize,
    hosts: Vec<String>,
    library: String,
    shared: Arc<Shared>,
    /// Sums that have begun.
    begun: VecDeque<(u64, Call)>,
    rooms: Vec<Room>,
}

impl Mpi {
    /// Starts MPI, with or without a launcher.
    ///
    /// # Errors
    ///
    /// As [`world`]; and when it was started before, which MPI allows once a process.
    pub fn start(options: Options) -> Result<Self, Error> {
        Self::begin(options, Launcher::found())
    }

    fn begin(options: Options, launcher: Option<Launcher>) -> Result<Self, Error> {
        let failed = |problem: String| Error::Transport { call: "start of MPI".to_owned(), problem };
        if !(8..=LARGEST).contains(&options.largest_message) {
            return Err(failed(format!("messages are of 8 to {LARGEST} bytes, not of {}", options.largest_message)));
        }
        let shared = Arc::new(Shared::new(options.deadline));
        if WORLD.set(Arc::clone(&shared)).is_err() {
            return Err(failed("it was started before, and can be once a process".to_owned()));
        }
        let patience = options.deadline.max(START);
        let (sender, receiver) = mpsc::channel();
        let (its, its_end) = (Arc::clone(&shared), Arc::clone(&shared));
        let main = move || {
            let engine = start(options, launcher.as_ref(), Arc::clone(&its));
            match engine {
                Ok((engine, started)) => {
                    let _ = sender.send(Ok(started));
                    engine.serve();
                }
                Err(error) => {
                    its.set_finished();
                    let _ = sender.send(Err(error));
                }
            }
        };
        let main = move || {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(main)).is_err() {
                // What was lent to it cannot be given back.
                its_end.end(PANICKED);
            }
        };
        thread::Builder::new().name("mpi".to_owned()).spawn(main).map_err(|error| failed(error.to_string()))?;
        let started = receiver.recv_timeout(patience);
        let Started { rank, hosts, library } =
            started.map_err(|_| failed(format!("not done after {patience:?}")))??;
        let mpi = Self { rank, hosts, library, shared, begun: VecDeque::new(), rooms: Vec::new() };
        at_end(mpi.peer(rank));
        Ok(mpi)
    }

    /// Waits until all ranks have come here, and ends MPI.
    ///
    /// # Errors
    ///
    /// When the world is over, or a rank does not come.
    pub fn finish(self) -> Result<(), Error> {
        self.shared.wait(self.shared.order(Order::Finish)).result
    }

    /// Ends all ranks at once, as [`abort`] does.
    pub fn abort(self, code: i32) -> ! {
        self.shared.abort(code)
    }

    /// The library: its file, and what it says that it is.
    pub fn library(&self) -> &str {
        &self.library
    }

    fn ask(&mut self, call: Call, data: Data) -> Result<(), Error> {
        self.shared.wait(self.shared.order(Order::Call(call, data))).result
    }

    fn ask_on(&mut self, call: Call, mut values: Values<'_>) -> Result<(), Error> {
        self.ask(call, Data::Lent(start_of(&mut values)))
    }
}

/// Has a process that ends without having [finished](exit) say so, to people and to the other ranks; and not end well:
/// launchers take what returned 0 for done.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn at_end(peer: Peer) {
    use std::ffi::{c_int, c_void};

    static PEER: OnceLock<Peer> = OnceLock::new();

    unsafe extern "C" {
        fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
        fn _exit(status: c_int) -> !;
    }

    extern "C" fn ended(status: c_int, _: *mut c_void) {
        if let (Some(shared), Some(peer)) = (WORLD.get(), PEER.get())
            && !shared.ends()
        {
            say(&format!("{peer} ends before the others do"));
            shared.lose(Error::Left { peer: peer.clone() });
            thread::sleep(LAST_WORDS);
            if status == 0 {
                // SAFETY: C's own; what Rust has to write was written.
                unsafe { _exit(1) }
            }
        }
    }

    PEER.set(peer).expect("MPI starts once");
    // SAFETY: C's own; nothing in the function panics.
    unsafe { on_exit(ended, std::ptr::null_mut()) };
}

/// Other systems leave it to the launcher.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn at_end(_: Peer) {}

/// What the rank gets to know of its world.
struct Started {
    rank: usize,
    hosts: Vec<String>,
    library: String,
}

/// On MPI's thread.
fn start(options: Options, launcher: Option<&Launcher>, shared: Arc<Shared>) -> Result<(Engine, Started), Error> {
    let failed = |problem: String| Error::Transport { call: "start of MPI".to_owned(), problem };
    let Library { port, file } = Library::load(launcher).map_err(failed)?;
    let library = format!("{file}, {}", port.version());
    let (rank, size) = port.start().map_err(|problem| failed(format!("{library}: {problem}")))?;
    if let Some(Launcher { name, variable, ranks, .. }) = launcher
        && !ranks.may_be(size)
    {
        return Err(failed(format!(
            "{name} has started {ranks} ({variable}), but {library} knows of {size}: it is not the launcher's \
             library. Name that in {VARIABLE}"
        )));
    }
    let engine = Engine::new(port, (rank, size), options, shared)?;
    let hosts = engine.hosts.clone();
    Ok((engine, Started { rank, hosts, library }))
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.hosts.len()
    }

    fn peer(&self, rank: usize) -> Peer {
        Peer { rank, size: self.size(), host: self.hosts.get(rank).cloned() }
    }

    fn sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.ask_on(Call::Sum(values.dtype(), values.len()), values)
    }

    fn fast_sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.ask_on(Call::FastSum(values.dtype(), values.len()), values)
    }

    fn sum_shares(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.ask_on(Call::SumShares(values.dtype(), values.len()), values)
    }

    fn gather_shares(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.ask_on(Call::GatherShares(values.dtype(), values.len()), values)
    }

    fn begin_sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        // A copy: nothing holds the caller to keep what it has lent.
        let mut room = self.rooms.pop().unwrap_or_default();
        match &values {
            Values::F32(values) => room.copy(bytes_of(values)),
            Values::F64(values) => room.copy(bytes_of(values)),
        }
        let call = Call::Sum(values.dtype(), values.len());
        self.begun.push_back((self.shared.order(Order::Call(call, Data::Copied(room))), call));
        Ok(())
    }

    fn end_sum(&mut self, values: Values<'_>) -> Result<(), Error> {
        let call = Call::Sum(values.dtype(), values.len());
        let Some((ticket, begun)) = self.begun.pop_front() else {
            return self.sum(values);
        };
        let Answer { result, room } = self.shared.wait(ticket);
        result?;
        if call != begun {
            let peer = self.peer(self.rank);
            let error = Error::Mismatch { peer, found: call.to_string(), expected: begun.to_string() };
            self.shared.lose(error.clone());
            return Err(error);
        }
        let room = room.expect("what was copied comes back");
        match values {
            Values::F32(values) => values.copy_from_slice(room.values()),
            Values::F64(values) => values.copy_from_slice(room.values()),
        }
        self.rooms.push(room);
        Ok(())
    }

    fn max(&mut self, values: Values<'_>) -> Result<(), Error> {
        self.ask_on(Call::Max(values.dtype(), values.len()), values)
    }

    fn broadcast(&mut self, from: usize, values: Values<'_>) -> Result<(), Error> {
        if from >= self.size() {
            return Err(Error::NoSuchRank { rank: from, size: self.size() });
        }
        self.ask_on(Call::Broadcast(values.dtype(), values.len(), from), values)
    }

    fn gather(&mut self, mine: &[u8], all: &mut Gathered) -> Result<(), Error> {
        self.ask(Call::Gather, Data::Gather(mine, all))
    }

    fn barrier(&mut self) -> Result<(), Error> {
        self.ask(Call::Barrier, Data::Nothing)
    }

    fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    fn abandon(&mut self, why: &str) {
        self.shared.lose(Error::Abandoned { peer: self.peer(self.rank), why: why.to_owned() });
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if self.shared.finished() {
            return;
        }
        if thread::panicking() {
            let peer = self.peer(self.rank);
            let error = Error::Panicked { peer };
            say(&error.to_string());
            self.shared.lose_by_panic(error);
        } else {
            // Where the world is over, nobody needs to be told.
            let _ = self.shared.wait(self.shared.order(Order::Leave));
        }
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mpi({}, {}", self.peer(self.rank), self.library)?;
        if let Some(way) = self.shared.way() {
            write!(f, ", {way}")?;
        }
        write!(f, ")")
    }
}
