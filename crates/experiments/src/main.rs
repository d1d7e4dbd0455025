//! The skeleton of the comparison: Parquet in, one dense layer, SGD, both strategies, a table out.

use anyhow::Result;
use tidemill::prelude::*;
use tidemill::strategies::evaluate;

fn main() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights.parquet");
    let raw = || ParquetSource::open(path).columns(["hour", "distance", "arr_delay"]).build();
    let (encoder, report) = Encoder::builder()
        .feature("hour", Encoding::standardize())
        .feature("distance", Encoding::standardize())
        .target("arr_delay", Encoding::above(15.0).missing(Missing::DropRow))
        .fit(&mut raw()?)?;
    println!("{report}");
    let program = Program::build(|graph| {
        let x = graph.input("x", &[2])?;
        let logits = Dense::new(1).apply(graph, x)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, logits)
    })?;
    let trainer = Trainer::new(program, sgd(0.1))?;
    println!("{:8} {:>9} {:>7} {:>9} {:>7}", "strategy", "rows", "steps", "log loss", "ROC AUC");
    for name in ["batch", "online"] {
        let mut rows = SourceExt::<f64>::encode::<f32>(raw()?, &encoder)?;
        let mut state = trainer.start(1);
        let summary = match name {
            "batch" => trainer.run(&Batch::new(3).batch_size(128), &mut state, &mut rows, &mut ())?,
            _ => trainer.run(&Online::new().batch_size(128), &mut state, &mut rows, &mut ())?,
        };
        let mut metrics: Vec<Box<dyn Metric<f32>>> =
            vec![Box::new(LogLoss::default()), Box::new(RocAuc::binned(1 << 12)?)];
        let mut rows = SourceExt::<f64>::encode::<f32>(raw()?, &encoder)?;
        evaluate(trainer.program(), &state.params, &mut rows, &mut metrics)?;
        let [loss, auc] = [metrics[0].value(), metrics[1].value()];
        println!("{name:8} {:>9} {:>7} {loss:>9.4} {auc:>7.4}", summary.rows, summary.steps);
    }
    Ok(())
}
