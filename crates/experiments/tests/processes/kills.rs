use std::fs;
use std::os::unix::process::ExitStatusExt;

use super::*;

/// What a strategy gives when nothing happens to it, with the files that it needs.
fn undisturbed(strategies: &str) -> (Place, Value) {
    let place = Place::new(480);
    succeeds(&mut place.experiment(strategies, &[]));
    let run = json(&place.at(&format!("out/runs/{strategies}-1.json")));
    (place, run)
}

#[test]
fn a_run_killed_between_any_two_steps_of_its_files_goes_on_to_the_same_result() {
    let (place, want) = undisturbed("online");
    let mut is_over = false;
    for step in 0.. {
        let folder = place.at(&format!("killed-{step}"));
        let output = killed_before(place.run("online", &folder).args(["--save-every", "0"]), step).output().unwrap();
        is_over = output.status.success();
        assert!(is_over || output.status.signal() == Some(9), "step {step}: {}", said(&output));
        succeeds(&mut place.run("online", &folder));
        let got = json(&folder.join("online-1.json"));
        assert_eq!(measured(&got), measured(&want), "killed before step {step}");
        assert_eq!(got["note"], Value::Null, "nothing had to be begun anew, step {step}");
        assert_eq!(names(&folder), ["online-1.json", "online-1.model.safetensors"], "step {step}");
        fs::remove_dir_all(folder).unwrap();
        if is_over {
            assert!(step >= 40, "nine phases are saved, and a result is written: {step} steps");
            break;
        }
    }
    assert!(is_over);
}

#[test]
fn a_run_killed_after_any_step_of_training_goes_on_to_the_same_result() {
    // Several phases, of several steps, each from new parameters.
    let (place, want) = undisturbed("retrained");
    for step in 1..=3 {
        let folder = place.at(&format!("killed-{step}"));
        // In every phase that comes so far: each attempt goes on from the last step that was saved.
        let mut attempts = 0;
        let done = loop {
            let output =
                faulty(place.run("retrained", &folder).args(["--save-every", "0"]), "kill", step).output().unwrap();
            if output.status.success() {
                break attempts;
            }
            assert_eq!(output.status.signal(), Some(9), "{}", said(&output));
            attempts += 1;
        };
        assert!(done > 0, "no phase has {step} steps");
        assert_eq!(measured(&json(&folder.join("retrained-1.json"))), measured(&want), "{step}");
    }
}

#[test]
fn a_comparison_killed_between_any_two_steps_of_its_files_leaves_whole_files_and_can_be_begun_again() {
    let place = Place::new(480);
    let mut is_over = false;
    for step in 0.. {
        let output = killed_before(&mut place.experiment("batch", &[]), step).output().unwrap();
        is_over = output.status.success();
        assert!(is_over || output.status.signal() == Some(9), "step {step}: {}", said(&output));
        let out = place.at("out");
        if out.join("results.json").exists() {
            assert!(place.results()["version"].is_u64());
        }
        if let Ok(report) = fs::read_to_string(out.join("report.html")) {
            assert!(report.trim_end().ends_with("</html>"), "step {step}: {} bytes", report.len());
        }
        if out.join("curves.parquet").exists() {
            tidemill::parquet::describe(out.join("curves.parquet")).unwrap();
        }
        // Going on either works or says that there is nothing to go on with; it is never the end of the folder.
        let resumed = place.experiment("batch", &["--resume"]).output().unwrap();
        let text = said(&resumed);
        assert!(resumed.status.success() || text.contains("nothing to go on with"), "step {step}: {text}");
        if resumed.status.success() {
            assert_eq!(place.results()["complete"], true, "step {step}");
        }
        if is_over {
            assert!(step > 20, "{step} steps");
            break;
        }
    }
    assert!(is_over);
    succeeds(&mut place.experiment("batch", &["--resume"]));
    let expected = [".lock", "curves.parquet", "inputs.json", "report.html", "results.json", "runs", "spec.json"];
    assert_eq!(names(&place.at("out")), expected);
}

#[test]
fn a_killed_comparison_takes_its_runs_along_and_is_gone_on_with() {
    let (place, want) = undisturbed("online");
    for signal in [Signal::KILL, Signal::USR1] {
        let suspended = Suspended::start(suspended_after(&mut place.experiment("online", &[]), 1));
        let (parent, run) = (suspended.parent(), suspended.run);
        // A suspended run ends too.
        kill_process(parent, signal).unwrap();
        suspended.ended();
        // At once: what is still held by the run is waited for.
        succeeds(&mut place.experiment("online", &["--resume"]));
        gone(run);
        assert_eq!(measured(&place.results()["runs"][0]), measured(&want));
    }
}
