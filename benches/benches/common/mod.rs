use std::time::Duration;

use criterion::Criterion;
use tidemill::tensor::Key;
use tidemill::tensor::ndarray_rand::rand::Rng;
use tidemill::tensor::ndarray_rand::rand_distr::StandardNormal;

/// A second or two for each benchmark: enough to see a few per cent on a quiet machine.
pub fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(20)
}

/// Standard normal numbers.
pub fn normal(len: usize) -> Vec<f32> {
    let mut rng = Key::new(1).rng();
    (0..len).map(|_| rng.sample(StandardNormal)).collect()
}
