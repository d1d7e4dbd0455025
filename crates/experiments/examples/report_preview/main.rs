//! Writes the report of made-up results, only to look at the page: `cargo run --example report_preview [FOLDER]`.

mod made_up;

use std::path::PathBuf;
use std::{env, fs, io};

use tidemill_experiments::results::Results;
use tidemill_experiments::{report, table, verdict};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tidemill-report-preview"), PathBuf::from);
    fs::create_dir_all(&folder)?;
    let full = made_up::results();
    let mut partial = made_up::results();
    made_up::interrupt(&mut partial);
    for (name, results) in [("report", &full), ("interrupted", &partial)] {
        write(&folder, name, results)?;
    }
    print!("{}\n{}\n{}", table::terminal(&full), verdict::verdict(&full), table::markdown(&full));
    println!("\npages are in {}", folder.display());
    Ok(())
}

fn write(folder: &std::path::Path, name: &str, results: &Results) -> io::Result<()> {
    fs::write(folder.join(format!("{name}.html")), report::html(results))?;
    fs::write(folder.join(format!("{name}.json")), results.to_json().map_err(io::Error::other)?)
}
