//! Measures training throughput; run by `cargo xtask bench`.

use std::io::Write;

use clap::Parser;
use tidemill_benches::{Options, run};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options = Options::parse();
    let done = run(&options, &words);
    if options.as_rank {
        if let Err(error) = &done {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
        }
        tidemill::mpi::exit(i32::from(done.is_err()));
    }
    done
}
