use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tidemill::data::{Batch, Column, Cursor, Error, Interrupt, MemoryPlan, Schema};
use tidemill::prelude::*;

use super::{Known, Targets};
use crate::columns::{Unseen, Value, value_of};

/// Rows whose infinite numbers are missing, and whose targets are among those known.
pub(super) struct Checked<S> {
    inner: S,
    name: String,
    filtered: bool,
    check: Option<Check>,
    /// The next row.
    row: u64,
}

struct Check {
    place: usize,
    column: String,
    known: Set,
    unseen: Unseen,
}

enum Set {
    Two([f64; 2]),
    Numbers(HashSet<Value>),
    Texts(HashSet<Box<str>>),
}

impl<S: Source<f64>> Checked<S> {
    pub fn new(
        inner: S,
        name: String,
        filtered: bool,
        targets: Option<(&Targets, &Encoder)>,
    ) -> Result<Self, Error> {
        let check = targets.and_then(|(targets, encoder)| Check::new(inner.schema(), targets, encoder));
        Ok(Self { inner, name, filtered, check, row: 0 })
    }

    /// Goes over the last rows of a batch.
    fn screen(&self, columns: &mut [Column<f64>], start: usize) -> Result<(), Error> {
        for column in &mut *columns {
            if let Column::Real { width, values, .. } = column {
                let new = &mut values[start * *width..];
                if new.iter().fold(false, |any, value| any | value.is_infinite()) {
                    new.iter_mut().filter(|value| value.is_infinite()).for_each(|value| *value = f64::NAN);
                }
            }
        }
        let Some(check) = &self.check else { return Ok(()) };
        let column = &mut columns[check.place];
        for row in start..rows_of(column) {
            if check.known.has(column, row) {
                continue;
            }
            if check.unseen == Unseen::Error {
                let Some(value) = value_of(column, row) else { continue };
                let at = self.row + (row - start) as u64;
                let of = if self.filtered { " of those that meet the condition" } else { "" };
                let what = format!("{}: column {}, row {at}{of}", self.name, check.column);
                let problem = format!("{value} is none of the values trained on; --unseen skip leaves such rows out");
                return Err(Error::invalid(what, problem));
            }
            match column {
                Column::Real { values, .. } => values[row] = f64::NAN,
                Column::Text { ends, nulls, .. } => {
                    let rows = ends.len();
                    nulls.extend_mut(row, rows - row)[0] = true;
                }
                Column::Index { .. } => {}
            }
        }
        Ok(())
    }
}

impl Check {
    /// None where every value will do, or where the encoder itself refuses those that will not.
    fn new(schema: &Schema, targets: &Targets, encoder: &Encoder) -> Option<Self> {
        let place = schema.position(&targets.column)?;
        let is_text = schema.fields[place].kind == tidemill::data::Kind::Text;
        let known = match targets.known {
            Known::All => return None,
            Known::Numbers(numbers) => Set::Two(numbers),
            Known::Classes if targets.unseen == Unseen::Error => return None,
            Known::Classes if is_text => Set::Texts(encoder.classes()?.into_iter().map(String::into).collect()),
            Known::Classes => {
                let numbers = encoder.classes()?;
                Set::Numbers(numbers.iter().filter_map(|name| name.parse().ok()).map(Value::number).collect())
            }
        };
        Some(Self { place, column: targets.column.clone(), known, unseen: targets.unseen })
    }
}

impl Set {
    /// Whether the value of a row is known, or missing.
    fn has(&self, column: &Column<f64>, row: usize) -> bool {
        match (self, column) {
            (Self::Two([low, high]), Column::Real { values, nulls, .. }) => {
                let value = values[row];
                value == *low || value == *high || value.is_nan() || nulls.is_null(row)
            }
            (Self::Texts(texts), Column::Text { .. }) => column.text(row).is_none_or(|text| texts.contains(text)),
            (Self::Numbers(numbers), _) => value_of(column, row).is_none_or(|value| numbers.contains(&value)),
            _ => true,
        }
    }
}

fn rows_of(column: &Column<f64>) -> usize {
    match column {
        Column::Real { width, values, .. } => values.len() / width,
        Column::Index { values } => values.len(),
        Column::Text { ends, .. } => ends.len(),
    }
}

impl<S: Source<f64>> Source<f64> for Checked<S> {
    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    fn fill(&mut self, batch: &mut Batch<f64>, rows: usize) -> Result<usize, Error> {
        let before = batch.rows();
        let n = self.inner.fill(batch, rows)?;
        batch.append(0, |columns| self.screen(columns, before))?;
        self.row += n as u64;
        Ok(n)
    }

    fn cursor(&self) -> Cursor {
        let inner = self.inner.cursor();
        if self.row == 0 && inner.is_start() { inner } else { inner.push(self.row) }
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let (row, below) = cursor.pop().unwrap_or((0, cursor));
        self.inner.seek(below)?;
        self.row = row;
        Ok(())
    }

    fn rows(&self) -> Option<u64> {
        self.inner.rows()
    }

    fn skip(&mut self, rows: u64) -> Result<u64, Error> {
        let passed = self.inner.skip(rows)?;
        self.row += passed;
        Ok(passed)
    }

    fn memory_plan(&self) -> MemoryPlan {
        self.inner.memory_plan()
    }

    fn limit(&mut self, bytes: u64) -> Result<(), Error> {
        self.inner.limit(bytes)
    }

    fn watch(&mut self, interrupt: &Interrupt) {
        self.inner.watch(interrupt);
    }

    fn blocked(&self) -> Duration {
        self.inner.blocked()
    }
}
