//! Weights of positives and negatives by score, in bounded memory, in bins that adapt to the scores.

use crate::Error;
use crate::scores::Tied;
use crate::state::Reader;

/// Rows that are collected, to be sorted in at once.
const FEWEST_COLLECTED: usize = 64;
const MOST_COLLECTED: usize = 4096;

/// Disjoint bins, each an interval of scores whose bounds agree in all but the last bits of their [`key`]s.
///
/// As long as there are no more distinct scores than bins, each score has a bin of its own and nothing is lost. Beyond,
/// neighbours are joined where that leaves at most a share `s` of the positives and of the negatives in a bin, with the
/// smallest `s = 2ⁱ / bins`, `i ≥ 1`, by which half of the bins become free. So bins are narrow where rows are many,
/// whatever range the scores lie in. What follows depends on the rows and their order alone.
#[derive(Debug)]
pub(crate) struct Sketch {
    /// In ascending order, disjoint.
    cells: Vec<Cell>,
    /// Rows since they were last sorted in: key and weight, negative if the row is.
    collected: Vec<(u64, f64)>,
    /// The most cells.
    bins: usize,
    /// The most rows in `collected`.
    most: usize,
    /// Room to merge in, and for sums.
    spare: Vec<Cell>,
    sums: Vec<[f64; 2]>,
}

/// The weights of the rows whose keys are `key` in all but the last `level` bits, which are zero in `key`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    key: u64,
    level: u32,
    positive: f64,
    negative: f64,
}

impl Cell {
    fn of(key: u64, signed_weight: f64) -> Self {
        let mut tied = Tied::default();
        tied.add(signed_weight);
        Self { key, level: 0, positive: tied.positive, negative: tied.negative }
    }

    fn has(&self, key: u64) -> bool {
        prefix(key, self.level) == self.key
    }

    fn add(&mut self, other: &Self) {
        self.positive += other.positive;
        self.negative += other.negative;
    }
}

/// A key without its last `level` bits.
fn prefix(key: u64, level: u32) -> u64 {
    key.checked_shr(level).unwrap_or(0).checked_shl(level).unwrap_or(0)
}

/// An integer for every score, in the same order, and as fine as probabilities are near 0 and near 1: the bits of the
/// score below ½, and from there on to 1 those of its distance from 1, mirrored. Scores beyond ±2⁹⁰⁰ tie.
pub(crate) fn key(score: f64) -> u64 {
    const HALF: u64 = 0.5_f64.to_bits();
    // Behind that of the largest number below 1, whose distance from 1 is 2⁻⁵³.
    const ONE: u64 = 2 * HALF - (f64::EPSILON / 2.0).to_bits() + 1;
    const SIGN: u64 = 1 << 63;
    let size = score.abs().min(2.0_f64.powi(900));
    if score < 0.0 {
        SIGN - size.to_bits()
    } else if size < 0.5 {
        SIGN + size.to_bits()
    } else if size < 1.0 {
        SIGN + 2 * HALF - (1.0 - size).to_bits()
    } else {
        SIGN + ONE + (size.to_bits() - 1.0_f64.to_bits())
    }
}

impl Clone for Sketch {
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.bins);
        clone.cells.extend_from_slice(&self.cells);
        clone.collected.extend_from_slice(&self.collected);
        clone
    }
}

impl Sketch {
    /// At most so many bins, at least one.
    pub(crate) fn new(bins: usize) -> Self {
        let most = (bins / 4).clamp(FEWEST_COLLECTED, MOST_COLLECTED);
        let room = bins + most;
        Self {
            cells: Vec::with_capacity(room),
            collected: Vec::with_capacity(most),
            bins,
            most,
            spare: Vec::with_capacity(room),
            sums: Vec::with_capacity(room + 1),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, score: f64, signed_weight: f64) {
        self.collected.push((key(score), signed_weight));
        if self.collected.len() == self.most {
            self.sort_in();
        }
    }

    fn sort_in(&mut self) {
        self.collected.sort_unstable_by_key(|&(key, _)| key);
        let mut spare = std::mem::take(&mut self.spare);
        let collected = self.collected.iter().map(|&(key, weight)| Cell::of(key, weight));
        unite(&mut spare, self.cells.iter().copied(), collected);
        self.collected.clear();
        self.spare = std::mem::replace(&mut self.cells, spare);
        self.spare.clear();
        self.join();
    }

    /// Joins neighbours until half of the bins are free, if there are too many.
    fn join(&mut self) {
        // With less, not even half of the bins would become free.
        let mut share = 2.0 / self.bins as f64;
        if self.cells.len() <= self.bins {
            return;
        }
        while self.cells.len() > self.bins.div_ceil(2) {
            self.sums.clear();
            self.sums.push([0.0; 2]);
            let mut sum = [0.0; 2];
            for cell in &self.cells {
                sum = [sum[0] + cell.positive, sum[1] + cell.negative];
                self.sums.push(sum);
            }
            // The last attempt leaves one bin, whatever rounding does to the sums.
            let limit = if share >= 1.0 { [f64::INFINITY; 2] } else { sum.map(|sum| share * sum) };
            let kept = join_within(&mut self.cells, &self.sums, limit);
            self.cells.truncate(kept);
            share *= 2.0;
        }
    }

    /// Itself with all rows sorted in.
    fn sorted(&self) -> std::borrow::Cow<'_, Self> {
        if self.collected.is_empty() {
            return std::borrow::Cow::Borrowed(self);
        }
        let mut sorted = self.clone();
        sorted.sort_in();
        std::borrow::Cow::Owned(sorted)
    }

    pub(crate) fn for_each_descending(&self, mut each: impl FnMut(Tied)) {
        for cell in self.sorted().cells.iter().rev() {
            each(Tied { positive: cell.positive, negative: cell.negative, one_score: cell.level == 0 });
        }
    }

    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.collected.clear();
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        for cell in &mut self.cells {
            cell.positive *= factor;
            cell.negative *= factor;
        }
        self.collected.iter_mut().for_each(|(_, weight)| *weight *= factor);
    }

    /// Bins, each as the upper half of its key with its level, the lower half, and its weights; then rows, each as the
    /// halves of its key and its weight.
    pub(crate) fn state(&self) -> Vec<f64> {
        let halves = |key: u64, level: u32| [((key >> 32) | u64::from(level) << 32) as f64, f64::from(key as u32)];
        let mut state = vec![self.cells.len() as f64];
        for cell in &self.cells {
            state.extend(halves(cell.key, cell.level));
            state.extend([cell.positive, cell.negative]);
        }
        state.push(self.collected.len() as f64);
        for &(key, weight) in &self.collected {
            state.extend(halves(key, 0));
            state.push(weight);
        }
        state
    }

    pub(crate) fn restore(&mut self, of: &str, state: &[f64]) -> Result<(), Error> {
        *self = self.read(of, state)?;
        Ok(())
    }

    pub(crate) fn merge(&mut self, of: &str, state: &[f64]) -> Result<(), Error> {
        let mut other = self.read(of, state)?;
        other.sort_in();
        self.sort_in();
        let mut all = Vec::with_capacity(self.cells.len() + other.cells.len());
        unite(&mut all, self.cells.iter().copied(), other.cells.iter().copied());
        self.cells = all;
        self.join();
        // As much room as before: updates allocate nothing.
        self.cells.reserve_exact((self.bins + self.most).saturating_sub(self.cells.len()));
        Ok(())
    }

    /// A sketch such as this of a state.
    fn read(&self, of: &str, state: &[f64]) -> Result<Self, Error> {
        let mut reader = Reader::new(of, state);
        let mut read = Self::new(self.bins);
        for _ in 0..reader.count(self.bins as u64)? {
            let (upper, lower) = (reader.count((65 << 32) - 1)?, reader.count(u64::from(u32::MAX))?);
            let [positive, negative] = reader.array()?;
            let cell = Cell { key: upper << 32 | lower, level: (upper >> 32) as u32, positive, negative };
            let begins = prefix(cell.key, cell.level) == cell.key;
            let follows = read.cells.last().is_none_or(|last| last.key < cell.key && !last.has(cell.key));
            if !(begins && follows && positive >= 0.0 && negative >= 0.0) {
                return Err(reader.wrong("bins that overlap, or a weight below zero".to_owned()));
            }
            read.cells.push(cell);
        }
        for _ in 0..reader.count(self.most as u64 - 1)? {
            let (upper, lower) = (reader.count(u64::from(u32::MAX))?, reader.count(u64::from(u32::MAX))?);
            let [weight] = reader.array()?;
            read.collected.push((upper << 32 | lower, weight));
        }
        reader.end()?;
        Ok(read)
    }
}

/// Appends both, in order, to `to`; what lies within another cell is added to that. Both are in ascending order.
fn unite(to: &mut Vec<Cell>, a: impl Iterator<Item = Cell>, b: impl Iterator<Item = Cell>) {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    loop {
        let cell = match (a.peek(), b.peek()) {
            // Of two that begin with the same key, the wider one holds the other.
            (Some(x), Some(y)) if (x.key, y.level) <= (y.key, x.level) => a.next(),
            (_, Some(_)) => b.next(),
            (_, None) => a.next(),
        };
        let Some(cell) = cell else { return };
        match to.last_mut() {
            Some(last) if last.has(cell.key) => last.add(&cell),
            _ => to.push(cell),
        }
    }
}

/// Joins all cells whose keys agree in their first bits, wherever their weights are within `limit`, and as many as can
/// be; says how many cells are left. `sums[i]` are the weights before cell `i`.
fn join_within(cells: &mut [Cell], sums: &[[f64; 2]], limit: [f64; 2]) -> usize {
    let mut kept = 0;
    // Ranges still to be looked at, the next one last: at most one for each bit of a key.
    let mut ranges = [(0, 0); 65];
    let mut waiting = 1;
    ranges[0] = (0, cells.len());
    while waiting > 0 {
        waiting -= 1;
        let (start, end) = ranges[waiting];
        if end - start <= 1 {
            if end > start {
                cells[kept] = cells[start];
                kept += 1;
            }
            continue;
        }
        let first = cells[start].key;
        let level = u64::BITS - (first ^ cells[end - 1].key).leading_zeros();
        if (0..2).all(|of| sums[end][of] - sums[start][of] <= limit[of]) {
            let mut joined = Cell { key: prefix(first, level), level, positive: 0.0, negative: 0.0 };
            cells[start..end].iter().for_each(|cell| joined.add(cell));
            cells[kept] = joined;
            kept += 1;
            continue;
        }
        let middle = start + cells[start..end].partition_point(|cell| cell.key >> (level - 1) & 1 == 0);
        ranges[waiting] = (middle, end);
        ranges[waiting + 1] = (start, middle);
        waiting += 2;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_scores() {
        let tiny = f64::from_bits(1);
        let scores = [
            f64::NEG_INFINITY,
            -1e200,
            -1.0,
            -0.7,
            -1e-300,
            -tiny,
            0.0,
            tiny,
            1e-300,
            1e-9,
            0.3,
            0.5_f64.next_down(),
            0.5,
            0.5_f64.next_up(),
            0.7,
            1.0 - 1e-9,
            1.0_f64.next_down(),
            1.0,
            1.0_f64.next_up(),
            7.0,
            1e200,
            f64::INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{} and {}", pair[0], pair[1]);
        }
        assert_eq!(key(-0.0), key(0.0));
    }

    #[test]
    fn joined_cells_are_disjoint_and_keep_every_weight() {
        let mut sketch = Sketch::new(16);
        for i in 0..10_000_u64 {
            let score = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / f64::from(1 << 24);
            sketch.push(score, if i % 3 == 0 { 1.0 } else { -1.0 });
            assert!(sketch.cells.len() <= 16);
            for pair in sketch.cells.windows(2) {
                assert!(pair[0].key < pair[1].key && !pair[0].has(pair[1].key));
            }
        }
        let (mut positive, mut negative) = (0.0, 0.0);
        sketch.for_each_descending(|tied| (positive, negative) = (positive + tied.positive, negative + tied.negative));
        assert_eq!((positive, negative), (3334.0, 6666.0));
    }
}
