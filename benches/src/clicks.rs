//! Rows in the shape of click logs: 13 numbers, 26 categories of which few are frequent, and whether there was a click.
//!
//! # References
//!
//! H. Guo et al., *DeepFM: a factorization-machine based neural network for CTR prediction*, 2017, on the Criteo data set,
//! whose shape this is.

use tidemill::data::Error;
use tidemill::prelude::*;
use tidemill::tensor::Key;
use tidemill::tensor::ndarray_rand::rand::Rng;
use tidemill::tensor::ndarray_rand::rand_distr::{StandardNormal, Zipf};

/// Numbers in a row.
pub const REALS: usize = 13;

/// Categories in a row, each of a column of its own.
pub const COLUMNS: usize = 26;

/// Elements of a category's vector.
const WIDTH: usize = 8;

/// Category `k` is drawn in proportion to `(k + 1)^-EXPONENT`.
const EXPONENT: f64 = 1.2;

/// `c00` to `c25`.
fn names() -> impl Iterator<Item = String> {
    (0..COLUMNS).map(|i| format!("c{i:02}"))
}

/// The inputs of a model of such rows: the numbers, and a vector for the category of each column.
pub fn features(categories: u32) -> Features {
    let reals = Features::new().reals("x", REALS);
    names().fold(reals, |features, name| features.category(name, categories, WIDTH))
}

/// Rows in memory: standard normal numbers, categories by Zipf's law, and a target that depends on the first number and
/// on all categories, with noise.
///
/// # Errors
///
/// Those of the source.
pub fn memory(rows: usize, categories: u32) -> Result<MemorySource<f32>, Error> {
    let key = Key::new(11);
    let mut rng = key.rng();
    let mut draw = |count: usize| (0..count).map(|_| rng.sample(StandardNormal)).collect::<Vec<f32>>();
    let (x, mut score) = (draw(rows * REALS), draw(rows));
    score.iter_mut().zip(x.chunks_exact(REALS)).for_each(|(score, row)| *score += row[0]);
    let law = Zipf::new(f64::from(categories), EXPONENT).expect("one category or more");
    let mut source = MemorySource::builder().reals("x", REALS, x);
    for (column, name) in names().enumerate() {
        let mut rng = key.fold(column as u64).rng();
        let effects: Vec<f32> = (0..categories).map(|_| 0.3 * rng.sample::<f32, _>(StandardNormal)).collect();
        let drawn: Vec<u32> = (0..rows).map(|_| rng.sample(law) as u32 - 1).collect();
        score.iter_mut().zip(&drawn).for_each(|(score, &category)| *score += effects[category as usize]);
        source = source.indices(&name, categories, drawn);
    }
    source.target(score.into_iter().map(|score| f32::from(score > 0.0)).collect()).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill::data::Batch;

    fn batch(rows: usize, categories: u32) -> Batch<f32> {
        let mut source = memory(rows, categories).unwrap();
        let mut batch = Batch::new(source.schema().clone());
        source.fill(&mut batch, rows).unwrap();
        batch
    }

    #[test]
    fn rows_are_the_same_each_time() {
        let (first, second) = (batch(50, 9), batch(50, 9));
        assert_eq!((first.reals(0), first.indices(1)), (second.reals(0), second.indices(1)));
        assert_ne!(first.indices(1), first.indices(2), "columns are drawn apart");
    }

    #[test]
    fn categories_follow_the_law_and_targets_are_mixed() {
        let (rows, categories) = (20_000, 100);
        let batch = batch(rows, categories);
        let whole: f64 = (1..=categories).map(|k| f64::from(k).powf(-EXPONENT)).sum();
        for column in 1..=COLUMNS {
            let drawn = batch.indices(column);
            let share = |k: u32| drawn.iter().filter(|&&drawn| drawn == k).count() as f64 / rows as f64;
            for k in [0, 1, 9] {
                let expected = f64::from(k + 1).powf(-EXPONENT) / whole;
                assert!((share(k) - expected).abs() < 0.02, "{k}: {}, expected {expected}", share(k));
            }
            assert!(drawn.iter().all(|&drawn| drawn < categories));
        }
        let mean = f64::from(batch.reals(1 + COLUMNS).iter().sum::<f32>()) / rows as f64;
        assert!((0.3..0.7).contains(&mean), "{mean}");
    }
}
