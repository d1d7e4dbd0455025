//! One rank of the tests: `mpi-worker SCENARIO [MILLISECONDS]`, started by `mpirun`, does what the scenario says within
//! that deadline.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidemill_collective::tensor::{DType, Key, Scalar};
use tidemill_collective::{Collective, Error, Gathered, Threads, Values, conformance};
use tidemill_collective_mpi::{self as mpi, Mpi, Options};

/// The system's allocator, counting what all threads ask of it.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().expect("mpi-worker SCENARIO [MILLISECONDS]");
    let mut options = Options::default();
    if let Some(deadline) = arguments.next() {
        options.deadline = Duration::from_millis(deadline.parse().expect("a deadline in milliseconds"));
    }
    if scenario == "small-messages" {
        options.largest_message = 1000;
    }
    match run(&scenario, options) {
        // Its end is what is tried out.
        Ok(()) if scenario == "returns" || scenario == "finishes" => {}
        Ok(()) => mpi::exit(0),
        Err(error) => {
            // In one piece: all ranks write to the same pipe.
            std::io::stderr().write_all(format!("{error}\n").as_bytes()).expect("standard error");
            mpi::exit(mpi::status(&error))
        }
    }
}

fn run(scenario: &str, options: Options) -> Result<(), Error> {
    if scenario == "finishes" {
        let mut mpi = Mpi::start(options)?;
        mpi.barrier()?;
        println!("{:?}", mpi);
        return mpi.finish();
    }
    let mut world = mpi::world(options.clone())?;
    let (rank, size) = (world.rank(), world.size());
    let odd = rank + 1 == size;
    match scenario {
        "conforms" => {
            conformance::check(&mut world);
            println!("{} conforms", world.peer(rank));
        }
        "same-bits" | "small-messages" => {
            same_bits::<f32>(&mut world)?;
            same_bits::<f64>(&mut world)?;
            println!("{} has the same bits", world.peer(rank));
        }
        "grows" | "has-no-files" => {
            if scenario == "has-no-files" && odd {
                no_more_files();
            }
            grows(&mut world)?;
            println!("{} is {world:?}", world.peer(rank));
        }
        "starts-twice" => {
            let error = mpi::world(options).expect_err("MPI has started");
            println!("{error}");
        }
        "allocates-nothing" => {
            allocates_nothing(&mut world)?;
            println!("{} allocates nothing", world.peer(rank));
        }
        "measures" => measures(&mut world)?,
        "differs-at-once" => {
            // Ranks have not shared memory yet.
            let mut ones = vec![1.0_f32; 50_000];
            return if odd { world.max(Values::of(&mut ones[..1])) } else { world.sum(Values::of(&mut ones)) };
        }
        "ends-apart" => {
            // The last call is done for all, however soon others leave.
            let mut ranks = vec![1.0_f32; 100_000];
            world.sum(Values::of(&mut ranks))?;
            drop(world);
            assert!(ranks.iter().all(|&x| x == size as f32));
        }
        fault => {
            let mut ones = vec![1.0_f32; 50_000];
            for _ in 0..10 {
                world.sum(Values::of(&mut ones))?;
                world.barrier()?;
            }
            world.begin_sum(Values::of(&mut ones))?;
            world.end_sum(Values::of(&mut ones))?;
            if odd {
                fails(fault, &mut world)?;
                if fault == "returns" || fault == "leaves" {
                    return Ok(());
                }
            }
            let first = loop {
                if let Err(error) = world.sum(Values::of(&mut ones)) {
                    break error;
                }
            };
            let later = world.barrier().expect_err("the world is over");
            assert_eq!(first, later, "now and later");
            return Err(first);
        }
    }
    Ok(())
}

/// What the last rank does in place of a sum.
fn fails(fault: &str, world: &mut Box<dyn Collective>) -> Result<(), Error> {
    let signal = |name: &str| {
        let killed = Command::new("kill").args([name, &std::process::id().to_string()]).status();
        assert!(killed.expect("kill").success());
    };
    match fault {
        "panics" => panic!("this rank is meant to panic"),
        "panics-amid-a-sum" => {
            world.begin_sum(Values::of(&mut [1.0_f32; 50_000]))?;
            panic!("this rank is meant to panic")
        }
        "returns" | "leaves" => {}
        "exits" => std::process::exit(3),
        "exits-well" => mpi::exit(4),
        "aborts" => mpi::abort(7),
        "is-killed" => signal("-KILL"),
        "stops" => signal("-STOP"),
        "sleeps" => std::thread::sleep(Duration::from_secs(3600)),
        "abandons" => world.abandon("no more data"),
        "differs" => return world.max(Values::of(&mut [1.0_f32])),
        other => panic!("no scenario is called {other}"),
    }
    Ok(())
}

/// Compares with a world of threads, in sizes that are sent in pieces.
fn same_bits<T: Scalar>(world: &mut Box<dyn Collective>) -> Result<(), Error> {
    let (rank, size) = (world.rank(), world.size());
    for len in [0, 1, 255, 256, 257, 1000, 5000, 70_001] {
        let mine = |rank: usize, salt| {
            let key = Key::new(salt).fold(rank as u64);
            let number = |i| {
                let [bits, exponent, ..] = key.block(i);
                T::of(f64::from(bits as i32) * 2.0_f64.powi(exponent as i32 % 20))
            };
            (0..len as u64).map(number).collect::<Vec<T>>()
        };
        let mut threads = std::thread::scope(|scope| {
            let ranks: Vec<_> = Threads::world(size)
                .into_iter()
                .map(|mut rank| {
                    scope.spawn(move || {
                        let mut x = mine(rank.rank(), 1);
                        rank.sum(Values::of(&mut x)).map(|()| (x, rank.sent()))
                    })
                })
                .collect();
            ranks.into_iter().map(|rank| rank.join().expect("a rank")).collect::<Result<Vec<_>, _>>()
        })?;
        let (expected, bytes) = threads.swap_remove(rank);

        let (mut x, before) = (mine(rank, 1), world.sent());
        world.sum(Values::of(&mut x))?;
        assert!(x == expected, "a sum of {len} {:?}", T::DTYPE);
        if size_of_val(x.as_slice()) > 1024 && size > 1 {
            assert_eq!(world.sent() - before, bytes, "bytes sent for a sum of {len} {:?}", T::DTYPE);
        }

        let mut x = mine(rank, 1);
        world.begin_sum(Values::of(&mut x))?;
        world.end_sum(Values::of(&mut x))?;
        assert!(x == expected, "a sum of {len} {:?} that began early", T::DTYPE);

        let mut x = mine(rank, 1);
        world.fast_sum(Values::of(&mut x))?;
        let near = |(x, sum): (&T, &T)| (x.widen() - sum.widen()).abs() <= sum.widen().abs() * 1e-2 + 1e8;
        assert!(x.iter().zip(&expected).all(near), "a fast sum of {len} {:?}", T::DTYPE);

        let mut x = mine(rank, 2);
        world.broadcast(size - 1, Values::of(&mut x))?;
        assert!(x == mine(size - 1, 2), "a broadcast of {len} {:?}", T::DTYPE);

        let mut all = Gathered::default();
        world.gather(&vec![rank as u8; len * (rank + 1)], &mut all)?;
        for (other, bytes) in all.iter().enumerate() {
            assert!(bytes == vec![other as u8; len * (other + 1)], "a gather of {len} {:?}", T::DTYPE);
        }
    }
    assert_eq!(T::DTYPE == DType::F64, size_of::<T>() == 8);
    Ok(())
}

/// Longer and shorter values in turn, each exchange with others than the last; all are whole numbers.
fn grows(world: &mut Box<dyn Collective>) -> Result<(), Error> {
    let (rank, size) = (world.rank(), world.size());
    for (round, len) in [5_000, 300_000, 20_000, 700_001, 1_500_000].into_iter().cycle().take(15).enumerate() {
        let number = |rank: usize, i: usize| ((rank + 1) * (round + 1) * 10 + i % 1000) as f32;
        let mine = || (0..len).map(|i| number(rank, i)).collect::<Vec<_>>();
        let sum = |i| (0..size).map(|rank| number(rank, i)).sum::<f32>();
        let check = |x: &[f32], what: &str, expected: &dyn Fn(usize) -> f32| {
            let wrong = (0..len).find(|&i| x[i] != expected(i));
            assert_eq!(wrong.map(|i| (i, x[i], expected(i))), None, "{what} of {len}, round {round}");
        };
        let mut x = mine();
        world.sum(Values::of(&mut x))?;
        check(&x, "sum", &sum);
        if round % 3 == 0 {
            world.barrier()?;
        }
        let mut x = mine();
        world.sum_shares(Values::of(&mut x))?;
        world.gather_shares(Values::of(&mut x))?;
        check(&x, "shares", &sum);
        let mut x = mine();
        world.max(Values::of(&mut x))?;
        check(&x, "maximum", &|i| number(size - 1, i));
        let from = round % size;
        let mut x = mine();
        world.broadcast(from, Values::of(&mut x))?;
        check(&x, "broadcast", &|i| number(from, i));
    }
    Ok(())
}

/// Has the system refuse to open anything more.
#[cfg(target_os = "linux")]
fn no_more_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = Some(3);
    setrlimit(Resource::Nofile, files).expect("fewer files");
}

#[cfg(not(target_os = "linux"))]
fn no_more_files() {}

/// Once everything has its room.
fn allocates_nothing(world: &mut Box<dyn Collective>) -> Result<(), Error> {
    let (mut short, mut long, mut all) = (vec![1.0_f32; 10], vec![1.0_f64; 20_000], Gathered::default());
    let mut step = |world: &mut Box<dyn Collective>| {
        for x in [&mut long[..], &mut [0.0; 5]] {
            world.sum(Values::of(x))?;
            world.fast_sum(Values::of(x))?;
            world.max(Values::of(x))?;
            world.sum_shares(Values::of(x))?;
            world.gather_shares(Values::of(x))?;
            world.broadcast(0, Values::of(x))?;
            world.begin_sum(Values::of(x))?;
            world.begin_sum(Values::of(&mut short))?;
            world.end_sum(Values::of(x))?;
            world.end_sum(Values::of(&mut short))?;
        }
        world.gather(&[1, 2, 3], &mut all)?;
        world.barrier()
    };
    for _ in 0..3 {
        step(world)?;
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..100 {
        step(world)?;
    }
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    drop(vec![0_u8; 10]);
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > after, "the counter counts");
    assert_eq!(after, before, "allocations in 100 steps");
    Ok(())
}

/// What is timed.
type Work<'w> = &'w mut dyn FnMut(&mut Box<dyn Collective>) -> Result<(), Error>;

/// Prints medians, on rank 0: µs for each kind of sum.
fn measures(world: &mut Box<dyn Collective>) -> Result<(), Error> {
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    if world.rank() == 0 {
        println!("{:>8} {:>10} {:>10} {:>10} {:>10} {:>10}", "bytes", "sum", "fast", "compute", "in turn", "begin/end");
    }
    for bytes in [4_usize, 1 << 16, 1 << 20, 1 << 22] {
        let rounds = if bytes < 1 << 20 { 2000 } else { 100 };
        let (mut x, mut y) = (vec![1.0_f32; bytes / 4], vec![1.0_f32; bytes / 4]);
        let mut timed = |work: Work<'_>| {
            let mut times = Vec::new();
            for _ in 0..rounds {
                world.barrier()?;
                let start = Instant::now();
                work(world)?;
                times.push(start.elapsed());
            }
            Ok::<f64, Error>(median(times))
        };
        let sum = timed(&mut |world| world.sum(Values::of(&mut x)))?;
        x.fill(1.0);
        let fast = timed(&mut |world| world.fast_sum(Values::of(&mut x)))?;
        x.fill(1.0);
        // As much to compute as to send, about.
        let work = |y: &mut [f32]| {
            let until = Instant::now() + Duration::from_secs_f64(sum / 1e6);
            while Instant::now() < until {
                y.iter_mut().take(1000).for_each(|y| *y = y.mul_add(0.5, 0.1));
            }
        };
        let compute = timed(&mut |_| {
            work(&mut y);
            Ok(())
        })?;
        let turns = timed(&mut |world| {
            work(&mut y);
            world.sum(Values::of(&mut x))
        })?;
        x.fill(1.0);
        let overlap = timed(&mut |world| {
            world.begin_sum(Values::of(&mut x))?;
            work(&mut y);
            world.end_sum(Values::of(&mut x))
        })?;
        if world.rank() == 0 {
            println!("{bytes:>8} {sum:>10.1} {fast:>10.1} {compute:>10.1} {turns:>10.1} {overlap:>10.1}");
        }
    }
    Ok(())
}
