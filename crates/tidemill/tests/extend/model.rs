//! Rows that change their mind half way, and a small model of them.

use tidemill::prelude::*;

/// `x` says what `target` is; in the second half the contrary.
pub fn rows(n: usize) -> MemorySource<f32> {
    let x: Vec<f32> = (0..2 * n).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let target = (0..n).map(|row| f32::from(u8::from((x[2 * row] > x[2 * row + 1]) == (row < n / 2)))).collect();
    MemorySource::builder().reals("x", 2, x).target(target).build().unwrap()
}

pub fn trainer() -> Trainer<f32> {
    let program = Program::build(|graph| {
        let x = graph.input("x", &[2])?;
        let y = Sequential::new().add(Dense::new(6).tanh()).add(Dense::new(1)).apply(graph, x)?;
        BinaryCrossEntropyWithLogits::new().apply(graph, y)
    });
    Trainer::new(program.unwrap(), adam(0.02)).unwrap()
}

pub fn scores() -> Vec<Box<dyn Metric<f32>>> {
    vec![Box::new(LogLoss::default()), Box::new(Accuracy::binary(0.5).unwrap())]
}
