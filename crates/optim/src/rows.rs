use std::ops::Range;

/// A parameter of which a step reads few rows, and gives only those a gradient, such as an embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where it lies in the arena.
    pub range: Range<usize>,
    /// Elements of a row.
    pub width: usize,
}

/// The rows of a [`Table`] that a step touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRows {
    /// Where the table lies in the arena.
    pub range: Range<usize>,
    /// Elements of a row.
    pub width: usize,
    /// The rows, in ascending order, each once.
    pub rows: Vec<u32>,
}

impl TableRows {
    /// Where a row lies in the arena.
    pub fn place(&self, row: u32) -> Range<usize> {
        let start = self.range.start + row as usize * self.width;
        start..start + self.width
    }

    /// Where its rows lie in the arena.
    pub fn places(&self) -> impl Iterator<Item = Range<usize>> {
        self.rows.iter().map(|&row| self.place(row))
    }

    /// Calls `each` with the places of those of its rows that are numbered so, several neighbours at once where they
    /// have up to `most` elements together.
    fn each(&self, rows: Range<usize>, most: usize, each: &mut impl FnMut(Range<usize>)) {
        let rows = &self.rows[rows];
        let place = |row: u32| self.range.start + row as usize * self.width;
        let mut first = 0;
        while first < rows.len() {
            let mut last = first;
            while rows.get(last + 1).is_some_and(|&next| next == rows[last] + 1)
                && (last + 2 - first) * self.width <= most
            {
                last += 1;
            }
            each(place(rows[first])..place(rows[last]) + self.width);
            first = last + 1;
        }
    }
}

/// What [`Optimizer::update_rows`](crate::Optimizer::update_rows) updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched<'a> {
    /// Rows of tables, which come in the order of the arena.
    pub tables: &'a [TableRows],
    /// Where in the arena it is, of what is in none of the tables.
    pub others: Range<usize>,
}

impl<'a> From<&'a [TableRows]> for Touched<'a> {
    /// These rows, and everything that is in none of the tables.
    fn from(tables: &'a [TableRows]) -> Self {
        Self { tables, others: 0..usize::MAX }
    }
}

/// Rows of all tables, in the order of the arena.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a>(pub(crate) &'a [TableRows]);

impl Rows<'_> {
    /// Checks that tables come in the order of the arena, and that rows lie within them.
    pub(crate) fn check(self, len: usize) {
        let mut end = 0;
        for table in self.0 {
            assert!(end <= table.range.start && table.range.end <= len, "tables come in the order of the arena");
            end = table.range.end;
            let rows = (table.range.len() / table.width.max(1)) as u64;
            assert!(table.rows.last().is_none_or(|&last| u64::from(last) < rows), "rows lie in their table");
            debug_assert!(table.rows.is_sorted_by(|a, b| a < b), "rows are sorted, and each is there once");
        }
    }

    /// What lies before, between and behind the tables in an arena of so many elements, in order.
    pub(crate) fn gaps(self, len: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|table| table.range.end));
        let ends = self.0.iter().map(|table| table.range.start).chain(std::iter::once(len));
        starts.zip(ends).map(|(start, end)| start..end).filter(|gap| !gap.is_empty())
    }

    pub(crate) fn count(self) -> usize {
        self.0.iter().map(|table| table.rows.len()).sum()
    }

    pub(crate) fn elements(self) -> usize {
        self.0.iter().map(|table| table.rows.len() * table.width).sum()
    }

    /// Where a row begins, by its number.
    pub(crate) fn element(self, mut number: usize) -> usize {
        for table in self.0 {
            match table.rows.get(number) {
                Some(&row) => return table.range.start + row as usize * table.width,
                None => number -= table.rows.len(),
            }
        }
        panic!("there are not so many rows")
    }

    /// Calls `each` with the places of the rows that are numbered so; see [`TableRows::each`].
    pub(crate) fn each(self, numbers: Range<usize>, most: usize, mut each: impl FnMut(Range<usize>)) {
        let mut before = 0;
        for table in self.0 {
            let end = before + table.rows.len();
            let (first, last) = (numbers.start.clamp(before, end), numbers.end.clamp(before, end));
            table.each(first - before..last - before, most, &mut each);
            before = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_places_of_the_arena() {
        let tables = [
            TableRows { range: 10..40, width: 3, rows: vec![0, 1, 2, 5, 9] },
            TableRows { range: 40..50, width: 2, rows: vec![] },
            TableRows { range: 50..60, width: 2, rows: vec![1, 2] },
        ];
        let rows = Rows(&tables);
        rows.check(60);
        assert_eq!(rows.gaps(70).collect::<Vec<_>>(), [0..10, 60..70]);
        assert_eq!((rows.count(), rows.elements()), (7, 19));
        assert_eq!((0..7).map(|i| rows.element(i)).collect::<Vec<_>>(), [10, 13, 16, 25, 37, 52, 54]);
        let places = |numbers, most| {
            let mut found = Vec::new();
            rows.each(numbers, most, |range| found.push(range));
            found
        };
        assert_eq!(places(0..7, 1000), [10..19, 25..28, 37..40, 52..56]);
        assert_eq!(places(0..7, 6), [10..16, 16..19, 25..28, 37..40, 52..56]);
        assert_eq!(places(1..6, 1), [13..16, 16..19, 25..28, 37..40, 52..54]);
        assert!(places(3..3, 9).is_empty());
    }
}
