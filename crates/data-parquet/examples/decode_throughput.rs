//! How fast the columns of a file become rows: `decode_throughput FILE [THREADS] [BATCH]`.
//!
//! All columns but `label` are filled side by side as one real feature, and `label`, where there is one, as the target.

use std::time::Instant;

use tidemill_data::{Batch, Error, Source};
use tidemill_data_parquet::{ParquetSource, describe};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else { return Err(Error::invalid("arguments", "FILE [THREADS] [BATCH]")) };
    let mut number = |default: usize| arguments.next().map_or(Some(default), |text| text.parse().ok());
    let (Some(threads), Some(size)) = (number(1), number(1024)) else {
        return Err(Error::invalid("arguments", "THREADS and BATCH are whole numbers"));
    };
    let columns = describe(&path)?.columns.into_iter().map(|column| column.name);
    let (target, features): (Vec<_>, Vec<_>) = columns.partition(|name| name == "label");
    let builder = ParquetSource::open(&path).real_block("x", features);
    let builder = target.into_iter().fold(builder, |builder, name| builder.target(name));
    let mut source = builder.threads(threads).build::<f32>()?;
    let mut batch = Batch::new(source.schema().clone());
    let mut rates = Vec::new();
    for epoch in 0..5 {
        source.seek(tidemill_data::Cursor::start(epoch))?;
        let start = Instant::now();
        let mut rows = 0u64;
        loop {
            batch.clear();
            match source.fill(&mut batch, size)? {
                0 => break,
                n => rows += n as u64,
            }
        }
        rates.push(rows as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let [least, .., most] = rates[..] else { unreachable!("five epochs") };
    println!(
        "{threads} threads: median {:.3} M rows/s, {:.3} to {:.3}{}",
        rates[2] / 1e6,
        least / 1e6,
        most / 1e6,
        peak()
    );
    Ok(())
}

/// What the system says of the most memory that was resident, where it does.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or(String::new(), |peak| format!(", peak resident {}", peak.trim()))
}
