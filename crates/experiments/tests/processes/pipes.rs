use std::fs::{self, File};

use super::*;

fn inspect(place: &Place, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"));
    command.arg("inspect").arg(place.data()).args(more);
    command
}

/// The end of a pipe whose other end is closed.
fn broken() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn output_that_nobody_reads_ends_nothing() {
    let place = Place::new(480);
    let output = place.experiment("online", &[]).stdout(broken()).output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
    assert_eq!(place.results()["complete"], true);
    let output = place.experiment("online", &[]).stdout(broken()).stderr(broken()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    for more in [&[][..], &["--json"]] {
        let output = inspect(&place, more).stdout(broken()).output().unwrap();
        assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
    }
    // An error that nobody hears is an error all the same.
    let output = inspect(&place, &["--target", "z"]).stdout(broken()).stderr(broken()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn output_that_cannot_be_written_is_an_error_when_everything_else_is_done() {
    let place = Place::new(480);
    let outputs = [
        place.experiment("online", &[]).stdout(full()).output().unwrap(),
        inspect(&place, &[]).stdout(full()).output().unwrap(),
        inspect(&place, &["--json"]).stdout(full()).output().unwrap(),
    ];
    for output in outputs {
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with("error: standard output cannot be written: No space left"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert_eq!(place.results()["complete"], true);
    for file in ["report.html", "curves.parquet"] {
        assert!(place.at("out").join(file).exists(), "{file}");
    }
}

#[test]
fn a_fifo_that_nobody_writes_to_can_be_interrupted() {
    let place = Place::new(480);
    fs::remove_file(place.data()).unwrap();
    let made = Command::new("mkfifo").arg(place.data()).status().unwrap();
    assert!(made.success());
    for mut command in [place.experiment("online", &[]), inspect(&place, &[])] {
        for signal in [Signal::INT, Signal::TERM] {
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // Until the program listens for signals; before, they have their usual effect.
            let listens = |child: &Child| {
                let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
                tasks
                    .into_iter()
                    .any(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "signals"))
            };
            while child.try_wait().unwrap().is_none() && !listens(&child) {
                std::thread::yield_now();
            }
            if child.try_wait().unwrap().is_none() {
                kill_process(Pid::from_child(&child), signal).unwrap();
            }
            let output = child.wait_with_output().unwrap();
            // Or it is refused by name, as what it is.
            let text = said(&output);
            let is_refused = output.status.code() == Some(1) && text.contains("rows.parquet");
            assert!(output.status.code() == Some(130) || is_refused, "{}: {text}", output.status);
        }
    }
}
