//! The dependency table of docs/architecture.md, held against what the crates really depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each room, and the rooms that it may know.
const EDGES: &[(&str, &[&str])] = &[
    ("tensor", &[]),
    ("autograd", &["tensor"]),
    ("optim", &["tensor"]),
    ("metrics", &["tensor"]),
    ("data", &["tensor"]),
    ("collective", &["tensor"]),
    ("layers", &["autograd"]),
    ("losses", &["autograd"]),
    ("data-parquet", &["data"]),
    ("strategies", &["autograd", "optim", "metrics", "data", "collective"]),
    (
        "tidemill",
        &[
            "tensor",
            "autograd",
            "optim",
            "metrics",
            "data",
            "collective",
            "layers",
            "losses",
            "data-parquet",
            "strategies",
        ],
    ),
    ("experiments", &["tidemill"]),
    ("benches", &["tidemill"]),
    ("golden", &[]),
    ("xtask", &[]),
];

/// Packages that only one room may know.
const KEPT_IN: &[(&str, &str)] = &[("arrow", "data-parquet"), ("parquet", "data-parquet"), ("gemm", "tensor")];

/// Packages that no library may know: they belong to binaries.
const BINARIES_ALONE: &[&str] = &["anyhow", "clap", "indicatif", "ctrlc"];

#[test]
fn crates_know_only_what_the_table_allows() {
    let table: BTreeMap<&str, BTreeSet<&str>> =
        EDGES.iter().map(|(room, known)| (*room, known.iter().copied().collect())).collect();
    let rooms = rooms();
    assert_eq!(
        rooms.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        table.keys().copied().collect(),
        "the rooms are those of the table"
    );
    for (room, dependencies) in &rooms {
        for dependency in dependencies {
            if let Some(known) = room_of(dependency) {
                let allowed = &table[room.as_str()];
                assert!(allowed.contains(known), "{room} depends on {known}, but may know only {allowed:?}");
            }
            for (package, keeper) in KEPT_IN {
                let is_it = dependency == package || dependency.starts_with(&format!("{package}-"));
                assert!(!is_it || room == keeper, "{room} depends on {dependency}, which only {keeper} may know");
            }
            let binary = ["experiments", "benches", "xtask"].contains(&room.as_str());
            assert!(binary || !BINARIES_ALONE.contains(&dependency.as_str()), "{room} depends on {dependency}");
        }
    }
    assert!(rooms["xtask"].is_empty(), "xtask is std alone");
}

/// The rooms that the documentation names are those that exist.
#[test]
fn the_architecture_page_names_every_room() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/architecture.md")).unwrap();
    for (room, _) in EDGES {
        assert!(page.contains(room), "docs/architecture.md does not name {room}");
    }
}

fn room_of(package: &str) -> Option<&str> {
    match package {
        "tidemill" | "xtask" => Some(package),
        other => other.strip_prefix("tidemill-"),
    }
}

/// Each room's dependencies, those for tests and builds left out.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let normal = dependencies.iter().filter(|d| d["kind"].is_null()).map(name).collect();
            (room_of(&name(package)).expect("a package of this workspace").to_owned(), normal)
        })
        .collect()
}
