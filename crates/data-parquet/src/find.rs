//! From directories and patterns to the files that they stand for.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use crate::FileError;

/// The files of a path: itself, all below it where it is a directory, or all that match where it is a pattern, which a
/// path of an existing file never is.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if path.is_dir() {
        let files = below(path)?;
        return if files.is_empty() { Err(FileError::Empty { path: path.to_owned() }) } else { Ok(files) };
    }
    if !has_wildcards(path.as_os_str()) || path.symlink_metadata().is_ok() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = BTreeSet::new();
    for found in matching(path)? {
        if found.is_dir() { files.extend(below(&found)?) } else { _ = files.insert(found) }
    }
    if files.is_empty() { Err(FileError::NoMatch { path: path.to_owned() }) } else { Ok(files.into_iter().collect()) }
}

/// The data files in a directory and all below it, sorted by their paths.
fn below(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut files = Vec::new();
    walk(directory, &mut Vec::new(), &mut |entry| {
        if is_data_file(&entry.name) && !entry.directory {
            files.push(entry.path);
        }
        Ok(())
    })?;
    files.sort();
    Ok(files)
}

/// Whether a name is one of a file of rows: other programs' notes and unfinished files begin with a dot or an
/// underscore.
pub(crate) fn is_data_file(name: &OsStr) -> bool {
    let parquet = Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
    parquet && !is_hidden(name)
}

/// Whether a file or directory is not looked at unless it is named. Keys may begin with an underscore.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.starts_with(b"_") && !name.contains(&b'=')
}

struct Entry {
    name: OsString,
    path: PathBuf,
    directory: bool,
}

/// What is in a directory, sorted by name. Where a link leads nowhere, that is an error for files of rows alone.
fn entries(directory: &Path) -> Result<Vec<Entry>, FileError> {
    // A path of no components stands for the directory that the program is in.
    let read = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let refused = |error| FileError::io(directory, error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(read).map_err(refused)? {
        let name = entry.map_err(refused)?.file_name();
        let path = directory.join(&name);
        let is_directory = match path.metadata() {
            Ok(metadata) => metadata.is_dir(),
            Err(error) if is_data_file(&name) => return Err(FileError::io(&path, error)),
            Err(_) => false,
        };
        entries.push(Entry { name, path, directory: is_directory });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Calls `each` with all that is below a directory and not hidden. `above` has the directories on the way, without links:
/// where a link leads back to one of them, what it leads to is come to anyway.
fn walk(
    directory: &Path,
    above: &mut Vec<PathBuf>,
    each: &mut dyn FnMut(Entry) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let read = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let here = read.canonicalize().map_err(|error| FileError::io(directory, error))?;
    if above.contains(&here) {
        return Ok(());
    }
    above.push(here);
    for entry in entries(directory)? {
        if entry.directory && !is_hidden(&entry.name) {
            walk(&entry.path.clone(), above, each)?;
        }
        each(entry)?;
    }
    above.pop();
    Ok(())
}

/// Whether a path has a character that stands for others.
pub(crate) fn has_wildcards(path: &OsStr) -> bool {
    path.as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte))
}

/// All files and directories whose path matches a pattern.
fn matching(pattern: &Path) -> Result<BTreeSet<PathBuf>, FileError> {
    let parts: Vec<Component> = pattern.components().collect();
    let literal = parts.iter().take_while(|part| !has_wildcards(part.as_os_str())).count();
    let start: PathBuf = parts[..literal].iter().collect();
    let mut found = BTreeSet::new();
    if start.as_os_str().is_empty() || start.is_dir() {
        expand(start, &parts[literal..], &mut found)?;
    }
    Ok(found)
}

fn expand(at: PathBuf, parts: &[Component], found: &mut BTreeSet<PathBuf>) -> Result<(), FileError> {
    let Some((part, rest)) = parts.split_first() else {
        found.insert(at);
        return Ok(());
    };
    let part = part.as_os_str();
    if part == "**" {
        let mut directories = vec![at.clone()];
        walk(&at, &mut Vec::new(), &mut |entry| {
            if entry.directory && !is_hidden(&entry.name) {
                directories.push(entry.path);
            }
            Ok(())
        })?;
        return directories.into_iter().try_for_each(|directory| expand(directory, rest, found));
    }
    if !has_wildcards(part) {
        let path = at.join(part);
        let goes_on = if rest.is_empty() { path.symlink_metadata().is_ok() } else { path.is_dir() };
        return if goes_on { expand(path, rest, found) } else { Ok(()) };
    }
    // Hidden ones are matched by patterns that name their first character.
    let pattern = part.as_encoded_bytes();
    let named = pattern.starts_with(b".") || pattern.starts_with(b"_");
    for Entry { name, path, directory } in entries(&at)? {
        if matches(pattern, name.as_encoded_bytes()) && (named || !is_hidden(&name)) && (directory || rest.is_empty()) {
            expand(path, rest, found)?;
        }
    }
    Ok(())
}

/// Whether a name matches a pattern: `*` stands for any number of characters, `?` for one, `[a-z_]` for one of those and
/// `[!a-z]` for one of all others. A bracket that is not closed stands for itself.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where the last star is, and the rest of the name when it stands for one character more.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match step(pattern, name) {
            Step::On(next_pattern, next_name) => (pattern, name) = (next_pattern, next_name),
            Step::Star(behind) => {
                star = Some((behind, name));
                pattern = behind;
            }
            Step::End => return true,
            Step::Other => match star {
                Some((behind, rest)) if !rest.is_empty() => {
                    let rest = &rest[character(rest).1..];
                    star = Some((behind, rest));
                    (pattern, name) = (behind, rest);
                }
                _ => return false,
            },
        }
    }
}

enum Step<'a> {
    On(&'a [u8], &'a [u8]),
    Star(&'a [u8]),
    End,
    Other,
}

fn step<'a>(pattern: &'a [u8], name: &'a [u8]) -> Step<'a> {
    match (pattern.split_first(), name.is_empty()) {
        (None, true) => Step::End,
        (Some((b'*', behind)), _) => Step::Star(behind),
        (None, false) | (Some(_), true) => Step::Other,
        (Some((b'?', behind)), false) => Step::On(behind, &name[character(name).1..]),
        (Some((b'[', behind)), false) => match set(behind) {
            Some((set, is_negated, behind)) => {
                let (of_name, length) = character(name);
                let is_in = set_has(set, of_name);
                if is_in == is_negated { Step::Other } else { Step::On(behind, &name[length..]) }
            }
            None if name[0] == b'[' => Step::On(behind, &name[1..]),
            None => Step::Other,
        },
        (Some((byte, behind)), false) if *byte == name[0] => Step::On(behind, &name[1..]),
        _ => Step::Other,
    }
}

/// The first character of some bytes, a byte by itself where they are no UTF-8, and its length.
fn character(bytes: &[u8]) -> (u32, usize) {
    for length in 1..=bytes.len().min(4) {
        if let Ok(Some(character)) = std::str::from_utf8(&bytes[..length]).map(|text| text.chars().next()) {
            return (character.into(), length);
        }
    }
    // Outside of Unicode.
    (0x0011_0000 + u32::from(bytes[0]), 1)
}

/// The inside of brackets, whether it is negated, and what is behind them.
fn set(pattern: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let (is_negated, inside) = match pattern.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    // One in front is a member.
    let end = inside.iter().skip(1).position(|&byte| byte == b']')? + 1;
    Some((&inside[..end], is_negated, &inside[end + 1..]))
}

fn set_has(mut set: &[u8], wanted: u32) -> bool {
    while !set.is_empty() {
        let (first, length) = character(set);
        set = &set[length..];
        let mut last = first;
        if let Some((b'-', rest)) = set.split_first()
            && !rest.is_empty()
        {
            let (end, length) = character(rest);
            (last, set) = (end, &rest[length..]);
        }
        if (first..=last).contains(&wanted) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        for (pattern, names, others) in [
            ("*.parquet", &["a.parquet", ".parquet", "a.b.parquet"][..], &["parquet", "a.parquet.crc"][..]),
            ("a?c", &["abc", "aüc", "a?c"], &["ac", "abbc"]),
            ("*a*b", &["ab", "xaxb", "abab"], &["ba", "abx"]),
            ("[a-cx]1", &["a1", "b1", "x1"], &["d1", "-1", "a"]),
            ("[!a-c]", &["d", "ü"], &["a", "b", ""]),
            ("[]]", &["]"], &["[", "[]]"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[ä-ü]x", &["öx"], &["ax"]),
            ("a[1", &["a[1"], &["a1"]),
            ("**", &["", "a"], &[]),
            ("year=20*", &["year=2024"], &["year=1999"]),
        ] {
            for name in names {
                assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} is not {name}");
            }
            for name in others {
                assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} is {name}");
            }
        }
        assert!(matches(b"a?[!x]*", b"a\xff\xfe\xfd"));
        assert!(!matches(b"*a*a*a*a*a*a*a*a*b", &[b'a'; 300]));
    }

    #[test]
    fn files_of_rows() {
        for (name, expected) in [
            ("a.parquet", true),
            ("A.PARQUET", true),
            ("_metadata", false),
            ("_x.parquet", false),
            ("_k=1.parquet", true),
            (".a.parquet", false),
            (".a.parquet.crc", false),
            ("_SUCCESS", false),
            ("a.csv", false),
            ("parquet", false),
        ] {
            assert_eq!(is_data_file(OsStr::new(name)), expected, "{name}");
        }
    }
}
