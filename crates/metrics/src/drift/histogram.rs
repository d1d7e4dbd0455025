/// An exponential histogram of a window: buckets of `2^r` numbers in row `r`, a row's oldest first.
///
/// # References
///
/// M. Datar, A. Gionis, P. Indyk, R. Motwani, *Maintaining stream statistics over sliding windows*, 2002.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// Rows of `capacity` each, one more than may stay.
    buckets: Vec<Bucket>,
    lengths: Vec<usize>,
    capacity: usize,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    pub(super) mean: f64,
    /// Squared deviations from the bucket's mean, summed.
    pub(super) squares: f64,
}

impl Histogram {
    /// Rows for which memory is set aside: a window of billions of numbers.
    const ROWS: usize = 32;

    /// An empty one, of rows of at most `max_buckets`.
    pub(super) fn new(max_buckets: usize) -> Self {
        let capacity = max_buckets + 1;
        let (buckets, lengths) = (Vec::with_capacity(Self::ROWS * capacity), Vec::with_capacity(Self::ROWS));
        Self { buckets, lengths, capacity }
    }

    /// How many rows there are, some perhaps empty.
    pub(super) fn rows(&self) -> usize {
        self.lengths.len()
    }

    pub(super) fn row(&self, row: usize) -> &[Bucket] {
        let start = row * self.capacity;
        &self.buckets[start..start + self.lengths[row]]
    }

    pub(super) fn grow(&mut self) {
        self.lengths.push(0);
        self.buckets.resize(self.buckets.len() + self.capacity, Bucket::default());
    }

    pub(super) fn push(&mut self, row: usize, bucket: Bucket) {
        self.buckets[row * self.capacity + self.lengths[row]] = bucket;
        self.lengths[row] += 1;
    }

    fn remove_oldest(&mut self, row: usize, n: usize) {
        let start = row * self.capacity;
        self.buckets.copy_within(start + n..start + self.lengths[row], start);
        self.lengths[row] -= n;
    }

    pub(super) fn insert(&mut self, x: f64) {
        let (mut row, mut bucket) = (0, Bucket { mean: x, squares: 0.0 });
        loop {
            if row == self.lengths.len() {
                self.grow();
            }
            self.push(row, bucket);
            if self.lengths[row] < self.capacity {
                return;
            }
            bucket = Bucket::joined(&self.row(row)[..2], (1u64 << row) as f64);
            self.remove_oldest(row, 2);
            row += 1;
        }
    }

    /// Drops the oldest bucket, says of how many numbers.
    pub(super) fn drop_oldest(&mut self) -> Option<(u64, Bucket)> {
        let row = self.lengths.iter().rposition(|&length| length > 0)?;
        let oldest = self.row(row)[0];
        self.remove_oldest(row, 1);
        Some((1 << row, oldest))
    }

    /// The buckets and how many numbers each holds.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = (u64, Bucket)> {
        (0..self.lengths.len()).rev().flat_map(|row| self.row(row).iter().map(move |&bucket| (1 << row, bucket)))
    }

    /// Takes so much off every mean.
    pub(super) fn shift(&mut self, by: f64) {
        self.buckets.iter_mut().for_each(|bucket| bucket.mean -= by);
    }

    pub(super) fn clear(&mut self) {
        self.lengths.clear();
        self.buckets.clear();
    }
}

impl Bucket {
    /// Two buckets of `n` numbers each as one.
    fn joined(two: &[Self], n: f64) -> Self {
        let (a, b) = (two[0], two[1]);
        let apart = b.mean - a.mean;
        Self { mean: a.mean + apart / 2.0, squares: a.squares + b.squares + n / 2.0 * apart * apart }
    }
}
