//! Measures training throughput; run by `cargo xtask bench`.

use clap::Parser;
use tidemill_benches::{Options, run};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    run(&Options::parse(), &words)
}
