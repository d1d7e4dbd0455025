use crate::Error;
use crate::state::Reader;
use crate::sum::Sum;

/// Weights of positives and negatives by score.
#[derive(Clone, Debug)]
pub(crate) enum Scores {
    Exact(Vec<Scored>),
    /// Equal bins over `[0, 1]`.
    Binned(Vec<Tied>),
}

/// One row: its score, and its weight, negative if the row is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    score: f64,
    signed_weight: f64,
}

/// The weights of rows whose scores tie.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tied {
    pub(crate) positive: f64,
    pub(crate) negative: f64,
}

impl Tied {
    fn add(&mut self, signed_weight: f64) {
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
            Self::Binned(bins) => {
                let last = bins.len() - 1;
                // The cast saturates: scores below 0 go to the first bin.
                let bin = (score * bins.len() as f64) as usize;
                bins[bin.min(last)].add(signed_weight);
            }
        }
    }

    /// Calls `each` for every score that occurs, from the largest down.
    pub(crate) fn for_each_descending(&self, mut each: impl FnMut(Tied)) {
        match self {
            Self::Binned(bins) => bins.iter().rev().for_each(|&tied| each(tied)),
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
    pub(crate) fn totals(&self) -> Tied {
        let (mut positive, mut negative) = (Sum::default(), Sum::default());
        let mut add = |tied: Tied| {
            positive.add(tied.positive);
            negative.add(tied.negative);
        };
        match self {
            Self::Binned(bins) => bins.iter().for_each(|&tied| add(tied)),
            Self::Exact(rows) => rows.iter().for_each(|row| {
                let mut tied = Tied::default();
                tied.add(row.signed_weight);
                add(tied);
            }),
        }
        Tied { positive: positive.total(), negative: negative.total() }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Exact(rows) => rows.clear(),
            Self::Binned(bins) => bins.fill(Tied::default()),
        }
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        match self {
            Self::Exact(rows) => rows.iter_mut().for_each(|row| row.signed_weight *= factor),
            Self::Binned(bins) => bins.iter_mut().for_each(|tied| {
                tied.positive *= factor;
                tied.negative *= factor;
            }),
        }
    }

    /// Two numbers a row, or a bin.
    pub(crate) fn state(&self) -> Vec<f64> {
        match self {
            Self::Exact(rows) => rows.iter().flat_map(|row| [row.score, row.signed_weight]).collect(),
            Self::Binned(bins) => bins.iter().flat_map(|tied| [tied.positive, tied.negative]).collect(),
        }
    }

    pub(crate) fn merge(&mut self, of: &str, state: &[f64]) -> Result<(), Error> {
        let pairs = self.pairs(of, state)?;
        match self {
            Self::Exact(rows) => {
                rows.extend(pairs.iter().map(|&[score, signed_weight]| Scored { score, signed_weight }));
            }
            Self::Binned(bins) => bins.iter_mut().zip(pairs).for_each(|(tied, [positive, negative])| {
                tied.positive += positive;
                tied.negative += negative;
            }),
        }
        Ok(())
    }

    pub(crate) fn restore(&mut self, of: &str, state: &[f64]) -> Result<(), Error> {
        self.pairs(of, state)?;
        self.clear();
        self.merge(of, state)
    }

    fn pairs<'a>(&self, of: &str, state: &'a [f64]) -> Result<&'a [[f64; 2]], Error> {
        let mut reader = Reader::new(of, state);
        let n = match self {
            Self::Exact(_) => reader.left() / 2,
            Self::Binned(bins) => bins.len(),
        };
        let (pairs, _) = reader.take(2 * n)?.as_chunks();
        if matches!(self, Self::Exact(_)) && pairs.iter().any(|[score, _]| score.is_nan()) {
            return Err(reader.wrong("a score is NaN".to_owned()));
        }
        reader.end()?;
        Ok(pairs)
    }
}
