//! Which pages of a column are in memory together while some consecutive rows are decoded.

use crate::pages::Page;
use crate::plain::with_excess;

/// The sizes of a column's pages in one row group.
#[derive(Default)]
pub(crate) struct ColumnPages {
    dictionary: u64,
    pub(crate) largest: u64,
    /// Rows and bytes of each data page, where decoded rows keep them.
    kept: Vec<(u64, u64)>,
    /// Rows and values of each data page of lists, and what a value takes.
    values: Vec<(u64, u64)>,
    per_value: u64,
}

impl ColumnPages {
    pub(crate) fn new(pages: Vec<Page>, keeps_pages: bool) -> Self {
        let bytes = |page: &Page| page.uncompressed.max(page.compressed);
        let data = || pages.iter().filter(|page| !page.dictionary);
        Self {
            dictionary: pages.iter().filter(|page| page.dictionary).map(bytes).sum(),
            largest: pages.iter().map(bytes).max().unwrap_or(0),
            kept: if keeps_pages {
                data().map(|page| (page.rows.unwrap_or(page.values), bytes(page))).collect()
            } else {
                Vec::new()
            },
            ..Self::default()
        }
    }

    /// Those of lists, whose rows per page are counted, and whose values take so many bytes while they are decoded.
    pub(crate) fn of_lists(pages: Vec<Page>, keeps_pages: bool, per_value: u64) -> Self {
        let data = pages.iter().filter(|page| !page.dictionary);
        let values = data.map(|page| (page.rows.unwrap_or(0), page.values)).collect();
        Self { values, per_value, ..Self::new(pages, keeps_pages) }
    }

    /// What the pages take while this many rows are decoded at a time: the dictionary, as it is and decoded, and the
    /// page in use or those in use together.
    pub(crate) fn bytes(&self, rows: u64) -> u64 {
        // The rows of lists may go on in the next page.
        let rows = if self.values.is_empty() { rows } else { rows + 1 };
        let values = most(&self.values, rows).saturating_mul(self.per_value);
        let pages = with_excess(self.largest.max(most(&self.kept, rows)));
        self.dictionary.saturating_mul(2).saturating_add(pages).saturating_add(values)
    }
}

/// The most, of bytes or values, in pages that any consecutive rows come from; rows and that of each page are given.
fn most(pages: &[(u64, u64)], rows: u64) -> u64 {
    let (mut most, mut sum, mut inside, mut first) = (0, 0, 0, 0);
    for (last, &(page_rows, of_page)) in pages.iter().enumerate() {
        // Rows of the first and of the last page have all those of the pages between them in between.
        while first < last && inside - pages[first].0 + 2 > rows {
            inside -= pages[first].0;
            sum -= pages[first].1;
            first += 1;
        }
        inside += page_rows;
        sum += of_page;
        most = most.max(sum);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_kept_by_consecutive_rows() {
        let page = |values, uncompressed| Page { dictionary: false, values, rows: None, compressed: 0, uncompressed };
        let pages = ColumnPages::new(vec![page(4, 10), page(1, 50), page(4, 20), page(9, 30), page(9, 5)], true);
        assert_eq!(most(&pages.kept, 1), 50);
        assert_eq!(most(&pages.kept, 2), 70);
        assert_eq!(most(&pages.kept, 3), 80);
        assert_eq!(most(&pages.kept, 6), 100);
        assert_eq!(most(&pages.kept, 7), 110);
        assert_eq!(most(&pages.kept, 1000), 115);
    }

    /// The same by trying every first row.
    #[test]
    fn pages_kept_match_a_slow_count() {
        for seed in 0..50u64 {
            let of = |i: u64, n| (seed * 7919 + i * i * 104_729 + i * 31) % n;
            let kept: Vec<(u64, u64)> = (0..8).map(|i| (of(i, 5) + 1, of(i + 9, 100))).collect();
            let owner: Vec<usize> =
                kept.iter().enumerate().flat_map(|(i, &(rows, _))| vec![i; rows as usize]).collect();
            for rows in 1..=owner.len() {
                let windows = owner.windows(rows).map(|w| kept[w[0]..=w[rows - 1]].iter().map(|k| k.1).sum::<u64>());
                assert_eq!(most(&kept, rows as u64), windows.max().unwrap(), "{kept:?} {rows}");
            }
        }
    }
}
