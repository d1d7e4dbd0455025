use tidemill_tensor::Scalar;

use crate::state::{MOST, Reader};
use crate::{Error, Metric, Rows, Summary};

/// A metric over the most recent rows.
///
/// The window is a ring of blocks, each a metric of its own; when the newest is full, the oldest is emptied and becomes
/// the newest. So memory is that of `blocks` metrics, and the value is exactly that of the last `n` rows, where `n`
/// runs from `(blocks - 1) * block_rows + 1` up to `blocks * block_rows` and again: forgetting happens in steps of
/// `block_rows`. Rows count whatever they weigh.
///
/// Merging joins the windows of shards block by block, newest with newest: the value is that of the last rows of all
/// shards together, however many each has had.
///
/// # Example
///
/// ```
/// use tidemill_metrics::{Accuracy, Metric, Rows, Summary, Target, Windowed};
///
/// let mut recent = Windowed::new(Accuracy::binary(0.5)?, 2, 50)?;
/// recent.update(&Rows::new(&[0.0f32; 100], 1, Target::Index(&[1; 100]))?)?;
/// recent.update(&Rows::new(&[0.0f32; 75], 1, Target::Index(&[0; 75]))?)?;
/// assert_eq!((recent.name(), recent.rows(), recent.value()), ("accuracy_last_100", 75, 1.0));
/// # Ok::<(), tidemill_metrics::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Windowed<M> {
    name: String,
    /// A ring, `newest` being filled.
    blocks: Vec<M>,
    filled: Vec<u64>,
    newest: usize,
    block_rows: u64,
}

impl<M: Summary + Clone> Windowed<M> {
    /// A window of `blocks` blocks of `block_rows` rows, of metrics such as `metric`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when there is no block or it has no rows.
    pub fn new(mut metric: M, blocks: usize, block_rows: usize) -> Result<Self, Error> {
        let positive = |setting, found: usize| match found {
            0 => {
                Err(Error::Setting { of: "windowed metric", setting, expected: "at least 1", found: found.to_string() })
            }
            _ => Ok(found as u64),
        };
        let rows = positive("blocks", blocks)?.saturating_mul(positive("block_rows", block_rows)?);
        metric.reset();
        let name = format!("{}_last_{rows}", metric.name());
        let block_rows = block_rows as u64;
        Ok(Self { name, blocks: vec![metric; blocks], filled: vec![0; blocks], newest: 0, block_rows })
    }

    /// How many rows the value speaks of.
    pub fn rows(&self) -> u64 {
        self.filled.iter().fold(0, |sum, rows| sum.saturating_add(*rows))
    }

    /// The metric of the rows in the window.
    pub fn merged(&self) -> M {
        let mut oldest_first = self.oldest_first();
        let mut all = self.blocks[oldest_first.next().unwrap_or(self.newest)].clone();
        for block in oldest_first {
            all.merge(&self.blocks[block].state()).expect("blocks of one window merge");
        }
        all
    }

    fn oldest_first(&self) -> impl DoubleEndedIterator<Item = usize> + use<M> {
        let (newest, blocks) = (self.newest, self.blocks.len());
        (1..=blocks).map(move |age| (newest + age) % blocks)
    }

    /// The states of the blocks, oldest first, and their rows.
    fn read<'a>(&self, state: &'a [f64]) -> Result<Vec<(u64, &'a [f64])>, Error> {
        let mut reader = Reader::new(&self.name, state);
        let mut saved = Vec::with_capacity(self.blocks.len());
        for _ in &self.blocks {
            let rows = reader.count(MOST)?;
            let len = reader.count(reader.left() as u64)?;
            saved.push((rows, reader.take(len as usize)?));
        }
        reader.end()?;
        // Tried on a copy, so that a state that does not fit changes nothing.
        let mut trial = self.blocks[0].clone();
        for (_, block) in &saved {
            trial.restore(block)?;
        }
        Ok(saved)
    }
}

impl<M: Summary + Clone> Summary for Windowed<M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self) -> f64 {
        self.merged().value()
    }

    fn error_bound(&self) -> f64 {
        self.merged().error_bound()
    }

    fn reset(&mut self) {
        self.blocks.iter_mut().for_each(M::reset);
        self.filled.fill(0);
        self.newest = 0;
    }

    fn state(&self) -> Vec<f64> {
        let mut state = Vec::new();
        for block in self.oldest_first() {
            let numbers = self.blocks[block].state();
            state.extend([self.filled[block] as f64, numbers.len() as f64]);
            state.extend(numbers);
        }
        state
    }

    fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        for (block, (rows, numbers)) in self.read(state)?.into_iter().enumerate() {
            self.blocks[block].restore(numbers)?;
            self.filled[block] = rows;
        }
        self.newest = self.blocks.len() - 1;
        Ok(())
    }

    fn merge(&mut self, state: &[f64]) -> Result<(), Error> {
        for (block, (rows, numbers)) in self.oldest_first().zip(self.read(state)?) {
            self.blocks[block].merge(numbers)?;
            self.filled[block] = self.filled[block].saturating_add(rows);
        }
        Ok(())
    }

    fn fade(&mut self, factor: f64) {
        self.blocks.iter_mut().for_each(|block| block.fade(factor));
    }
}

impl<T: Scalar, M: Metric<T> + Clone> Metric<T> for Windowed<M> {
    fn update(&mut self, rows: &Rows<'_, T>) -> Result<(), Error> {
        let mut from = 0;
        while from < rows.len() {
            if self.filled[self.newest] >= self.block_rows {
                self.newest = (self.newest + 1) % self.blocks.len();
                self.filled[self.newest] = 0;
                self.blocks[self.newest].reset();
            }
            let room = self.block_rows - self.filled[self.newest];
            let to = rows.len().min(from.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
            self.blocks[self.newest].update(&rows.slice(from..to))?;
            self.filled[self.newest] += (to - from) as u64;
            from = to;
        }
        Ok(())
    }
}
