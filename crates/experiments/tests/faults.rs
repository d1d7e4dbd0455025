//! Real ranks under `mpirun`, and what goes wrong with them on a schedule: every fault ends the job with a message
//! that names rank and step, and the job that is started again ends with the bits of one that nothing happened to.
//!
//! Skipped, with a word, where there is no `mpirun`; failing there where `TIDEMILL_REQUIRE_MPI` is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tidemill::parquet::{ParquetWriter, ValueType, Values};
use tidemill_experiments::columns::Unseen;
use tidemill_experiments::distributed::{Exchange, Fault, Hosts, INTERFACE, Job, Kind, Way};
use tidemill_experiments::inputs::Inputs;
use tidemill_experiments::results::TaskKind;
use tidemill_experiments::tasks::{self, Effort, UserData};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidemill-experiments");

/// Seconds after which a rank that does not answer counts as lost, and what a job may take to end from then on.
const DEADLINE: f64 = 4.0;
const GRACE: f64 = 3.0;

fn is_there() -> bool {
    let there = Command::new("mpirun").arg("--version").output().is_ok();
    assert!(there || std::env::var_os("TIDEMILL_REQUIRE_MPI").is_none(), "there is no mpirun, and it is required");
    if !there {
        eprintln!("skipped: there is no mpirun");
    }
    there
}

/// A folder with rows, a model, and a job on them: 60 steps and more, a checkpoint after every tenth.
struct Bench {
    folder: TempDir,
    job: Job,
}

impl Bench {
    fn new(ranks: usize, exchange: Exchange) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.parquet");
        let columns = [("a", ValueType::F64), ("b", ValueType::F64), ("y", ValueType::F64)];
        let mut writer = ParquetWriter::create(&file, columns).unwrap();
        let a: Vec<f64> = (0..2000).map(|i| f64::from(i * 37 % 101) / 101.0).collect();
        let b: Vec<f64> = (0..2000).map(|i| f64::from(i * 53 % 97) / 97.0).collect();
        let y: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a * b + (6.0 * a).sin()).collect();
        writer.write(&[Values::F64(&a), Values::F64(&b), Values::F64(&y)]).unwrap();
        writer.finish().unwrap();
        let data = UserData {
            file,
            target: "y".into(),
            task: Some(TaskKind::Regression),
            order: None,
            filter: None,
            except: Vec::new(),
            unseen: Unseen::Error,
            budget: 64 << 20,
        };
        let mut spec = tasks::user(&data, folder.path(), Effort::Quick, 1).unwrap().spec;
        // Enough parameters that ranks share the update, and so its memory.
        (spec.hidden, spec.batch_size, spec.epochs) = (vec![70, 70], 50, 2);
        let path = folder.path().join("spec.json");
        fs::write(&path, serde_json::to_string(&spec).unwrap()).unwrap();
        let way = Way {
            name: "ranks".into(),
            label: "ranks".into(),
            description: String::new(),
            ranks,
            threads: 1,
            exchange,
        };
        let job = Job {
            spec: path,
            way,
            seed: 3,
            inputs: Inputs::of(&[&data.file]).unwrap(),
            most_seconds: None,
            most_steps: None,
            to_target: false,
            look_every: None,
            checkpoint: None,
            save_every: 10,
            result: None,
            traces: None,
            deadline_seconds: DEADLINE,
            faults: Vec::new(),
        };
        Self { folder, job }
    }

    fn checkpoint(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.safetensors"))
    }

    /// `launch` of the job with these faults, whose checkpoint has this name.
    fn launch(&self, name: &str, faults: Vec<Fault>, options: &[&str]) -> Command {
        let job = Job { checkpoint: Some(self.checkpoint(name)), faults, ..self.job.clone() };
        let path = self.folder.path().join(format!("{name}.json"));
        fs::write(&path, serde_json::to_string(&job).unwrap()).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("launch");
        if !options.contains(&"--grace") {
            command.args(["--grace", &GRACE.to_string()]);
        }
        command.arg("--checkpoint").arg(self.checkpoint(name));
        command.args(options).args(["--", PROGRAM, "rank"]).arg(path);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.env("OMPI_MCA_rmaps_base_oversubscribe", "1").env("OMPI_MCA_hwloc_base_binding_policy", "none");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.checkpoint(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// What a command came to, which may take so long: a test that hangs says nothing.
fn within(limit: Duration, command: &mut Command) -> (Output, String) {
    let child = command.spawn().unwrap();
    ended(limit, child)
}

fn ended(limit: Duration, mut child: Child) -> (Output, String) {
    let mut errors = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut errors).unwrap_or_default());
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            // The ranks end with mpirun, which launch ends.
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            std::thread::sleep(Duration::from_secs_f64(GRACE + 7.0));
            let _ = child.kill();
            let said = reader.join().unwrap();
            panic!("it went on for {limit:?}:\n{said}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = reader.join().unwrap();
    (Output { status, stdout: Vec::new(), stderr: Vec::new() }, said)
}

/// Nothing is said of how fast a machine is; a job that hangs is ended all the same.
const LIMIT: Duration = Duration::from_secs(600);

fn fault(kind: Kind, rank: usize, step: u64) -> Vec<Fault> {
    vec![Fault { kind, rank, step, attempt: 0 }]
}

#[test]
fn every_fault_ends_the_job_and_the_restarted_run_has_the_bits_of_the_undisturbed_one() {
    if !is_there() {
        return;
    }
    let bench = Bench::new(2, Exchange::Exact);
    let ranks = ["--ranks", "2", "--restarts", "1"];
    let (output, said) = within(LIMIT, &mut bench.launch("undisturbed", Vec::new(), &ranks));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("wait for ranks") && said.contains("MB sent"), "each rank sums up its time: {said}");
    let undisturbed = bench.bytes("undisturbed");

    // What happens, on which rank, and what is said of it: by the rank itself, by the other one, by mpirun.
    let faults = [
        ("error", Kind::Error, 1, vec!["rank 1 of 2", "an error was asked for", "step 2"]),
        ("panic", Kind::Panic, 1, vec!["rank 1 of 2", "panicked"]),
        ("exit", Kind::Exit(3), 0, vec!["rank 0 of 2"]),
        ("killed", Kind::Kill, 1, vec!["rank 1", "signal 9"]),
        ("stopped", Kind::Stop, 1, vec!["rank 1 of 2", "still nothing from", "step 2"]),
    ];
    for (name, kind, rank, words) in faults {
        // Alone: it ends, with a message and not with zero.
        let only = bench.launch(&format!("{name}-once"), fault(kind.clone(), rank, 25), &ranks[..2]);
        let (output, said) = within(LIMIT, &mut { only });
        assert!(!output.status.success(), "{name}: {said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{name}: no {word:?} in:\n{said}"));
        // And started again.
        let (output, said) = within(LIMIT, &mut bench.launch(name, fault(kind, rank, 25), &ranks));
        assert!(output.status.success(), "{name}: {said}");
        assert!(said.contains("starting again"), "{name}: {said}");
        assert!(bench.bytes(name) == undisturbed, "{name}: other bits than the undisturbed run");
    }

    // A slow rank is no fault.
    let (output, said) = within(LIMIT, &mut bench.launch("slow", fault(Kind::Slow(5), 1, 20), &ranks));
    assert!(output.status.success() && !said.contains("starting again"), "{said}");
    assert!(bench.bytes("slow") == undisturbed);
}

#[test]
fn four_ranks_and_ranks_that_send_less_go_on_as_if_nothing_had_happened() {
    if !is_there() {
        return;
    }
    for (ranks, exchange) in [(4, Exchange::Exact), (2, Exchange::Half), (2, Exchange::Local(3))] {
        let bench = Bench::new(ranks, exchange);
        let number = ranks.to_string();
        let options = ["--ranks", &number, "--restarts", "1"];
        let (output, said) = within(LIMIT, &mut bench.launch("undisturbed", Vec::new(), &options));
        assert!(output.status.success(), "{exchange:?}: {said}");
        let (output, said) = within(LIMIT, &mut bench.launch("killed", fault(Kind::Kill, ranks - 1, 24), &options));
        assert!(output.status.success() && said.contains("starting again"), "{exchange:?}: {said}");
        assert!(bench.bytes("killed") == bench.bytes("undisturbed"), "{ranks} ranks, {exchange:?}");
    }
}

#[test]
fn impossible_jobs_are_not_started_again_and_hopeless_ones_not_for_ever() {
    if !is_there() {
        return;
    }
    let bench = Bench::new(2, Exchange::Exact);
    let options = ["--ranks", "2", "--restarts", "2"];
    // Falls before the first checkpoint, every time.
    let again = |attempt| Fault { kind: Kind::Error, rank: 0, step: 5, attempt };
    let (output, said) = within(LIMIT, &mut bench.launch("hopeless", (0..9).map(again).collect(), &options));
    assert!(!output.status.success(), "{said}");
    assert_eq!(said.matches("starting again").count(), 2, "{said}");
    assert!(said.contains("not started again after 2 restart(s)"), "{said}");
    fs::remove_file(&bench.job.spec).unwrap();
    let (output, said) = within(LIMIT, &mut bench.launch("impossible", Vec::new(), &options));
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("spec.json") && !said.contains("starting again"), "{said}");
}

#[test]
fn what_asks_to_stop_stops_all_ranks_with_a_checkpoint_that_goes_on() {
    if !is_there() {
        return;
    }
    let mut bench = Bench::new(2, Exchange::Exact);
    // The other rank waits for as long as it takes to ask.
    bench.job.deadline_seconds = LIMIT.as_secs_f64();
    let options = ["--ranks", "2", "--grace", "600"];
    let (output, said) = within(LIMIT, &mut bench.launch("undisturbed", Vec::new(), &options));
    assert!(output.status.success(), "{said}");
    for (name, signal) in [("terminated", Signal::TERM), ("ctrl-c", Signal::INT)] {
        // After the first checkpoint it does not go on until it is asked to stop.
        let mut child = bench.launch(name, fault(Kind::Hold, 0, 12), &options).spawn().unwrap();
        while !bench.checkpoint(name).exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let (output, said) = ended(LIMIT, child);
        assert_eq!(output.status.code(), Some(130), "{name}: {said}");
        assert!(said.contains("was stopped, with a checkpoint"), "{name}: {said}");
        assert!(bench.bytes(name) != bench.bytes("undisturbed"), "{name}: it was not over");
        let (output, said) = within(LIMIT, &mut bench.launch(name, Vec::new(), &options));
        assert!(output.status.success(), "{name}: {said}");
        assert!(bench.bytes(name) == bench.bytes("undisturbed"), "{name}");
    }
}

#[test]
fn a_job_whose_network_is_cut_goes_on_with_the_host_that_is_left() {
    if !is_there() {
        return;
    }
    let hosts = match Hosts::new(None) {
        Ok(hosts) => hosts,
        Err(error) => {
            eprintln!("skipped: two hosts cannot be made here: {error:#}");
            return;
        }
    };
    let bench = Bench::new(2, Exchange::Exact);
    let (names, agent, mpirun) = (hosts.names().join(","), hosts.agent(), hosts.mpirun());
    let options = ["--hosts", &names, "--agent", &agent, "--mpirun", &mpirun, "--restarts", "1"];
    let (output, said) = within(LIMIT, &mut bench.launch("undisturbed", Vec::new(), &options));
    assert!(output.status.success(), "{said}");
    let one_host = {
        let bench_alone = bench.launch("one host", Vec::new(), &["--ranks", "2"]);
        let (output, said) = within(LIMIT, &mut { bench_alone });
        assert!(output.status.success(), "{said}");
        bench.bytes("one host")
    };
    assert!(bench.bytes("undisturbed") == one_host, "hosts change no bits");

    let cut = fault(Kind::Cut(INTERFACE.into()), 1, 25);
    let (output, said) = within(LIMIT, &mut bench.launch("cut", cut, &options));
    assert!(output.status.success(), "{said}");
    for word in ["rank 1 of 2", &hosts.names()[1], "still nothing from", "step 2", "is left out", "starting again"] {
        assert!(said.contains(word), "no {word:?} in:\n{said}");
    }
    // On one rank rather than two, sums are rounded otherwise.
    let (got, want) = (params(&bench.checkpoint("cut")), params(&bench.checkpoint("undisturbed")));
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(&want) {
        assert!((got - want).abs() < 1e-3, "{got}, not {want}");
    }
}

/// All numbers of the parameters of a checkpoint.
fn params(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let blocks: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let weights = blocks.iter().filter(|(name, _)| name.ends_with("weight") && name.starts_with("params"));
    weights
        .flat_map(|(_, block)| {
            let [from, to] = [0, 1].map(|i| block["data_offsets"][i].as_u64().unwrap() as usize + 8 + header);
            bytes[from..to].chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect::<Vec<_>>()
        })
        .collect()
}
