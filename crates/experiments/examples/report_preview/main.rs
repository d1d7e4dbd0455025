//! Writes the report of made-up results, only to look at the page: `cargo run --example report_preview [FOLDER]`.

mod made_up;

use std::path::PathBuf;
use std::{env, fs, io};

use tidemill::data::file;
use tidemill_experiments::results::Results;
use tidemill_experiments::{report, say, table, verdict};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tidemill-report-preview"), PathBuf::from);
    fs::create_dir_all(&folder)?;
    let full = made_up::results();
    let mut partial = made_up::results();
    made_up::interrupt(&mut partial);
    for (name, results) in [("report", &full), ("interrupted", &partial)] {
        write(&folder, name, results)?;
    }
    say::line(format_args!("{}\n{}\n{}", table::terminal(&full), verdict::verdict(&full), table::markdown(&full)));
    say::line(format_args!("pages are in {}", folder.display()));
    say::problem().map_or(Ok(()), Err)
}

fn write(folder: &std::path::Path, name: &str, results: &Results) -> io::Result<()> {
    file::write(folder.join(format!("{name}.html")), report::html(results))?;
    file::write(folder.join(format!("{name}.json")), results.to_json().map_err(io::Error::other)?)
}
