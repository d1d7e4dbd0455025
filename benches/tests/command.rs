//! The command as a user runs it, with a peer that only pretends.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// An interpreter that has jax, and torch that fails; it notes what it is asked.
const PRETENDER: &str = r#"#!/bin/sh
shift
echo "$@" >> "$0.log"
case "$1" in
    */versions.py) echo '{"python": "3.0", "jax": "0.1", "optax": "0.2", "pyarrow": "9", "torch": "2.0"}' ;;
    */jax_peer.py) echo 'warming up'; echo '{"engine": "jax", "workload": "seed", "median": 1000, "peak_rss_mb": 7}' ;;
    */torch_peer.py) echo 'torch fell over' >&2; exit 1 ;;
esac
"#;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemill-benches")).args(arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn pretender(folder: &Path) -> String {
    let path = folder.join("python");
    fs::write(&path, PRETENDER).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn peers_are_run_in_turn_and_none_is_left_out_silently() {
    let folder = tempfile::tempdir().unwrap();
    let python = pretender(folder.path());
    let names = ["--against", "jax,torch,scikit-learn"];
    let output =
        bench(&[&["seed", "--peers", &python, "--rounds", "2", "--repeats", "1", "--json"], &names[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let [line] = &lines(&output)[..] else { panic!("one line") };
    assert_eq!((&line["workload"], &line["threads"], &line["fastest"]), (&"seed".into(), &1.into(), &"jax".into()));
    let (ours, jax) = (line["ours"]["runs"].as_array().unwrap(), &line["peers"][0]);
    assert_eq!((ours.len(), jax["runs"].as_array().unwrap().len()), (3, 2), "torch failed in the first round");
    assert_eq!((jax["median"].as_f64(), jax["peak_rss_mb"].as_u64()), (Some(1000.0), Some(7)));
    assert_eq!(line["ratio"], jax["ratio"]);
    let skipped = |peer: usize| line["peers"][peer]["skipped"].as_str().unwrap().to_owned();
    assert!(skipped(1).contains("torch fell over"), "{line}");
    assert_eq!(skipped(2), "this Python has no scikit-learn");
    for peer in ["torch", "scikit-learn"] {
        assert!(said.contains(&format!("{peer} skipped, ")), "{said}");
    }
    let asked = fs::read_to_string(format!("{python}.log")).unwrap();
    assert!(asked.contains("jax_peer.py seed --threads 1 --repeats 1\n"), "{asked}");
}

#[test]
fn streams_are_compared_over_one_file_that_is_gone_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let python = pretender(folder.path());
    let output = bench(&["stream", "--rows", "3000", "--peers", &python, "--against", "jax", "--rounds", "1"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first: Vec<&str> = table.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(first, ["workload", "stream", "", "stream memory", "", "stream decode"]);
    assert!(table.contains("fastest peer") && table.contains("no peer has this"), "{table}");
    let asked = fs::read_to_string(format!("{python}.log")).unwrap();
    let files: Vec<&str> = asked.lines().filter_map(|line| line.split("--file ").nth(1)).collect();
    assert!(files.len() == 2 && files[0] == files[1] && files[0].ends_with(".parquet"), "{asked}");
    assert!(!Path::new(files[0]).exists(), "{}", files[0]);
}

#[test]
fn several_figures_make_a_table_and_a_kept_file_serves_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.parquet");
    let file = file.to_str().unwrap();
    let found = lines(&bench(&["stream", "--mode", "stream,decode", "--rows", "3000", "--keep", file, "--json"]));
    let modes: Vec<&str> = found.iter().map(|line| line["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["stream", "decode"]);
    let [again] = &lines(&bench(&["stream", "--file", file, "--json"]))[..] else { panic!("one line") };
    assert_eq!(again["loss"], found[0]["loss"]);
    let table = bench(&["online1", "--file", file, "--repeats", "1"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    let first: Vec<&str> = table.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(first[1..], ["online1 memory", "online1 memory, scored", "online1 parquet", "online1 parquet, scored"]);
}

#[test]
fn tables_of_several_sizes_are_measured_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let python = pretender(folder.path());
    let small = ["ctr", "--categories", "50,70", "--rows", "3000", "--repeats", "1"];
    let found = lines(&bench(&[&small[..], &["--json"]].concat()));
    let sizes: Vec<u64> = found.iter().map(|line| line["categories"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [50, 70]);
    assert!(found.iter().all(|line| line["workload"] == "ctr" && line["median"].as_u64() > Some(0)), "{found:?}");
    let compared = lines(&bench(&[&small[..], &["--peers", &python, "--rounds", "1", "--json"]].concat()));
    for (line, size) in compared.iter().zip([50, 70]) {
        let peers: Vec<&str> = line["peers"].as_array().unwrap().iter().filter_map(|p| p["engine"].as_str()).collect();
        assert_eq!((&line["categories"], peers), (&size.into(), vec!["jax", "torch", "torch-sparse"]));
    }
    let asked = fs::read_to_string(format!("{python}.log")).unwrap();
    for size in [50, 70] {
        let expected = format!("jax_peer.py ctr --threads 1 --repeats 1 --rows 2048 --categories {size}\n");
        assert!(asked.contains(&expected), "{expected}: {asked}");
    }
    let alone = bench(&["ctr", "--categories", "50", "--rows", "1024", "--repeats", "1"]);
    let said = String::from_utf8_lossy(&alone.stdout).into_owned();
    assert!(
        said.starts_with("ctr (13 numbers, 26 x 50 categories, 64-32-1, batch 1024, 1024 rows), 1 thread\n"),
        "{said}"
    );
}

#[test]
fn what_fails_apart_is_told() {
    let output = bench(&["online1", "--file", "no-such-file.parquet"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("online1 memory"), "{said}");
}
