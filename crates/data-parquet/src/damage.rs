//! What is left out of broken files, where that was asked for.

use std::fmt;

use tidemill_data::Error;

use crate::error::{FileError, Place};

/// What to do with files, and row groups of files, that are broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// They are errors.
    #[default]
    Error,
    /// They are left out, and told of in a [`DamageReport`]: a whole file where it cannot be opened as Parquet, or a
    /// whole row group where any chosen column of it cannot be decoded from the first row to the last.
    Skip,
}

impl OnDamage {
    /// What there is to tell where the error is of damage that may be left out, otherwise the error.
    pub(crate) fn excuse(self, error: Error, rows: Option<u64>) -> Result<Damage, Error> {
        let Error::Other(other) = error else { return Err(error) };
        match (self, other.downcast::<FileError>()) {
            (Self::Skip, Ok(error)) => match *error {
                FileError::NotParquet { path, problem } => Ok(Damage { place: Place::file(&path), problem, rows }),
                FileError::Damaged { place, problem } => Ok(Damage { place, problem, rows }),
                other => Err(other.into()),
            },
            (Self::Error, Ok(error)) => Err((*error).into()),
            (_, Err(other)) => Err(Error::Other(other)),
        }
    }
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file; where it is a row group that was left out, that, and the column that is broken where that is known.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
    /// How many rows were left out with it, where the file tells.
    pub rows: Option<u64>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            Some(rows) => write!(f, "{}: {rows} rows left out: {}", self.place, self.problem),
            None => write!(f, "{}: left out: {}", self.place, self.problem),
        }
    }
}

/// All that was left out of a source; from [`ParquetSource::damage`](crate::ParquetSource::damage).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DamageReport {
    /// Files of which nothing is read.
    pub files: u64,
    /// Row groups that are left out of other files.
    pub row_groups: u64,
    /// Rows that were left out, as far as is known.
    pub rows: u64,
    /// Files and row groups of which it is not known how many rows they had.
    pub of_unknown_rows: u64,
    /// The first [`LISTED`](Self::LISTED) of them: what shows in files as they are opened, then what shows in rows.
    pub listed: Vec<Damage>,
}

impl DamageReport {
    /// How many entries are kept; the others are counted alone.
    pub const LISTED: usize = 100;

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.files == 0 && self.row_groups == 0
    }

    /// Adds the row groups of another report of the same files. What could not be opened is in both.
    pub(crate) fn add_row_groups(&mut self, other: &Self) {
        self.row_groups += other.row_groups;
        self.rows = self.rows.saturating_add(other.rows);
        self.of_unknown_rows += other.of_unknown_rows.saturating_sub(other.files);
        let room = Self::LISTED.saturating_sub(self.listed.len());
        let row_groups = other.listed.iter().filter(|damage| damage.place.row_group.is_some());
        self.listed.extend(row_groups.take(room).cloned());
    }

    pub(crate) fn add(&mut self, damage: Damage) {
        let counted = if damage.place.row_group.is_some() { &mut self.row_groups } else { &mut self.files };
        *counted += 1;
        match damage.rows {
            Some(rows) => self.rows = self.rows.saturating_add(rows),
            None => self.of_unknown_rows += 1,
        }
        if self.listed.len() < Self::LISTED {
            self.listed.push(damage);
        }
    }
}

impl fmt::Display for DamageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "nothing was left out");
        }
        write!(f, "left out: {} files, {} row groups of others, {} rows", self.files, self.row_groups, self.rows)?;
        if self.of_unknown_rows > 0 {
            write!(f, " and those of {} that do not tell", self.of_unknown_rows)?;
        }
        for damage in &self.listed {
            write!(f, "\n{damage}")?;
        }
        let others = self.files + self.row_groups - self.listed.len() as u64;
        if others > 0 { write!(f, "\nand {others} others") } else { Ok(()) }
    }
}
