//! How many values a second encoders fit and encode: `cargo run --release -p tidemill-data --example
//! encoder_throughput`.

use std::time::Instant;

use tidemill_data::{Batch, Encoder, Encoding, MemorySource, Missing, Source, SourceExt};

const ROWS: usize = 1 << 20;
const REPEATS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mixed = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let names: Vec<String> = (0..1000).map(|i| format!("customer {i}")).collect();
    let raw = MemorySource::builder()
        .reals("whole", 1, (0..ROWS).map(|i| mixed(i) as f64).collect())
        .optional_reals("holes", (0..ROWS).map(|i| (mixed(i) % 5 > 0).then_some(mixed(i) as f64)))
        .texts("name", (0..ROWS).map(|i| Some(names[mixed(i) as usize % 1000].as_str())))
        .build()?;
    let indicator = Missing::MeanWithIndicator;
    let rows = [
        ("standardize", "whole", Encoding::standardize()),
        ("standardize, a fifth missing", "holes", Encoding::standardize().missing(indicator)),
        ("robust, clipped", "whole", Encoding::robust().clip(0.01, 0.99)),
        ("robust, clipped, a fifth missing", "holes", Encoding::robust().clip(0.01, 0.99).missing(indicator)),
        ("64 quantile bins", "whole", Encoding::quantile_bins(64)),
        ("category of 1000", "name", Encoding::category()),
        ("the 100 most frequent", "name", Encoding::category().max_categories(100)),
        ("hash", "name", Encoding::hash(1 << 16)),
    ];
    println!("{:32}  {:>12}  {:>12}", "M values/s", "fitted", "encoded");
    for (label, column, encoding) in rows {
        let declared = Encoder::builder().feature(column, encoding);
        let fitted = best(|| declared.clone().fit(&mut raw.clone()).map(drop))?;
        let (encoder, _) = declared.clone().fit(&mut raw.clone())?;
        let mut source = raw.clone().encode::<f32>(&encoder)?;
        let mut batch = Batch::new(source.schema().clone());
        let encoded = best(|| {
            source.seek(tidemill_data::Cursor::start(0))?;
            batch.clear();
            while source.fill(&mut batch, 4096)? > 0 {
                batch.clear();
            }
            Ok(())
        })?;
        println!("{label:32}  {fitted:12.1}  {encoded:12.1}");
    }
    Ok(())
}

/// Millions of rows a second, of the best of a few runs.
fn best(mut run: impl FnMut() -> Result<(), tidemill_data::Error>) -> Result<f64, tidemill_data::Error> {
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let began = Instant::now();
        run()?;
        best = best.min(began.elapsed().as_secs_f64());
    }
    Ok(ROWS as f64 / best / 1e6)
}
