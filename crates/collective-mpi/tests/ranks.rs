//! Worlds of MPI, each started by `mpirun` as a user would: what they agree on, and how they end.
//!
//! Where MPI is not installed these tests do nothing and say so, unless `TIDEMILL_REQUIRE_MPI` is set.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const WORKER: &str = env!("CARGO_BIN_EXE_mpi-worker");

/// Whether ranks of one host may share memory.
const SHARED: &str = "TIDEMILL_MPI_SHARED";
const WAYS: [(&str, &str); 2] = [(SHARED, "1"), (SHARED, "0")];

/// Longest that any run may take before it is ended.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Launcher {
    OpenMpi,
    Mpich,
}

use Launcher::{Mpich, OpenMpi};

impl Launcher {
    /// The program: by its name of Debian, where both may be installed, or the only one. `None` where it is not there,
    /// which is only allowed where MPI is not required.
    fn program(self) -> Option<&'static str> {
        let (names, says) = match self {
            OpenMpi => (["mpirun.openmpi", "mpirun"], "Open MPI"),
            Mpich => (["mpirun.mpich", "mpirun"], "HYDRA"),
        };
        let is_it = |name: &&str| {
            let version = Command::new(name).arg("--version").output();
            version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(says))
        };
        let found = names.into_iter().find(is_it);
        if found.is_none() {
            assert!(std::env::var_os("TIDEMILL_REQUIRE_MPI").is_none(), "TIDEMILL_REQUIRE_MPI is set: no {self:?}");
            eprintln!("skipped: there is no mpirun of {self:?}");
        }
        found
    }
}

/// What became of a run.
#[derive(Debug)]
struct Run {
    /// Of the launcher; `None` when a signal ended it.
    code: Option<i32>,
    /// What all ranks and the launcher have written.
    text: String,
}

/// Runs so many workers, one run after the other: ranks that wait need processors. `None` where MPI is not installed.
fn run(launcher: Launcher, ranks: usize, arguments: &[&str]) -> Option<Run> {
    run_with(launcher, ranks, arguments, &[])
}

fn run_with(launcher: Launcher, ranks: usize, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Run> {
    static ALONE: Mutex<()> = Mutex::new(());
    let program = launcher.program()?;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(program);
    command.args(["-np", &ranks.to_string()]);
    if launcher == OpenMpi {
        command.args(["--bind-to", "none"]);
    }
    command.arg(WORKER).args(arguments);
    // More ranks than processors, and whoever runs the tests.
    for variable in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"] {
        command.env(variable, "1");
    }
    command
        .env_remove("TIDEMILL_MPI_LIBRARY")
        .env_remove(SHARED)
        .env("RUST_BACKTRACE", "0")
        .envs(variables.iter().copied());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let readers = [reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap())];
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if since.elapsed() > LIMIT {
            // The launcher takes its ranks along.
            Command::new("kill").arg(child.id().to_string()).status().unwrap();
            thread::sleep(Duration::from_secs(3));
            let _ = child.kill();
            let status = child.wait().unwrap();
            panic!("{launcher:?}, {ranks} ranks, {arguments:?}: not done after {LIMIT:?}, {status}");
        }
        thread::sleep(Duration::from_millis(10));
    };
    let text = readers.map(|reader| reader.join().unwrap()).concat();
    Some(Run { code: status.code(), text })
}

fn reader(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The run ends well, and each rank says that; by whichever way values go.
fn all_say(launcher: Launcher, ranks: usize, scenario: &str, what: &str) {
    WAYS.into_iter().for_each(|way| all_say_with(launcher, ranks, scenario, what, &[way]));
}

fn all_say_with(launcher: Launcher, ranks: usize, scenario: &str, what: &str, variables: &[(&str, &str)]) {
    let Some(run) = run_with(launcher, ranks, &[scenario], variables) else { return };
    assert_eq!(run.code, Some(0), "{launcher:?}, {ranks} ranks, {scenario}, {variables:?}: {}", run.text);
    for rank in 0..ranks {
        let said = run
            .text
            .lines()
            .any(|line| line.starts_with(&format!("rank {rank} of {ranks} on ")) && line.ends_with(what));
        assert!(said, "{launcher:?}, rank {rank} of {ranks}, {scenario}, {variables:?}: {}", run.text);
    }
}

/// The last of three ranks (two with MPICH) fails; the run ends with that status, and says that of the rank.
fn ends(launcher: Launcher, arguments: &[&str], codes: &[i32], what: &str) {
    let ranks = if launcher == OpenMpi { 3 } else { 2 };
    let said = what.replace("RANK", &format!("rank {} of {ranks} on {}", ranks - 1, host()));
    for way in WAYS {
        let Some(run) = run_with(launcher, ranks, arguments, &[way]) else { return };
        assert!(codes.contains(&run.code.unwrap_or(-1)), "{launcher:?}, {arguments:?}, {way:?}: {run:?}");
        assert!(run.text.contains(&said), "{launcher:?}, {arguments:?}, {way:?} says `{said}`: {}", run.text);
    }
}

fn host() -> String {
    String::from_utf8(Command::new("uname").arg("-n").output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn without_a_launcher_there_is_one_rank_and_no_need_of_mpi() {
    let mut worker = Command::new(WORKER);
    for launcher in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_ID", "PMIX_RANK"] {
        worker.env_remove(launcher);
    }
    let output = worker.arg("conforms").env("TIDEMILL_MPI_LIBRARY", "/nowhere/libmpi.so").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "rank 0 of 1 conforms\n");
}

#[test]
fn worlds_of_open_mpi_conform() {
    for ranks in [1, 2, 3, 4, 5, 7, 8] {
        all_say(OpenMpi, ranks, "conforms", "conforms");
    }
}

/// It waits without giving way where there are more ranks than processors, so they are few.
#[test]
fn worlds_of_mpich_conform() {
    for ranks in [1, 2] {
        all_say(Mpich, ranks, "conforms", "conforms");
    }
}

#[test]
fn sums_have_the_bits_of_threads_and_cost_as_many_bytes() {
    for (launcher, ranks) in [(OpenMpi, 2), (OpenMpi, 3), (OpenMpi, 5), (Mpich, 2)] {
        all_say(launcher, ranks, "same-bits", "has the same bits");
    }
}

#[test]
fn long_messages_are_split() {
    all_say(OpenMpi, 3, "small-messages", "has the same bits");
    all_say(Mpich, 2, "small-messages", "has the same bits");
}

#[test]
fn ranks_of_one_host_share_memory_where_all_of_them_can() {
    let by_messages =
        |rank, ranks, why| format!("long values by messages: rank {rank} of {ranks} on {}: {why})", host());
    for (launcher, ranks) in [(OpenMpi, 2), (OpenMpi, 5), (Mpich, 2)] {
        let shared = if cfg!(target_os = "linux") {
            "long values through shared memory)".to_owned()
        } else {
            by_messages(0, ranks, "ranks share memory on Linux alone")
        };
        all_say_with(launcher, ranks, "grows", &shared, &[]);
        let off = by_messages(0, ranks, "TIDEMILL_MPI_SHARED is 0");
        all_say_with(launcher, ranks, "grows", &off, &[(SHARED, "0")]);
        if cfg!(target_os = "linux") {
            let full = by_messages(ranks - 1, ranks, "/proc/meminfo: Too many open files (os error 24)");
            all_say_with(launcher, ranks, "has-no-files", &full, &[]);
        }
    }
}

#[test]
fn what_is_neither_yes_nor_no_is_refused() {
    let Some(run) = run_with(OpenMpi, 2, &["conforms"], &[(SHARED, "yes")]) else { return };
    assert_eq!(run.code, Some(1), "{}", run.text);
    assert!(run.text.contains("start of MPI: TIDEMILL_MPI_SHARED is 0 or 1, not yes"), "{}", run.text);
}

#[test]
fn calls_allocate_nothing() {
    all_say(OpenMpi, 2, "allocates-nothing", "allocates nothing");
    all_say(Mpich, 2, "allocates-nothing", "allocates nothing");
}

#[test]
fn the_end_comes_when_all_have_come() {
    for (launcher, ranks) in [(OpenMpi, 3), (Mpich, 2)] {
        for scenario in ["finishes", "ends-apart"] {
            let Some(run) = run(launcher, ranks, &[scenario]) else { continue };
            assert_eq!(run.code, Some(0), "{launcher:?}, {scenario}: {}", run.text);
            let library = if launcher == OpenMpi { "libmpi.so.40, Open MPI" } else { "libmpich.so.12, MPICH" };
            assert_eq!(
                run.text.matches(library).count(),
                if scenario == "finishes" { ranks } else { 0 },
                "{}",
                run.text
            );
        }
    }
}

#[test]
fn mpi_starts_once() {
    let Some(run) = run(OpenMpi, 2, &["starts-twice"]) else { return };
    assert_eq!(run.code, Some(0), "{}", run.text);
    assert_eq!(run.text.matches("start of MPI: it was started before").count(), 2, "{}", run.text);
}

#[test]
fn the_library_of_another_launcher_is_told_apart() {
    for (launcher, variable, library) in
        [(OpenMpi, "OMPI_COMM_WORLD_SIZE", "libmpich.so.12"), (Mpich, "PMI_SIZE", "libmpi.so.40")]
    {
        let library = ("TIDEMILL_MPI_LIBRARY", library);
        let Some(run) = run_with(launcher, 2, &["conforms"], &[library]) else { continue };
        assert_ne!(run.code, Some(0), "{}", run.text);
        let says =
            [format!("has started 2 ranks ({variable}), but {}, ", library.1), "knows of 1: it is not".to_owned()];
        assert!(says.iter().all(|what| run.text.contains(what)), "{}", run.text);
    }
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let Some(run) = run_with(OpenMpi, 1, &["conforms"], &[("TIDEMILL_MPI_LIBRARY", "/nowhere/libmpi.so")]) else {
        return;
    };
    assert_eq!(run.code, Some(1), "{}", run.text);
    let says = "start of MPI: TIDEMILL_MPI_LIBRARY names /nowhere/libmpi.so: ";
    assert!(run.text.contains(says), "{}", run.text);
}

#[test]
fn a_rank_that_panics_ends_the_run() {
    // MPICH's launcher now and then tells the status of a rank that it has killed itself.
    for (launcher, codes) in [(OpenMpi, &[101][..]), (Mpich, &[101, 9])] {
        ends(launcher, &["panics"], codes, "RANK has panicked");
        ends(launcher, &["panics-amid-a-sum"], codes, "RANK has panicked");
    }
}

#[test]
fn a_rank_that_returns_early_ends_the_run() {
    for launcher in [OpenMpi, Mpich] {
        ends(launcher, &["returns"], &[1], "RANK ends before the others do");
        ends(launcher, &["leaves"], &[1], "RANK has left");
    }
}

#[test]
fn a_rank_that_exits_ends_the_run_with_its_status() {
    for launcher in [OpenMpi, Mpich] {
        // The others, who have been told, may be the first to end.
        ends(launcher, &["exits"], &[3, 1], "RANK ends before the others do");
        ends(launcher, &["exits-well"], &[4], "");
        ends(launcher, &["aborts"], &[7], "");
    }
}

#[test]
fn a_rank_that_is_killed_ends_the_run() {
    ends(OpenMpi, &["is-killed", "30000"], &[137], &format!("rank 2 with PID 0 on node {} exited on signal 9", host()));
    ends(Mpich, &["is-killed", "30000"], &[9], &format!("RUNNING AT {}", host()));
}

#[test]
fn ranks_that_do_not_come_in_time_are_named_and_the_run_may_be_tried_again() {
    for launcher in [OpenMpi, Mpich] {
        for scenario in ["stops", "sleeps"] {
            // Long enough that no other rank is late for want of a processor.
            ends(launcher, &[scenario, "5000"], &[75], "sum of 50000 f32: after 5s, still nothing from RANK");
        }
    }
}

#[test]
fn a_rank_that_cannot_go_on_says_why() {
    for launcher in [OpenMpi, Mpich] {
        ends(launcher, &["abandons"], &[1], "RANK could not go on: no more data");
    }
}

#[test]
fn different_calls_are_told_apart() {
    for launcher in [OpenMpi, Mpich] {
        for scenario in ["differs", "differs-at-once"] {
            ends(launcher, &[scenario], &[1], "RANK calls max of 1 f32, where sum of 50000 f32 was called");
        }
    }
}

/// Prints what sums take at two ranks: medians in µs.
#[test]
#[ignore = "measures, and prints"]
fn measures() {
    for launcher in [OpenMpi, Mpich] {
        let Some(run) = run(launcher, 2, &["measures"]) else { continue };
        println!("{launcher:?}\n{}", run.text);
        assert_eq!(run.code, Some(0));
    }
}
