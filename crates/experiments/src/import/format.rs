//! What a file is, by its first bytes, and by its name where these leave it open.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tidemill::arrow::{decompressed, looks_like_csv};

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// A file or a stream of Arrow IPC.
    Ipc,
    /// Text whose fields are separated by a delimiter.
    Csv,
}

impl Format {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Ipc => "Arrow IPC",
            Self::Csv => "CSV",
        }
    }
}

/// A file's format, and how it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub format: Format,
    pub is_compressed: bool,
    /// Whether its name says that tabs separate, and its text does not contradict.
    pub is_tabbed: bool,
}

/// Bytes that are looked at.
const HEAD: u64 = 64 << 10;

/// What begins with which bytes.
const OTHERS: [(&[u8], &str); 12] = [
    (b"FEA1", "Feather of version 1; write it as version 2, which is Arrow IPC"),
    (b"PK\x03\x04", "a zip archive, such as .zip, .xlsx or .npz"),
    (b"\xfd7zXZ\0", "compressed by xz; decompress it first"),
    (b"BZh", "compressed by bzip2; decompress it first"),
    (b"\x04\x22\x4d\x18", "compressed by LZ4; decompress it first"),
    (b"Obj\x01", "Avro"),
    (b"ORC", "ORC"),
    (b"\x89HDF", "HDF5"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it as UTF-8"),
];

/// Whether a name tells something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    File,
    Pipe,
}

/// The format of a file that is called `named`.
pub(super) fn detect(path: &Path, named: &Path, kind: Named) -> Result<Found> {
    let read = |is_raw: bool| -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let file = File::open(path)?;
        if is_raw {
            file.take(4).read_to_end(&mut head)?;
        } else {
            decompressed(file).take(HEAD).read_to_end(&mut head)?;
        }
        Ok(head)
    };
    let raw = read(true).with_context(|| named.display().to_string())?;
    let head = read(false).with_context(|| named.display().to_string())?;
    let is_compressed = !head.starts_with(&raw);
    let extension = (kind == Named::File).then(|| extension(named).unwrap_or_default());
    let format = match of(&head, extension.as_deref()) {
        Ok(format) => format,
        Err(found) => bail!(
            "{}: {found}; expected Parquet, CSV (.csv, .tsv, .txt; gzip and Zstandard are decompressed) or Arrow IPC \
             (.arrow, .feather, .ipc, .arrows)",
            named.display()
        ),
    };
    let is_tabbed = matches!(extension.as_deref(), Some("tsv" | "tab")) && !looks_like_csv(&head);
    Ok(Found { format, is_compressed, is_tabbed })
}

/// Whether a name is one of what can be read, other than Parquet.
pub(super) fn is_named_so(path: &Path) -> bool {
    let known = ["csv", "tsv", "tab", "txt", "arrow", "feather", "ipc", "arrows"];
    extension(path).is_some_and(|extension| known.contains(&extension.as_str()))
}

/// The ending that tells the format, of `a.csv.gz` that before `.gz`.
fn extension(path: &Path) -> Option<String> {
    let lower = |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match lower(path)?.as_str() {
        "gz" | "zst" | "zstd" | "bgz" => lower(Path::new(path.file_stem()?)),
        other => Some(other.to_owned()),
    }
}

/// The format by the first bytes and the name's ending; none of a pipe. Else what it is.
fn of(head: &[u8], extension: Option<&str>) -> Result<Format, String> {
    if head.is_empty() {
        return Err("it is empty".into());
    }
    if head.starts_with(b"PAR1") || head.starts_with(b"PARE") {
        return Ok(Format::Parquet);
    }
    // A message of a stream begins with a mark, and the length of what describes it.
    if head.starts_with(b"ARROW1") || head.starts_with(&[0xff; 4]) {
        return Ok(Format::Ipc);
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(format!("it is {what}"));
    }
    let is_binary = head.contains(&0);
    let begins = head.trim_ascii_start().first();
    let is_other_text = matches!(begins, Some(b'{' | b'[' | b'<'));
    match extension {
        Some("csv" | "tsv" | "tab" | "txt") | None if !is_binary => Ok(Format::Csv),
        _ if !is_binary && !is_other_text && looks_like_csv(head) => Ok(Format::Csv),
        Some("parquet") => Ok(Format::Parquet),
        Some("arrow" | "feather" | "ipc" | "arrows") if is_binary => Ok(Format::Ipc),
        Some("csv" | "tsv" | "tab" | "txt") => Err("it has bytes of zero, which no text has; is it whole?".into()),
        _ if is_other_text && !is_binary => Err("its text is no table, but perhaps JSON or XML".into()),
        _ => Err("its format is not known".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_before_the_name() {
        let check = |head: &[u8], name: &str, expected: Result<Format, &str>| {
            let extension = if name == "-" { None } else { Some(extension(Path::new(name)).unwrap_or_default()) };
            let found = of(head, extension.as_deref());
            match (&found, &expected) {
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                _ => assert_eq!(found.as_ref().ok(), expected.as_ref().ok(), "{name}: {found:?}"),
            }
        };
        let (csv, ipc, parquet) = (Ok(Format::Csv), Ok(Format::Ipc), Ok(Format::Parquet));
        check(b"PAR1\x15\0", "a.csv", parquet);
        check(b"ARROW1\0\0", "a.parquet", ipc);
        check(&[255, 255, 255, 255, 16, 0, 0, 0], "a", ipc);
        check(&[16, 1, 0, 0, 16, 0], "a.arrows", ipc);
        check(b"a,b\n1,2\n", "a.parquet", csv);
        check(b"a,b\n1,2\n", "a.dat", csv);
        check(b"a\n1\n", "a.csv.gz", csv);
        check(b"a\n1\n", "a.TXT", csv);
        check(b"a\n1\n", "-", csv);
        check(b"a,\xe9\n1,2\n", "a.csv", csv);
        check(b"\x01\x02\0", "a.parquet", parquet);
        check(b"", "a.csv", Err("empty"));
        check(b"{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":2}\n", "a.jsonl", Err("JSON"));
        check(b"PK\x03\x04\0", "a.xlsx", Err("zip"));
        check(b"FEA1\0", "a.feather", Err("version 2"));
        check(b"\xff\xfea\0", "a.csv", Err("UTF-16"));
        check(b"a,b\0\n", "a.csv", Err("bytes of zero"));
        check(b"Some words.\n", "a.md", Err("not known"));
    }
}
