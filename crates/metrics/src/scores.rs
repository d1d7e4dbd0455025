use crate::Error;
use crate::sketch::Sketch;
use crate::state::Reader;
use crate::sum::Sum;

/// Weights of positives and negatives by score.
#[derive(Clone, Debug)]
pub(crate) enum Scores {
    Exact(Vec<Scored>),
    Binned(Sketch),
}

/// One row: its score, and its weight, negative if the row is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    score: f64,
    signed_weight: f64,
}

/// The weights of rows whose scores tie, or whose order is not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tied {
    pub(crate) positive: f64,
    pub(crate) negative: f64,
    /// Whether it is known that all have the same score.
    pub(crate) one_score: bool,
}

impl Default for Tied {
    fn default() -> Self {
        Self { positive: 0.0, negative: 0.0, one_score: true }
    }
}

impl Tied {
    pub(crate) fn add(&mut self, signed_weight: f64) {
        if signed_weight.is_sign_positive() {
            self.positive += signed_weight;
        } else {
            self.negative -= signed_weight;
        }
    }
}

impl Scores {
    #[inline]
    pub(crate) fn push(&mut self, score: f64, positive: bool, weight: f64) {
        let signed_weight = if positive { weight } else { -weight };
        match self {
            Self::Exact(rows) => rows.push(Scored { score, signed_weight }),
            Self::Binned(sketch) => sketch.push(score, signed_weight),
        }
    }

    /// Calls `each` for every score that occurs, from the largest down.
    pub(crate) fn for_each_descending(&self, mut each: impl FnMut(Tied)) {
        match self {
            Self::Binned(sketch) => sketch.for_each_descending(each),
            Self::Exact(rows) => {
                let mut sorted = rows.clone();
                sorted.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
                for run in sorted.chunk_by(|a, b| a.score == b.score) {
                    let mut tied = Tied::default();
                    run.iter().for_each(|row| tied.add(row.signed_weight));
                    each(tied);
                }
            }
        }
    }

    /// The summed weights of positives and negatives.
    pub(crate) fn totals(&self) -> (f64, f64) {
        let (mut positive, mut negative) = (Sum::default(), Sum::default());
        let mut add = |tied: Tied| {
            positive.add(tied.positive);
            negative.add(tied.negative);
        };
        match self {
            Self::Binned(sketch) => sketch.for_each_descending(add),
            Self::Exact(rows) => rows.iter().for_each(|row| {
                let mut tied = Tied::default();
                tied.add(row.signed_weight);
                add(tied);
            }),
        }
        (positive.total(), negative.total())
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Exact(rows) => rows.clear(),
            Self::Binned(sketch) => sketch.clear(),
        }
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        match self {
            Self::Exact(rows) => rows.iter_mut().for_each(|row| row.signed_weight *= factor),
            Self::Binned(sketch) => sketch.scale(factor),
        }
    }

    /// Two numbers a row, or what a sketch has.
    pub(crate) fn state(&self) -> Vec<f64> {
        match self {
            Self::Exact(rows) => rows.iter().flat_map(|row| [row.score, row.signed_weight]).collect(),
            Self::Binned(sketch) => sketch.state(),
        }
    }

    pub(crate) fn merge(&mut self, of: &str, state: &[f64]) -> Result<(), Error> {
        match self {
            Self::Exact(rows) => {
                rows.extend(
                    read_rows(of, state)?.iter().map(|&[score, signed_weight]| Scored { score, signed_weight }),
                );
                Ok(())
            }
            Self::Binned(sketch) => sketch.merge(of, state),
        }
    }

    pub(crate) fn restore(&mut self, of: &str, state: &[f64]) -> Result<(), Error> {
        match self {
            Self::Exact(_) => {
                read_rows(of, state)?;
                self.clear();
                self.merge(of, state)
            }
            Self::Binned(sketch) => sketch.restore(of, state),
        }
    }
}

fn read_rows<'a>(of: &str, state: &'a [f64]) -> Result<&'a [[f64; 2]], Error> {
    let mut reader = Reader::new(of, state);
    let (pairs, _) = reader.take(reader.left() / 2 * 2)?.as_chunks();
    if pairs.iter().any(|[score, _]| score.is_nan()) {
        return Err(reader.wrong("a score is NaN".to_owned()));
    }
    reader.end()?;
    Ok(pairs)
}
