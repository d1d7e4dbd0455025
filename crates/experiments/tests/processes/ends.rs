use std::os::unix::process::CommandExt;

use rustix::process::kill_process_group;

use super::*;

#[test]
fn a_comparison_that_is_asked_to_stop_has_its_runs_save_and_goes_on_to_the_same_result() {
    let place = Place::new(3600);
    succeeds(&mut place.experiment("retrained", &[]));
    let want = place.results();
    // To the comparison alone, as a service manager does it, and to all of its group, as a terminal does.
    // Held in the middle of a phase, before its last step, and after it: then the next phase begins, and takes a step or
    // none.
    for (signal, is_for_all, step, saved_step) in [
        (Signal::TERM, false, 6, 7..=7),
        (Signal::HUP, false, 4, 5..=5),
        (Signal::INT, true, 5, 0..=1),
        (Signal::INT, false, 6, 7..=7),
    ] {
        let suspended =
            Suspended::start(suspended_and_held_after(&mut place.experiment("retrained", &[]), step).process_group(0));
        assert_eq!(
            ["report.html", "results.json", "curves.parquet"].map(|file| place.at("out").join(file).exists()),
            [false; 3],
            "those of the comparison before"
        );
        if is_for_all {
            kill_process_group(suspended.parent(), signal).unwrap();
        } else {
            kill_process(suspended.parent(), signal).unwrap();
        }
        let run = suspended.run;
        let (code, text) = suspended.ended();
        assert_eq!(code, Some(130), "{text}");
        assert!(text.contains("stopped; what was measured so far is saved"), "{text}");
        gone(run);
        assert!(place.results()["runs"].as_array().unwrap().is_empty());
        let saved = names(&place.at("out/runs"));
        assert_eq!(saved.len(), 2, "the state of training and what belongs to it: {saved:?}");
        let steps = json(&place.at("out/runs/retrained-1.partial.json"))["state_steps"].as_u64();
        assert!(saved_step.contains(&steps.unwrap()), "{steps:?}, expected {saved_step:?}");
        succeeds(&mut place.experiment("retrained", &["--resume"]));
        assert_eq!(measured(&place.results()["runs"][0]), measured(&want["runs"][0]), "{signal:?}");
        assert_eq!(names(&place.at("out/runs")), ["retrained-1.json", "retrained-1.model.safetensors"]);
    }
}

#[test]
fn a_run_that_was_suspended_for_a_while_gives_the_same_result() {
    let place = Place::new(2400);
    succeeds(&mut place.experiment("online", &[]));
    let want = place.results();
    let suspended = Suspended::start(suspended_after(&mut place.experiment("online", &[]), 1));
    suspended.go_on();
    // Online goes through nine phases, without setting its step back: it is suspended once.
    let (code, text) = suspended.ended();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(measured(&place.results()["runs"][0]), measured(&want["runs"][0]));
}

#[test]
fn a_second_comparison_in_the_folder_is_refused_by_name() {
    let place = Place::new(480);
    let suspended = Suspended::start(suspended_after(&mut place.experiment("online", &[]), 1));
    let distributed = {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill-experiments"));
        command.args(["experiment", "distributed", "--quick", "--out"]).arg(place.at("out"));
        command
    };
    for mut other in [place.experiment("batch", &[]), place.experiment("online", &["--resume"]), distributed] {
        let output = other.output().unwrap();
        let (text, pid) = (said(&output), suspended.parent.id());
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("process {pid} is running a comparison there")), "{text}");
        assert!(text.contains(&place.at("out").display().to_string()) && text.contains("--out"), "{text}");
    }
    suspended.go_on();
    let (code, text) = suspended.ended();
    assert_eq!(code, Some(0), "undisturbed: {text}");
    let strategies: Vec<Value> =
        place.results()["runs"].as_array().unwrap().iter().map(|run| run["strategy"].clone()).collect();
    assert_eq!(strategies, ["online"]);
    succeeds(&mut place.experiment("batch", &[]));
}
