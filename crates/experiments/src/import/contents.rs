use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::format::is_named_so;
use super::paths::entries;

/// What a folder stands for.
///
/// For all `*.parquet` files in it and below where it has one directly, else for its files of CSV or Arrow IPC and those
/// in its folders named `key=value`. Where there is neither, for the files in all folders below: of Parquet where there is
/// one, else of the other formats. Hidden files and folders, whose names begin with a dot or an underscore, are passed
/// over; so are files of other formats, with a note that names one.
#[derive(Debug)]
pub(super) enum Contents {
    Parquet { note: Option<String> },
    Others { files: Vec<PathBuf>, note: Option<String> },
}

/// The files of a folder that can be read, by their names.
#[derive(Default)]
struct Files {
    parquet: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl Contents {
    pub fn of(folder: &Path) -> Result<Self> {
        let mut direct = Files::default();
        let folders = direct.add(folder)?;
        let (mut keyed, mut rest) = (Files::default(), Files::default());
        for below in folders {
            let is_keyed = below.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'='));
            let files = if is_keyed { &mut keyed } else { &mut rest };
            files.add_below(&below, &mut vec![real(folder)?])?;
        }
        if !direct.parquet.is_empty() || direct.others.is_empty() {
            let parquet = [direct.parquet, keyed.parquet, rest.parquet].concat();
            let others = [direct.others, keyed.others, rest.others].concat();
            return match (parquet.is_empty(), others.is_empty()) {
                (true, true) => bail!("{}: there is no file of Parquet, CSV or Arrow IPC in it", folder.display()),
                (true, false) => Ok(Self::Others { files: sorted(others), note: None }),
                (false, _) => Ok(Self::Parquet { note: note(folder, "Parquet files", &others) }),
            };
        }
        let passed_over = [keyed.parquet, rest.parquet, rest.others].concat();
        let note = note(folder, "files of CSV or Arrow IPC", &passed_over);
        Ok(Self::Others { files: sorted([direct.others, keyed.others].concat()), note })
    }
}

impl Files {
    /// Adds what is directly in a folder; gives the folders in it.
    fn add(&mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for path in entries(folder)?.into_iter().filter(|path| !is_hidden(path)) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet")) {
                self.parquet.push(path);
            } else if is_named_so(&path) {
                self.others.push(path);
            }
        }
        Ok(folders)
    }

    /// Adds what is in a folder and below. A link that leads to a folder `above` leads to nothing new.
    fn add_below(&mut self, folder: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
        let here = real(folder)?;
        if above.contains(&here) {
            return Ok(());
        }
        above.push(here);
        for below in self.add(folder)? {
            self.add_below(&below, above)?;
        }
        above.pop();
        Ok(())
    }
}

fn real(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().with_context(|| folder.display().to_string())
}

/// As in folders of Parquet files: keys may begin with an underscore.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || name.starts_with(b"_") && !name.contains(&b'=')
}

fn sorted(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort();
    files
}

fn note(folder: &Path, read: &str, passed_over: &[PathBuf]) -> Option<String> {
    let first = passed_over.iter().min()?;
    let others = match passed_over.len() {
        1 => String::new(),
        2 => " and another file".into(),
        more => format!(" and {} other files", more - 1),
    };
    Some(format!(
        "{}: its {read} are read; {}{others} are not: name them, or give a pattern, to read them instead",
        folder.display(),
        first.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn check(names: &[&str], expected: Result<(&[&str], Option<&str>), &str>) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("k=loop")).unwrap();
        let (found, note) = match (Contents::of(folder.path()), &expected) {
            (Err(error), Err(expected)) => return assert!(error.to_string().contains(expected), "{error:#}"),
            (Err(error), _) => panic!("{names:?}: {error:#}"),
            (Ok(Contents::Parquet { note }), _) => (vec![PathBuf::from("parquet")], note),
            (Ok(Contents::Others { files, note }), _) => {
                (files.iter().map(|file| file.strip_prefix(folder.path()).unwrap().to_owned()).collect(), note)
            }
        };
        let (files, text) = expected.unwrap();
        assert_eq!(found, files.iter().map(PathBuf::from).collect::<Vec<_>>(), "{names:?}");
        match (note, text) {
            (None, None) => {}
            (Some(note), Some(text)) => assert!(note.contains(text), "{note}"),
            (note, _) => panic!("{names:?}: {note:?}"),
        }
    }

    #[test]
    fn a_folder_stands_for_its_files() {
        check(&["a.csv", "b.tsv", ".c.csv", "_d.csv", "readme.md"], Ok((&["a.csv", "b.tsv"], None)));
        check(&["k=2/a.csv", "k=1/m=2/a.csv.gz"], Ok((&["k=1/m=2/a.csv.gz", "k=2/a.csv"], None)));
        check(&["x/a.csv", "y/z/b.csv"], Ok((&["x/a.csv", "y/z/b.csv"], None)));
        check(&["a.csv", "k=1/b.csv"], Ok((&["a.csv", "k=1/b.csv"], None)));
        check(&["a.csv", "out/b.csv"], Ok((&["a.csv"], Some("out/b.csv are not"))));
        check(&["a.csv", "out/b.parquet"], Ok((&["a.csv"], Some("out/b.parquet are not"))));
        check(&["k=1/a.PARQUET"], Ok((&["parquet"], None)));
        check(&["a.csv", "b.parquet", "c.csv"], Ok((&["parquet"], Some("a.csv and another file are not"))));
        check(&["k=1/a.csv", "k=1/b.parquet"], Ok((&["parquet"], Some("k=1/a.csv are not"))));
        check(&["readme.md", "x/y.json", "_z/a.csv"], Err("no file of Parquet, CSV or Arrow IPC"));
    }
}
