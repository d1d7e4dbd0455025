use std::fs::{self, File};

use super::*;

/// A comparison whose data is changed while its first run is under way: it ends with an error that says so, and cannot be
/// gone on with.
fn ends(change: impl FnOnce(&Place), expected: &str) {
    let place = Place::new(960);
    let suspended = Suspended::start(suspended_after(&mut place.experiment("retrained,online", &[]), 1));
    change(&place);
    suspended.go_on();
    // Each phase begins at step 0, and would be suspended again.
    let (code, text) = suspended.ended();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("rows.parquet: changed since the comparison was prepared"), "{text}");
    assert!(text.contains(expected), "{expected:?} in {text}");
    let results = place.results();
    assert_eq!((&results["complete"], results["runs"].as_array().unwrap().len()), (&Value::Bool(false), 0));
    let output = place.experiment("retrained,online", &["--resume"]).output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("other data") || text.contains("other settings"), "{text}");
}

#[test]
fn data_that_is_replaced_shortened_or_written_to_ends_the_comparison_by_name() {
    // Other rows, as many of them, under the same name.
    ends(
        |place| {
            write_rows(&place.at("other"), 960, 7.0);
            fs::rename(place.at("other"), place.data()).unwrap();
        },
        "rows.parquet",
    );
    ends(|place| write_rows(&place.data(), 480, 0.0), "bytes and has");
    // The same rows in another file, and the same file at another time.
    ends(
        |place| {
            fs::copy(place.data(), place.at("other")).unwrap();
            fs::rename(place.at("other"), place.data()).unwrap();
        },
        "another file was put in its place",
    );
    ends(
        |place| {
            let file = File::options().write(true).open(place.data()).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        },
        "it was written to",
    );
}

#[test]
fn settings_are_not_mixed() {
    let place = Place::new(480);
    succeeds(&mut place.experiment("online", &[]));
    // As if the runs of other settings were there: of the same strategy and seed.
    let path = place.at("out/runs/online-1.json");
    let mut run = json(&path);
    let want = measured(&run);
    run["fingerprint"] = "0123".into();
    run["held_out"]["loss"] = 0.0.into();
    fs::write(&path, run.to_string()).unwrap();
    let output = succeeds(&mut place.experiment("online", &["--resume"]));
    assert!(said(&output).contains("other data or settings; it is run again"), "{}", said(&output));
    assert_eq!(measured(&place.results()["runs"][0]), want);
    let output = place.experiment("online", &["--resume", "--budget", "77"]).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("other settings"), "{}", said(&output));
    assert_eq!(measured(&place.results()["runs"][0]), want, "what is there stays");
}
