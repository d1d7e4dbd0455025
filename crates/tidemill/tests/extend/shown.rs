//! What docs/extending.md shows is what these files hold.

use std::collections::BTreeSet;
use std::path::PathBuf;

#[test]
fn the_guide_shows_these_files() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(directory.join("../../docs/extending.md")).unwrap();
    let (mut shown, mut name) = (BTreeSet::new(), "");
    // Text and code by turns; the text before a piece of code has a link to its file, or goes on with the last one.
    for (number, part) in guide.split("```").enumerate() {
        let Some(code) = part.strip_prefix("rust\n").filter(|_| number % 2 == 1) else {
            name = part.rsplit_once("tests/extend/").map_or(name, |(_, after)| after.split(')').next().unwrap());
            continue;
        };
        let path = directory.join("tests/extend").join(name);
        let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(file.contains(code), "docs/extending.md shows what {name} does not hold:\n{code}");
        shown.insert(name.to_owned());
    }
    let files = std::fs::read_dir(directory.join("tests/extend")).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        files.filter(|name| !["data.rs", "main.rs", "shown.rs"].contains(&name.as_str())).collect();
    assert_eq!(shown, files, "each file is shown");
}
