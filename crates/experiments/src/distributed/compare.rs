use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tidemill::data::{Interrupt, file};

use super::link::{Hosts, Link};
use super::rank::{Found, Job};
use super::report;
use super::results::{Results, Run, Task};
use super::way::Way;
use super::{higgs, table};
use crate::child::{Ended, ends_with_this, follow};
use crate::columns::Unseen;
use crate::fault;
use crate::folder::Folder;
use crate::inputs::Inputs;
use crate::outputs::{self, replace};
use crate::progress::Work;
use crate::results::TaskKind;
use crate::run::Outcome;
use crate::signals::attend;
use crate::tasks::{self, Effort, UserData};
use crate::{machine, say};

/// How a comparison is run.
#[derive(Debug)]
pub struct Options {
    /// Where everything is written.
    pub folder: Folder,
    /// Seeds of each run.
    pub seeds: Vec<u64>,
    /// Full or quick.
    pub effort: Effort,
    /// Workers of all ways but the first.
    pub workers: usize,
    /// What lies between ranks.
    pub links: Vec<Link>,
    /// `mpirun` on this host, and its arguments.
    pub mpirun: Vec<String>,
    /// Names of the ways to run; all when empty.
    pub ways: Vec<String>,
    /// Most seconds of a run. What runs learn in a time depends on how busy the machine is.
    pub most_seconds: Option<f64>,
    /// Most steps of a run.
    pub most_steps: Option<u64>,
}

/// Compares the ways to spread training over processors, over each link; writes `report.html` and `results.json`.
///
/// # Errors
///
/// When files cannot be written. Runs that fail are reported, and so are links that cannot be made.
pub fn compare(options: &Options, stop: &Interrupt) -> Result<Outcome> {
    let began = Instant::now();
    let mut ways = Way::all(options.workers);
    if let Some(unknown) = options.ways.iter().find(|name| !ways.iter().any(|way| way.name == **name)) {
        let names: Vec<&str> = ways.iter().map(|way| way.name.as_str()).collect();
        bail!("there is no way {unknown}; there are {}", names.join(", "));
    }
    if options.ways.is_empty() {
        ways.truncate(Way::USUAL);
    } else {
        ways.retain(|way| way.name == "serial" || options.ways.contains(&way.name));
    }
    let folder = options.folder.path();
    let tasks = tasks(options)?;
    outputs::remove(folder)?;
    let _attended = attend();
    let mut results = Results {
        started: machine::now(),
        machine: machine::machine(),
        quick: options.effort == Effort::Quick,
        ways,
        tasks: tasks.iter().map(|prepared| prepared.task.clone()).collect(),
        left_out: Vec::new(),
        seeds: options.seeds.clone(),
        runs: Vec::new(),
        seconds: 0.0,
    };
    let all: Vec<Way> = results.ways.clone();
    let alone = all.iter().filter(|way| way.ranks == 1).map(|way| (None, way));
    let together =
        options.links.iter().flat_map(|&link| all.iter().filter(|way| way.ranks > 1).map(move |way| (Some(link), way)));
    // A link at a time, for all tasks and seeds.
    let mut hosts: Option<(Link, Hosts)> = None;
    for (link, way) in alone.chain(together) {
        if let Some(Link::Network(bits)) = link
            && hosts.as_ref().is_none_or(|(made, _)| Some(*made) != link)
        {
            if results.left_out.iter().any(|(left_out, _)| Some(*left_out) == link) {
                continue;
            }
            match Hosts::new(bits) {
                Ok(made) => hosts = Some((Link::Network(bits), made)),
                Err(error) => {
                    say::note(format_args!("{}: left out, {error:#}", Link::Network(bits).label()));
                    results.left_out.push((Link::Network(bits), format!("{error:#}")));
                    continue;
                }
            }
        }
        for prepared in &tasks {
            for &seed in &options.seeds {
                if stop.is_set() {
                    break;
                }
                let mpirun = match (link, &hosts) {
                    (None, _) => None,
                    (Some(Link::Network(_)), Some((_, hosts))) => Some((vec![hosts.mpirun()], Some(hosts.names()))),
                    _ => Some((options.mpirun.clone(), None)),
                };
                let found = run(options, prepared, way, (link, mpirun), seed, stop)?;
                prepared.inputs.unchanged()?;
                results.runs.push(Run { task: prepared.task.name.clone(), way: way.name.clone(), link, seed, found });
            }
        }
        results.seconds = began.elapsed().as_secs_f64();
        write(&results, folder)?;
    }
    say::line(format_args!("{}", table::terminal(&results)));
    for file in ["report.html", "results.json"] {
        say::line(format_args!("{}", folder.join(file).display()));
    }
    let failed: Vec<String> = results.runs.iter().filter_map(|run| run.found.clone().err()).collect();
    match (stop.is_set(), &failed[..]) {
        (true, _) => Ok(Outcome::Stopped),
        (false, []) => Ok(Outcome::Finished),
        (false, failed) => bail!("{} of {} runs failed:\n{}", failed.len(), results.runs.len(), failed.join("\n")),
    }
}

/// Data and model, and where the runs find them.
struct Prepared {
    task: Task,
    spec: PathBuf,
    inputs: Inputs,
}

fn tasks(options: &Options) -> Result<Vec<Prepared>> {
    let quick = options.effort == Effort::Quick;
    let folder = |name: &str| {
        let folder = options.folder.path().join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok::<_, anyhow::Error>(folder)
    };
    let flights = folder("flights")?;
    let mut prepared = tasks::flights(&flights, options.effort, 1, 1 << 30)?;
    // Harder to reach than what batch and online training are compared by: there is more to spread.
    prepared.spec.target_loss = Some(if quick { 0.54 } else { 0.5145 });
    let mut tasks = vec![("flights", flights, prepared)];
    let higgs = folder("higgs")?;
    let file = higgs.join("higgs.parquet");
    let work = Work::new("writing rows in the shape of HIGGS", None);
    higgs::write(&file, if quick { 20_000 } else { 400_000 })?;
    work.end();
    let data = UserData {
        file,
        target: "label".into(),
        task: Some(TaskKind::Binary),
        order: None,
        filter: None,
        except: Vec::new(),
        unseen: Unseen::Error,
        budget: 1 << 30,
    };
    let mut prepared = tasks::user(&data, &higgs, options.effort, 1)?;
    prepared.spec.hidden = vec![256, 256];
    prepared.spec.batch_size = if quick { 256 } else { 1024 };
    prepared.spec.target_loss = Some(if quick { 0.6 } else { 0.295 });
    prepared.title = "Rows in the shape of HIGGS".into();
    tasks.push(("higgs", higgs, prepared));
    tasks
        .into_iter()
        .map(|(name, folder, mut prepared)| {
            let spec = &mut prepared.spec;
            spec.epochs = if quick { 1 } else { 30 };
            let path = folder.join("spec.json");
            replace(&path, serde_json::to_string_pretty(&spec)?)?;
            let inputs = Inputs::of(&[&spec.data])?;
            let hidden: Vec<String> = spec.hidden.iter().map(usize::to_string).collect();
            let task = Task {
                name: name.into(),
                title: prepared.title.trim_start_matches("Batch or online? ").into(),
                model: format!("dense {}, ReLU", hidden.join("-")),
                parameters: spec.program()?.layout().len() as u64,
                batch_size: spec.batch_size,
                rows: prepared.data.training_rows,
                target_loss: spec.target_loss.unwrap_or(f64::NAN),
            };
            Ok(Prepared { task, spec: path, inputs })
        })
        .collect()
}

/// `mpirun` with its arguments, and the hosts where there are several.
type Start<'a> = (Vec<String>, Option<&'a [String; 2]>);

fn run(
    options: &Options,
    Prepared { task, spec, inputs }: &Prepared,
    way: &Way,
    (link, start): (Option<Link>, Option<Start<'_>>),
    seed: u64,
    stop: &Interrupt,
) -> Result<Result<Found, String>> {
    let over = link.map_or_else(String::new, |link| format!("-{}", link.name()));
    let folder = options.folder.path().join(&task.name).join(format!("{}{over}-{seed}", way.name));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (job_path, result) = (folder.join("job.json"), folder.join("found.json"));
    file::remove(&result).with_context(|| result.display().to_string())?;
    let job = Job {
        spec: spec.canonicalize()?,
        way: way.clone(),
        seed,
        inputs: inputs.clone(),
        most_seconds: options.most_seconds,
        most_steps: options.most_steps,
        to_target: options.effort == Effort::Full,
        look_every: Some(task.rows / 10),
        checkpoint: None,
        save_every: 0,
        result: Some(std::path::absolute(&result)?),
        traces: Some(std::path::absolute(&folder)?),
        deadline_seconds: 60.0,
        faults: Vec::new(),
    };
    replace(&job_path, serde_json::to_string_pretty(&job)?)?;
    let program = std::env::current_exe()?;
    let mut command = match start {
        None => Command::new(&program),
        Some((mpirun, hosts)) => {
            let mut command = Command::new(&mpirun[0]);
            command.args(&mpirun[1..]).args(["-np", &way.ranks.to_string()]);
            if let Some(hosts) = hosts {
                let slots = way.ranks.div_ceil(hosts.len());
                command.args(["-host", &hosts.each_ref().map(|host| format!("{host}:{slots}")).join(",")]);
                command.args(["-map-by", "node"]);
            }
            command.arg(&program);
            command
        }
    };
    let label =
        format!("{}, {}{}", task.title, way.label, link.map_or_else(String::new, |l| format!(", {}", l.label())));
    command.arg("rank").arg(std::path::absolute(&job_path)?).env_remove(fault::KILLED_BEFORE_FILE_STEP);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // mpirun ends its ranks when it is asked to, and has no time to when it is killed.
    let signal = if way.ranks > 1 { Signal::TERM } else { Signal::KILL };
    ends_with_this(&mut command, signal, Some(&options.folder))?;
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let program = command.get_program().display();
            let reason = format!("{label}: {program} cannot be started ({error}); ranks need Open MPI, see README.md");
            say::note(format_args!("{reason}"));
            return Ok(Err(reason));
        }
    };
    let work = Work::new(&label, None);
    let ended = follow(child, stop, |done, total| work.reach(done, total))?;
    work.end();
    let failed = match ended {
        Ended::Well => None,
        Ended::Stopped => Some("stopped before it was finished".into()),
        Ended::Badly(..) if stop.is_set() => Some("stopped before it was finished".into()),
        Ended::Badly(_, reason) => Some(reason),
    };
    if let Some(reason) = failed {
        say::note(format_args!("{label}: {reason}"));
        return Ok(Err(format!("{label}: {reason}")));
    }
    let text = fs::read(&result).with_context(|| result.display().to_string())?;
    let found: Found = serde_json::from_slice(&text).with_context(|| result.display().to_string())?;
    let reached = found.to_target.as_ref().map_or("not reached".to_owned(), |t| crate::format::duration(t.seconds));
    let rate = crate::format::rate(found.rate());
    say::note(format_args!("{label}, seed {seed}: {rate} rows/s, target {reached}"));
    Ok(Ok(found))
}

fn write(results: &Results, folder: &Path) -> Result<()> {
    replace(&folder.join("results.json"), serde_json::to_string_pretty(results)?)?;
    replace(&folder.join("report.html"), report::html(results))
}
