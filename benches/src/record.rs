use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidemill::data::file;

use crate::Machine;

/// A run that is kept: a page to read, and beside it the raw figures.
#[derive(Clone, Debug)]
pub struct Record {
    /// Both files, without what tells them apart.
    stem: PathBuf,
    date: String,
}

/// What there is to keep of a run.
pub struct Kept<'a> {
    /// The words of the command line, as they were given.
    pub words: &'a [String],
    /// Versions of what was compared with.
    pub versions: &'a BTreeMap<String, String>,
    /// How processes were bound to processors.
    pub pinning: &'a str,
    /// What was printed.
    pub table: String,
    /// Each figure's line.
    pub results: &'a [Value],
    /// The lines of all runs that they were made of.
    pub runs: &'a [Value],
}

impl Record {
    /// Today's, of this name, in benches/runs.
    ///
    /// # Errors
    ///
    /// When the name is no file name, or today's run of that name is there already.
    pub fn today(name: &str) -> Result<Self> {
        Self::on(&date(), name, &Path::new(env!("CARGO_MANIFEST_DIR")).join("runs"))
    }

    fn on(date: &str, name: &str, folder: &Path) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ensure!(!name.is_empty() && name.chars().all(plain), "--save {name:?}: expected letters, digits and -_. alone");
        let stem = format!("{date}-{name}");
        let taken = ["md", "json"].iter().any(|kind| folder.join(format!("{stem}.{kind}")).exists());
        ensure!(!taken, "--save {name}: benches/runs/{stem} is there already; choose another name");
        Ok(Self { stem: folder.join(stem), date: date.to_owned() })
    }

    /// Writes both files, and says where the page is.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn keep(&self, machine: &Machine, kept: &Kept) -> Result<PathBuf> {
        let folder = self.stem.parent().expect("files of a folder");
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let write = |kind: &str, text: String| {
            let mut path = self.stem.clone().into_os_string();
            path.push(kind);
            file::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            Ok::<_, anyhow::Error>(PathBuf::from(path))
        };
        write(".json", self.json(machine, kept))?;
        write(".md", self.page(machine, kept))
    }

    fn page(&self, machine: &Machine, kept: &Kept) -> String {
        let list = |lines: Vec<String>| lines.iter().map(|line| format!("- {line}\n")).collect::<String>();
        let versions = kept.versions.iter().map(|(package, version)| format!("{package} {version}")).collect();
        let name = self.stem.file_name().unwrap_or_default().to_string_lossy();
        let (command, table, pinning) = (command(kept.words), &kept.table, kept.pinning);
        let against = list(versions);
        let against = if against.is_empty() { against } else { format!("\n## Versions\n\n{against}") };
        format!(
            "# {name}\n\n```sh\n{command}\n```\n\n```text\n{table}\n```\n\nEvery run is in [{name}.json]({name}.json); {pinning}.\n\
             \n## Machine\n\n{}{against}",
            list(machine.lines())
        )
    }

    fn json(&self, machine: &Machine, kept: &Kept) -> String {
        let all = json!({
            "date": self.date,
            "command": command(kept.words),
            "pinning": kept.pinning,
            "machine": machine,
            "versions": kept.versions,
            "results": kept.results,
            "runs": kept.runs,
        });
        format!("{all:#}\n")
    }
}

/// The command, without the paths of this machine: of the interpreter that it is one, of files their names.
fn command(words: &[String]) -> String {
    let mut line = "cargo xtask bench".to_owned();
    let mut before = "";
    for word in words {
        let (option, value) = word.split_once('=').map_or((before, word.as_str()), |(option, value)| (option, value));
        let name = Path::new(value).file_name().map_or(value.into(), |name| name.to_string_lossy());
        let value = match option {
            "--peers" => "PYTHON",
            "--file" | "--keep" => &*name,
            _ => value,
        };
        line += " ";
        if option != before {
            line += option;
            line += "=";
        }
        line += value;
        before = word;
    }
    line
}

/// Today, in UTC, as `2026-11-24`.
fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let (year, month, day) = civil((seconds / 86_400) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a number of days since 1970-01-01.
///
/// # References
///
/// H. Hinnant, *chrono-compatible low-level date algorithms*, 2013: `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years that begin in March have their leap day last; eras of 400 years have equal lengths.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn days_become_dates() {
        let cases = [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (20_781, (2026, 11, 24))];
        for (days, expected) in cases {
            assert_eq!(civil(days), expected);
        }
    }

    #[test]
    fn commands_are_kept_without_the_paths_of_a_machine() {
        let kept =
            command(&words("stream mlp --peers /home/me/env/bin/python --file=/data/rows.parquet --threads 1,2"));
        assert_eq!(kept, "cargo xtask bench stream mlp --peers PYTHON --file=rows.parquet --threads 1,2");
        assert_eq!(command(&words("--keep /data/rows.parquet")), "cargo xtask bench --keep rows.parquet");
        assert_eq!(command(&[]), "cargo xtask bench");
    }

    #[test]
    fn a_run_is_kept_as_a_page_and_raw_figures() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let record = Record::on("2026-11-24", "first", &runs).unwrap();
        let versions = BTreeMap::from([("jax".to_owned(), "0.10".to_owned())]);
        let (words, results, raw) = (words("mlp --save first"), [json!({"ratio": 1.5})], [json!({"median": 3})]);
        let kept = Kept {
            words: &words,
            versions: &versions,
            pinning: "nothing is pinned",
            table: "workload  rows/s".into(),
            results: &results,
            runs: &raw,
        };
        let page = record.keep(&Machine::look(), &kept).unwrap();
        assert!(page.ends_with("2026-11-24-first.md"), "{}", page.display());
        let page = fs::read_to_string(page).unwrap();
        for expected in
            ["cargo xtask bench mlp --save first", "workload  rows/s", "- jax 0.10", "- CPU: ", "nothing is pinned"]
        {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        let raw: Value =
            serde_json::from_str(&fs::read_to_string(runs.join("2026-11-24-first.json")).unwrap()).unwrap();
        assert_eq!((&raw["results"][0]["ratio"], &raw["runs"][0]["median"]), (&1.5.into(), &3.into()));
        assert!(raw["machine"]["cores"].as_u64() > Some(0));

        let error = |name: &str| Record::on("2026-11-24", name, &runs).unwrap_err().to_string();
        assert!(error("first").contains("2026-11-24-first is there already"));
        assert!(error("../first").contains("expected letters"));
    }
}
