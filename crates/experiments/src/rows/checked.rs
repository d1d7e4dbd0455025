use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tidemill::data::{Batch, Column, Cursor, Error, Interrupt, MemoryPlan, Number, Schema};
use tidemill::prelude::*;

use super::{Known, Targets};
use crate::columns::{Unseen, value_of};

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
    /// Numbers as texts with all their digits, and which of those met so far are among them.
    Numbers {
        texts: HashSet<String>,
        met: HashMap<Number, bool>,
    },
    Texts(HashSet<Box<str>>),
}

/// Most numbers that are remembered to be none of those known.
const MET: usize = 1 << 16;

impl<S: Source<f64>> Checked<S> {
    pub fn new(inner: S, name: String, filtered: bool, targets: Option<(&Targets, &Encoder)>) -> Result<Self, Error> {
        let check = targets.and_then(|(targets, encoder)| Check::new(inner.schema(), targets, encoder));
        Ok(Self { inner, name, filtered, check, row: 0 })
    }

    /// Goes over the last rows of a batch.
    fn screen(&mut self, columns: &mut [Column<f64>], start: usize) -> Result<(), Error> {
        for column in &mut *columns {
            if let Column::Real { width, values, .. } = column {
                let new = &mut values[start * *width..];
                if new.iter().fold(false, |any, value| any | value.is_infinite()) {
                    new.iter_mut().filter(|value| value.is_infinite()).for_each(|value| *value = f64::NAN);
                }
            }
        }
        let Some(check) = &mut self.check else { return Ok(()) };
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
            let rows = rows_of(column);
            match column {
                Column::Real { values, nulls, .. } => {
                    values[row] = 0.0;
                    nulls.extend_mut(row, rows - row)[0] = true;
                }
                Column::Text { nulls, .. } => nulls.extend_mut(row, rows - row)[0] = true,
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
        let numbers = |texts: Vec<String>| Set::Numbers { texts: texts.into_iter().collect(), met: HashMap::new() };
        let known = match &targets.known {
            Known::All => return None,
            Known::Numbers(two) => numbers(two.to_vec()),
            Known::Classes if targets.unseen == Unseen::Error => return None,
            Known::Classes if is_text => Set::Texts(encoder.classes()?.into_iter().map(String::into).collect()),
            Known::Classes => numbers(encoder.classes()?),
        };
        Some(Self { place, column: targets.column.clone(), known, unseen: targets.unseen })
    }
}

impl Set {
    /// Whether the value of a row is known, or missing.
    fn has(&mut self, column: &Column<f64>, row: usize) -> bool {
        match self {
            Self::Texts(texts) => match column {
                Column::Text { .. } => column.text(row).is_none_or(|text| texts.contains(text)),
                _ => true,
            },
            Self::Numbers { texts, met } => {
                let Some(number) = column.number(row) else { return true };
                if met.len() > MET {
                    met.clear();
                }
                *met.entry(number).or_insert_with(|| texts.contains(&number.to_string()))
            }
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
