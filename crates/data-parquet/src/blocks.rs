//! The order in which an epoch reads rows: as the files have them, or block by block in a shuffled order.

use std::ops::Range;

use tidemill_data::Permutation;
use tidemill_data::tensor::Key;

use crate::plan::{Group, Plan};

/// Blocks of rows, each read in one piece, that an epoch reads in an order of its own; from
/// [`ParquetSource::blocks`](crate::ParquetSource::blocks).
///
/// Any block may come at any place of an epoch. Rows of one block stay together, fewer than [`rows`](Blocks::rows)
/// places apart, until a [`shuffle`](tidemill_data::SourceExt::shuffle) mixes them with those of the blocks that share
/// its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// How many blocks there are.
    pub count: u64,
    /// Rows of the largest.
    pub rows: u64,
}

impl Blocks {
    /// The fewest blocks that the rows of a full window of [`shuffle`](tidemill_data::SourceExt::shuffle) come from.
    pub fn in_window(&self, window: u64) -> u64 {
        window.div_ceil(self.rows.max(1)).min(self.count)
    }

    /// How many places apart two rows of one block can be at most behind a
    /// [`shuffle`](tidemill_data::SourceExt::shuffle) of that window; one of a single row shuffles nothing.
    pub fn spread(&self, window: u64) -> u64 {
        let within = self.rows.saturating_sub(1);
        within.saturating_add(window.saturating_sub(1).saturating_mul(2))
    }
}

/// How row groups are cut into blocks that are shuffled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    seed: u64,
    /// Most rows of a block.
    most: u64,
    /// Blocks in front of each row group.
    before: Vec<u64>,
    blocks: Blocks,
}

impl Cut {
    pub(crate) fn new(seed: u64, most: u64, groups: &[Group]) -> Self {
        let mut blocks = Blocks { count: 0, rows: 0 };
        let add = |group: &Group| {
            let parts = group.rows.div_ceil(most);
            blocks.rows = blocks.rows.max(group.rows.div_ceil(parts));
            blocks.count += parts;
            blocks.count - parts
        };
        let before = groups.iter().map(add).collect();
        Self { seed, most, before, blocks }
    }

    pub(crate) fn blocks(&self) -> Blocks {
        self.blocks
    }

    pub(crate) fn memory_size(&self) -> usize {
        self.before.capacity() * size_of::<u64>()
    }

    fn order(&self, epoch: u64) -> Permutation {
        Permutation::new(self.blocks.count, Key::new(self.seed).fold(epoch))
    }

    /// The rows of a block: row groups are cut into nearly equal parts.
    fn rows(&self, groups: &[Group], block: u64) -> Range<u64> {
        let place = self.before.partition_point(|&before| before <= block) - 1;
        let group = &groups[place];
        let parts = u128::from(group.rows.div_ceil(self.most));
        let cut = |part: u64| group.first + (u128::from(group.rows) * u128::from(part) / parts) as u64;
        let part = block - self.before[place];
        cut(part)..cut(part + 1)
    }
}

/// A position in an epoch, and what is read from there on. Rows are numbered as the files have them.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) epoch: u64,
    /// Rows of the epoch in front of the next one.
    pub(crate) position: u64,
    /// What is left of the rows that are read in one piece; none at the end of the epoch.
    rows: Range<u64>,
    /// Which block that is, counted in the order of the epoch.
    place: u64,
    order: Permutation,
}

impl Walk {
    /// A position, which must exist.
    pub(crate) fn to(plan: &Plan, epoch: u64, position: u64) -> Self {
        let order = plan.cut.as_ref().map_or(Permutation::new(0, Key::new(0)), |cut| cut.order(epoch));
        let mut walk = Self { epoch, position: 0, rows: 0..0, place: 0, order };
        walk.rows = walk.block(plan);
        walk.pass(plan, position);
        walk
    }

    /// The number of the next row; none at the end of the epoch.
    pub(crate) fn row(&self) -> Option<u64> {
        (!self.rows.is_empty()).then_some(self.rows.start)
    }

    /// Where the rows end that are read in one piece.
    pub(crate) fn end(&self) -> u64 {
        self.rows.end
    }

    /// Goes on by some rows, of those that are left.
    pub(crate) fn pass(&mut self, plan: &Plan, mut rows: u64) {
        self.position += rows;
        loop {
            let here = rows.min(self.rows.end - self.rows.start);
            self.rows.start += here;
            rows -= here;
            if !self.rows.is_empty() || !self.has_next(plan) {
                return;
            }
            self.place += 1;
            self.rows = self.block(plan);
        }
    }

    /// The number of the row that is read when those in one piece, in this row group, are over.
    pub(crate) fn row_behind(&self, plan: &Plan, group: &Group) -> Option<u64> {
        let end = group.first + group.rows;
        if self.rows.end > end {
            return Some(end);
        }
        let next = Self { place: self.place + 1, ..self.clone() };
        self.has_next(plan).then(|| next.block(plan).start)
    }

    fn has_next(&self, plan: &Plan) -> bool {
        plan.cut.as_ref().is_some_and(|cut| self.place + 1 < cut.blocks.count)
    }

    fn block(&self, plan: &Plan) -> Range<u64> {
        match &plan.cut {
            Some(cut) if cut.blocks.count > 0 => cut.rows(&plan.groups, self.order.at(self.place)),
            _ => 0..plan.rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(rows: &[u64]) -> Vec<Group> {
        let mut first = 0;
        let group = |&rows: &u64| {
            first += rows;
            Group {
                file: 0,
                index: 0,
                before: 0,
                footer: 0..0,
                first: first - rows,
                rows,
                batch: 1,
                bytes: 0,
                ahead: 0,
                read_ahead: 0,
                in_turn: false,
            }
        };
        rows.iter().map(group).collect()
    }

    #[test]
    fn row_groups_are_cut_into_nearly_equal_parts() {
        for (rows, most, expected) in [
            (&[1, 7, 1000][..], 1000, vec![1, 7, 1000]),
            (&[1, 7, 1000], 400, vec![1, 7, 333, 333, 334]),
            (&[1, 7], 3, vec![1, 2, 2, 3]),
            (&[4], 1, vec![1, 1, 1, 1]),
            (&[], 5, vec![]),
        ] {
            let groups = groups(rows);
            let cut = Cut::new(1, most, &groups);
            let ranges: Vec<_> = (0..cut.blocks.count).map(|block| cut.rows(&groups, block)).collect();
            assert_eq!(ranges.iter().map(|r| r.end - r.start).collect::<Vec<_>>(), expected);
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "one behind the other: {ranges:?}");
            assert_eq!(
                cut.blocks,
                Blocks { count: expected.len() as u64, rows: expected.into_iter().max().unwrap_or(0) }
            );
        }
    }
}
