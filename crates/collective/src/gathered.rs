/// What each rank brought to a [`gather`](crate::Collective::gather), in the order of the ranks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Gathered {
    /// What a rank brought.
    ///
    /// # Panics
    ///
    /// When there is no such rank.
    pub fn get(&self, rank: usize) -> &[u8] {
        let start = rank.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[rank]]
    }

    /// What each rank brought.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|rank| self.get(rank))
    }

    /// Makes room for what so many ranks bring, so many bytes in all.
    pub fn reserve(&mut self, ranks: usize, bytes: usize) {
        self.bytes.reserve(bytes);
        self.ends.reserve(ranks);
    }

    /// Forgets everything but its room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds what the next rank brings.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }
}
