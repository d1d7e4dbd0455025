use std::fs;

use super::*;

#[test]
fn a_result_that_is_not_whole_is_measured_again() {
    let place = Place::new(480);
    succeeds(&mut place.experiment("online", &[]));
    let runs = place.at("out/runs");
    let path = runs.join("online-1.json");
    let (text, want) = (fs::read(&path).unwrap(), measured(&json(&path)));
    let of_another_seed = String::from_utf8_lossy(&text).replace("\"seed\": 1", "\"seed\": 2");
    let spoil: [&dyn Fn(); 6] = [
        &|| fs::write(&path, "").unwrap(),
        &|| fs::write(&path, &text[..text.len() / 2]).unwrap(),
        &|| fs::write(&path, "{}").unwrap(),
        &|| fs::write(&path, [0xff; 100]).unwrap(),
        &|| fs::write(&path, &of_another_seed).unwrap(),
        &|| fs::remove_file(runs.join("online-1.model.safetensors")).unwrap(),
    ];
    for (case, spoil) in spoil.iter().enumerate() {
        spoil();
        let output = succeeds(&mut place.experiment("online", &["--resume"]));
        assert!(said(&output).contains("it is run again"), "{case}: {}", said(&output));
        assert_eq!(measured(&place.results()["runs"][0]), want, "{case}");
        assert_eq!(names(&runs), ["online-1.json", "online-1.model.safetensors"], "{case}");
    }
    // Of a process that was killed when it had written its result.
    fs::write(runs.join("online-1.partial.json"), "").unwrap();
    fs::write(runs.join("online-1.state-7.safetensors"), "").unwrap();
    fs::write(runs.join(".online-1.json.99999999-0.tidemill-tmp"), "half").unwrap();
    let output = succeeds(&mut place.experiment("online", &["--resume"]));
    assert!(!said(&output).contains("it is run again"), "{}", said(&output));
    assert_eq!(names(&runs), ["online-1.json", "online-1.model.safetensors"]);
}

#[test]
fn what_a_run_has_saved_is_checked_before_it_is_gone_on_with() {
    let place = Place::new(480);
    succeeds(&mut place.experiment("retrained", &[]));
    let want = measured(&place.results()["runs"][0]);
    let folder = place.at("saved");
    let (partial, result) = (folder.join("retrained-1.partial.json"), folder.join("retrained-1.json"));
    let with = |field: &str, value: Value| {
        let mut saved = json(&partial);
        assert!(saved.get(field).is_some(), "{field}");
        saved[field] = value;
        fs::write(&partial, saved.to_string()).unwrap();
    };
    let state = || folder.join(names(&folder).into_iter().find(|name| name.contains(".state-")).unwrap());
    let spoil: [(&str, &dyn Fn()); 9] = [
        ("empty", &|| fs::write(&partial, "").unwrap()),
        ("cut", &|| fs::write(&partial, &fs::read(&partial).unwrap()[..40]).unwrap()),
        ("another", &|| with("fingerprint", "0123".into())),
        // It would go straight to the result, with a model that has learned little.
        ("phase", &|| with("phase", 9.into())),
        ("phase", &|| with("phase", 1_000_000.into())),
        ("no state", &|| with("state", Value::Null)),
        ("step", &|| with("state_steps", 1_000.into())),
        ("state cut", &|| fs::write(state(), &fs::read(state()).unwrap()[..100]).unwrap()),
        ("state gone", &|| fs::remove_file(state()).unwrap()),
    ];
    for (case, spoil) in spoil {
        let output = faulty(place.run("retrained", &folder).args(["--save-every", "0"]), "kill", 3).output().unwrap();
        assert!(!output.status.success() && partial.exists(), "{case}: {}", said(&output));
        spoil();
        succeeds(&mut place.run("retrained", &folder));
        let run = json(&result);
        assert_eq!(measured(&run), want, "{case}");
        let note = run["note"].as_str().unwrap_or_default();
        assert!(note.starts_with("Begun anew") && note.contains("retrained-1.partial.json"), "{case}: {note}");
        assert_eq!(names(&folder), ["retrained-1.json", "retrained-1.model.safetensors"], "{case}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn files_have_the_modes_that_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new(480);
    let plain = place.at("plain");
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    succeeds(&mut place.experiment("online", &[]));
    for name in [
        "report.html",
        "results.json",
        "curves.parquet",
        "spec.json",
        "inputs.json",
        "runs/online-1.json",
        "runs/online-1.model.safetensors",
    ] {
        assert_eq!(mode(&place.at("out").join(name)), mode(&plain), "{name}");
    }
}
