//! The plan of docs/architecture.md, held against what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Packages that only some rooms may know.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("arrow", &["data-arrow", "data-parquet"]),
    ("parquet", &["data-parquet"]),
    ("gemm", &["tensor"]),
    ("libloading", &["collective-mpi"]),
];

/// Packages that no library may know: they belong to binaries.
const BINARIES_ALONE: &[&str] = &["anyhow", "clap", "criterion", "indicatif", "ctrlc"];

/// Rooms that end in a binary.
const BINARIES: &[&str] = &["experiments", "benches", "xtask"];

#[test]
fn crates_know_only_what_the_table_allows() {
    let (table, rooms) = (table(), rooms());
    for (room, Dependencies { normal, .. }) in &rooms {
        let allowed = table.get(room).unwrap_or_else(|| panic!("docs/architecture.md does not tell of {room}"));
        for dependency in normal {
            if let Some(known) = room_of(dependency) {
                assert!(allowed.contains(known), "{room} depends on {known}, but may know only {allowed:?}");
            }
            for (package, keepers) in KEPT_IN {
                let is_it = dependency == package || dependency.starts_with(&format!("{package}-"));
                let may = keepers.contains(&room.as_str());
                assert!(!is_it || may, "{room} depends on {dependency}, which only {keepers:?} may know");
            }
            let binary = BINARIES.contains(&room.as_str());
            assert!(binary || !BINARIES_ALONE.contains(&dependency.as_str()), "{room} depends on {dependency}");
        }
    }
    assert!(rooms["xtask"].normal.is_empty(), "xtask is std alone");
    assert!(rooms.len() > 10, "rooms were found");
}

/// For tests a crate may know its fixtures, and what it is tried out with; never what is built on it.
#[test]
fn tests_do_not_turn_the_house_upside_down() {
    let table = table();
    for (room, Dependencies { development, .. }) in rooms() {
        for known in development.iter().filter_map(|dependency| room_of(dependency)) {
            let mut below = BTreeSet::from([known]);
            add_below(&table, known, &mut below);
            assert!(!below.contains(room.as_str()), "tests of {room} depend on {known}, which is built on it");
        }
    }
}

fn add_below<'t>(table: &'t BTreeMap<String, BTreeSet<String>>, room: &str, below: &mut BTreeSet<&'t str>) {
    for known in &table[room] {
        if below.insert(known) {
            add_below(table, known, below);
        }
    }
}

/// What the page points at exists.
#[test]
fn the_page_names_files_that_are_there() {
    let (page, root) = (page(), root());
    let named = page.split('`').skip(1).step_by(2).filter(|code| code.starts_with("crates/") && !code.contains(' '));
    let named: Vec<&str> = named.collect();
    for path in &named {
        assert!(root.join(path).exists(), "docs/architecture.md names {path}");
    }
    assert!(named.iter().filter(|path| path.ends_with(".rs")).count() > 10, "{named:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/architecture.md")).unwrap()
}

/// The page's table: each room, and the rooms that it may know. Its lines are ``| `room` | others | what it is |``.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = page();
    let line = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let room = cells.next()?.trim().strip_suffix('`')?.to_owned();
        let known = cells.next()?.split(',').map(|known| known.trim().to_owned());
        cells.next()?;
        Some((room, known.filter(|known| known != "nothing").collect()))
    };
    let rooms = page.split("\n## ").find(|section| section.starts_with("Crates")).expect("a section of crates");
    rooms.lines().filter_map(line).collect()
}

fn room_of(package: &str) -> Option<&str> {
    match package {
        "tidemill" | "xtask" => Some(package),
        other => other.strip_prefix("tidemill-"),
    }
}

/// What a crate depends on: built with it, and in its tests alone.
struct Dependencies {
    normal: BTreeSet<String>,
    development: BTreeSet<String>,
}

fn rooms() -> BTreeMap<String, Dependencies> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let room = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap();
        let of = |kind: Value| dependencies.iter().filter(|d| d["kind"] == kind).map(name).collect();
        let dependencies = Dependencies { normal: of(Value::Null), development: of("dev".into()) };
        (room_of(&name(package)).expect("a package of this workspace").to_owned(), dependencies)
    };
    packages.iter().map(room).collect()
}
