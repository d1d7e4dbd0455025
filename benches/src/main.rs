//! Measures training throughput; run by `cargo xtask bench`.

use clap::Parser;
use tidemill_benches::Options;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let (workload, setup) = options.resolve()?;
    if !options.json {
        println!("{workload}");
    }
    let found = setup.measure(&workload)?;
    if options.json {
        println!("{}", found.json());
    } else {
        println!("{found}");
    }
    Ok(())
}
