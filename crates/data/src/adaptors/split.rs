use std::ops::Range;

use tidemill_tensor::Key;

use crate::Error;

/// Which part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The part of the stated fraction.
    First,
    /// All else.
    Rest,
}

pub(super) fn check(fraction: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&fraction) {
        Ok(())
    } else {
        Err(Error::invalid("split", format!("the fraction {fraction} is not between 0 and 1")))
    }
}

pub(super) fn range(rows: u64, fraction: f64, side: Side) -> Range<u64> {
    let boundary = (rows as f64 * fraction).round() as u64;
    match side {
        Side::First => 0..boundary,
        Side::Rest => boundary..u64::MAX,
    }
}

/// Each row's side as a function of (seed, row).
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    key: Key,
    /// A row is first when its 32 random bits are below.
    boundary: u64,
    side: Side,
}

impl Hashed {
    pub(super) fn new(fraction: f64, seed: u64, side: Side) -> Self {
        Self { key: Key::new(seed), boundary: (fraction * 2_f64.powi(32)).round() as u64, side }
    }

    /// Those of the rows that are on this side.
    pub(super) fn rows_in(self, rows: Range<u64>) -> impl Iterator<Item = u64> {
        let mut bits = self.key.block(rows.start / 4);
        rows.filter(move |row| {
            if row % 4 == 0 {
                bits = self.key.block(row / 4);
            }
            (u64::from(bits[(row % 4) as usize]) < self.boundary) == (self.side == Side::First)
        })
    }
}
