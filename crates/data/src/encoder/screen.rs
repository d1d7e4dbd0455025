use crate::{Batch, Column, Error};

/// Which rows of raw pieces are kept, and which values are missing: the part that fitting and encoding share.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    columns: Vec<Screened>,
    kept: Vec<usize>,
    /// The rows of the epoch before the piece, and before the next.
    first: u64,
    next: u64,
}

/// What is told of one raw column as one encoding reads it.
#[derive(Clone, Debug)]
pub(super) struct Screened {
    pub name: String,
    /// Its place among the raw columns.
    pub place: usize,
    pub policy: Policy,
    /// Rows of the piece without a value; no flags at all when every row has one.
    absent: Vec<bool>,
    /// Rows without a value, and those of them that were left out on account of this column.
    pub missing: u64,
    pub dropped: u64,
}

/// What happens to a row without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Error,
    Drop,
    Keep,
}

/// The kept rows of a piece, as one column has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub kept: &'a [usize],
    absent: &'a [bool],
    first: u64,
    name: &'a str,
}

impl Rows<'_> {
    pub fn any_absent(&self) -> bool {
        !self.absent.is_empty()
    }

    #[inline]
    pub fn is_absent(&self, row: usize) -> bool {
        self.any_absent() && self.absent[row]
    }

    /// Reads number `k` of the kept rows of a real column from place `start` on, `fill` where it is missing, as many as
    /// there is room for.
    ///
    /// Without a branch for each value: flags choose, they do not steer.
    #[inline]
    pub fn read(&self, column: &Column<f64>, k: usize, fill: f64, start: usize, to: &mut [f64]) {
        let Column::Real { values, width, .. } = column else { return };
        let width = *width;
        let kept = &self.kept[start..];
        let choose = |absent: bool, value: f64| if absent { fill } else { value };
        let all_kept = self.kept.len() * width == values.len();
        let numbers = || values[(start * width + k).min(values.len())..].iter().step_by(width);
        match (all_kept, self.any_absent()) {
            (true, false) if width == 1 => {
                let count = to.len().min(kept.len());
                to[..count].copy_from_slice(&values[start..start + count]);
            }
            (true, false) => to.iter_mut().zip(numbers()).for_each(|(to, &value)| *to = value),
            (true, true) => {
                let flags = &self.absent[start..];
                let numbers = to.iter_mut().zip(numbers()).zip(flags);
                numbers.for_each(|((to, &value), &absent)| *to = choose(absent, value));
            }
            (false, false) => to.iter_mut().zip(kept).for_each(|(to, &row)| *to = values[row * width + k]),
            (false, true) => {
                let rows = to.iter_mut().zip(kept);
                rows.for_each(|(to, &row)| *to = choose(self.absent[row], values[row * width + k]));
            }
        }
    }

    /// The error that the value in a row of the piece is bad.
    pub fn invalid(&self, row: usize, problem: String) -> Error {
        Error::invalid(format!("column {}, row {}", self.name, self.first + row as u64), problem)
    }
}

impl Screened {
    pub fn new(name: &str, place: usize, policy: Policy) -> Self {
        Self { name: name.into(), place, policy, absent: Vec::new(), missing: 0, dropped: 0 }
    }

    fn find_absent(&mut self, column: &Column<f64>) {
        self.absent.clear();
        self.absent.reserve(column.rows());
        match column {
            Column::Real { width, values, nulls, .. } => {
                if nulls.any() || any(values, f64::is_nan) {
                    let rows = values.chunks_exact(*width).enumerate();
                    self.absent.extend(rows.map(|(row, v)| nulls.is_null(row) || v.iter().any(|v| v.is_nan())));
                }
            }
            Column::Text { ends, nulls, .. } if nulls.any() => {
                self.absent.extend((0..ends.len()).map(|row| nulls.is_null(row)));
            }
            Column::Index { .. } | Column::Text { .. } => {}
        }
        self.missing += self.absent.iter().filter(|&&absent| absent).count() as u64;
    }

    fn is_absent(&self, row: usize) -> bool {
        !self.absent.is_empty() && self.absent[row]
    }
}

impl Screen {
    pub fn new(columns: Vec<Screened>) -> Self {
        Self { columns, kept: Vec::new(), first: 0, next: 0 }
    }

    /// Looks at the next piece.
    pub fn read(&mut self, raw: &Batch<f64>) -> Result<(), Error> {
        self.first = self.next;
        self.next += raw.rows() as u64;
        self.columns.iter_mut().for_each(|column| column.find_absent(&raw.columns()[column.place]));
        self.kept.clear();
        let columns = &mut self.columns;
        if columns.iter().any(|c| c.policy == Policy::Drop && !c.absent.is_empty()) {
            self.kept.extend((0..raw.rows()).filter(|&row| {
                let culprit = columns.iter_mut().find(|c| c.policy == Policy::Drop && c.is_absent(row));
                culprit.map(|column| column.dropped += 1).is_none()
            }));
        } else {
            self.kept.extend(0..raw.rows());
        }
        (0..self.columns.len()).try_for_each(|column| self.check(column, raw))
    }

    fn check(&self, column: usize, raw: &Batch<f64>) -> Result<(), Error> {
        let screened = &self.columns[column];
        let rows = self.rows(column);
        if screened.policy == Policy::Error
            && let Some(&row) = rows.kept.iter().find(|&&row| rows.is_absent(row))
        {
            return Err(Error::Null { column: screened.name.clone(), row: self.first + row as u64 });
        }
        let Column::Real { width, values, .. } = &raw.columns()[screened.place] else { return Ok(()) };
        if any(values, f64::is_infinite) {
            let infinite = |row: usize| values[row * width..(row + 1) * width].iter().any(|v| v.is_infinite());
            if let Some(&row) = rows.kept.iter().find(|&&row| !rows.is_absent(row) && infinite(row)) {
                return Err(rows.invalid(row, "the value is infinite".into()));
            }
        }
        Ok(())
    }

    /// The kept rows of the piece.
    pub fn rows(&self, column: usize) -> Rows<'_> {
        let Screened { name, absent, .. } = &self.columns[column];
        Rows { kept: &self.kept, absent, first: self.first, name }
    }

    /// How many rows of the piece are kept.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Rows of the epoch that were looked at.
    pub fn passed(&self) -> u64 {
        self.next
    }

    /// Goes to a row of an epoch.
    pub fn seek(&mut self, row: u64) {
        self.next = row;
    }

    pub fn columns(&self) -> &[Screened] {
        &self.columns
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.next += other.next;
        for (ours, theirs) in self.columns.iter_mut().zip(&other.columns) {
            ours.missing += theirs.missing;
            ours.dropped += theirs.dropped;
        }
    }
}

/// Whether any number is so; without a branch for each, where most often none is.
fn any(numbers: &[f64], is_so: impl Fn(f64) -> bool) -> bool {
    numbers.chunks(256).any(|numbers| numbers.iter().fold(false, |any, &number| any | is_so(number)))
}
