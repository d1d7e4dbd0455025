//! Which files are meant: paths, patterns in the shell's manner, and what folders hold.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The path, or all paths that match it where nothing is called so: `*`, `?`, `[a-z]`, and `**` for any folders.
pub(super) fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    let is_pattern = path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte));
    if !is_pattern || path.symlink_metadata().is_ok() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        let mut next = Vec::new();
        for base in found {
            match component {
                Component::Normal(name) => matching(&base, name.as_encoded_bytes(), &mut next)?,
                other => next.push(base.join(other)),
            }
        }
        found = next;
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        bail!("{}: no file matches this pattern", path.display());
    }
    Ok(found)
}

/// Adds what is in `base` and matches one part of a pattern.
fn matching(base: &Path, pattern: &[u8], found: &mut Vec<PathBuf>) -> Result<()> {
    if !pattern.iter().any(|byte| b"*?[".contains(byte)) {
        let path = base.join(OsStr::from_bytes(pattern));
        found.extend(path.symlink_metadata().is_ok().then_some(path));
        return Ok(());
    }
    if pattern == b"**" {
        found.push(base.to_owned());
    }
    for path in entries(if base.as_os_str().is_empty() { Path::new(".") } else { base })? {
        let name = path.file_name().unwrap_or_default();
        let (bytes, is_hidden) = (name.as_encoded_bytes(), name.as_encoded_bytes().starts_with(b"."));
        if is_hidden && !pattern.starts_with(b".") {
            continue;
        }
        let below = base.join(name);
        if pattern == b"**" {
            if below.is_dir() && !below.is_symlink() {
                matching(&below, pattern, found)?;
            }
        } else if matches(pattern, bytes) {
            found.push(below);
        }
    }
    Ok(())
}

/// What is directly in a folder, sorted by name; nothing where it is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let paths = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = paths.with_context(|| folder.display().to_string())?;
    paths.sort();
    Ok(paths)
}

/// Whether a name matches a part of a pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|taken| matches(rest, &name[taken..])),
        [b'?', rest @ ..] => name.split_first().is_some_and(|(_, behind)| matches(rest, behind)),
        [b'[', rest @ ..] => match (rest.iter().skip(1).position(|&byte| byte == b']'), name.split_first()) {
            (Some(end), Some((&first, behind))) => {
                let (set, rest) = (&rest[..=end], &rest[end + 2..]);
                let (set, is_negated) = match set {
                    [b'!' | b'^', set @ ..] => (set, true),
                    set => (set, false),
                };
                is_in(set, first) != is_negated && matches(rest, behind)
            }
            _ => name.starts_with(b"[") && matches(rest, &name[1..]),
        },
        [byte, rest @ ..] => name.first() == Some(byte) && matches(rest, &name[1..]),
    }
}

fn is_in(set: &[u8], byte: u8) -> bool {
    match set {
        [] => false,
        [from, b'-', to, rest @ ..] => (*from..=*to).contains(&byte) || is_in(rest, byte),
        [one, rest @ ..] => *one == byte || is_in(rest, byte),
    }
}

/// What data is called after the path that was asked for: without endings, and for a pattern the folder before it.
pub fn name(asked: &Path) -> String {
    if asked == Path::new("-") {
        return "stdin".into();
    }
    let is_pattern = |name: &OsStr| name.as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte));
    let plain = asked.components().rev().find_map(|component| match component {
        Component::Normal(name) if !is_pattern(name) || asked.exists() => Some(Path::new(name)),
        _ => None,
    });
    let Some(plain) = plain else { return "data".into() };
    let stem = |path: &Path| path.file_stem().map_or_else(PathBuf::new, PathBuf::from);
    let packed = plain.extension().is_some_and(|end| ["gz", "zst", "zstd", "bgz"].iter().any(|known| end == *known));
    let name = if packed { stem(&stem(plain)) } else { stem(plain) };
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let check = |pattern: &str, name: &str, expected| {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        };
        check("*.csv", "a.csv", true);
        check("*.csv", "a.csv.gz", false);
        check("a*b*c", "aXbYc", true);
        check("a?", "ab", true);
        check("a?", "a", false);
        check("[a-c]1", "b1", true);
        check("[!a-c]1", "b1", false);
        check("[]]1", "]1", true);
        check("[ab", "[ab", true);
    }

    #[test]
    fn paths_are_found_by_patterns() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["y=1/a.csv", "y=2/b.csv", "y=2/.c.csv", "z/deep/d.csv", "odd[1].csv"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let check = |pattern: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(|name| folder.path().join(name)).collect();
            assert_eq!(expand(&folder.path().join(pattern)).unwrap(), expected, "{pattern}");
        };
        check("y=*/*.csv", &["y=1/a.csv", "y=2/b.csv"]);
        check("**/[a-d].csv", &["y=1/a.csv", "y=2/b.csv", "z/deep/d.csv"]);
        check("y=?", &["y=1", "y=2"]);
        check("odd[1].csv", &["odd[1].csv"]);
        check("missing.csv", &["missing.csv"]);
        let error = expand(&folder.path().join("*.arrow")).unwrap_err().to_string();
        assert!(error.ends_with("*.arrow: no file matches this pattern"), "{error}");
    }

    #[test]
    fn data_is_called_after_its_path() {
        let check = |path: &str, expected: &str| assert_eq!(name(Path::new(path)), expected);
        check("a/sales.csv.gz", "sales");
        check("a/sales.v2.parquet", "sales.v2");
        check("a/sales/*.csv", "sales");
        check("*.csv", "data");
        check("-", "stdin");
    }
}
