//! The rows of a step as engines get them: checked, and without those of weight zero.

use std::ops::Range;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Domain, Program, Role};
use tidemill_data::{Batch, Role as ColumnRole, Schema};

use crate::binding::{Binding, Need};
use crate::engine::ReadRows;
use crate::{Error, Sums};

/// A batch that is filled, checked and rid of its weightless rows, in memory that is used again.
pub(crate) struct StepRows<T> {
    batch: Batch<T>,
    /// What the other rows are copied to where some are left out.
    spare: Batch<T>,
    checks: Checks,
    /// Rows that were read.
    read: usize,
    /// Those of them that are in the batch, where some are not.
    kept: Vec<usize>,
}

impl<T: Scalar> StepRows<T> {
    pub(crate) fn new(program: &Program<T>, schema: &std::sync::Arc<Schema>, binding: &Binding, need: Need) -> Self {
        Self {
            batch: Batch::new(schema.clone()),
            spare: Batch::new(schema.clone()),
            checks: Checks::new(program, schema, binding, need),
            read: 0,
            kept: Vec::new(),
        }
    }

    /// What is to be filled before [`admit`](StepRows::admit).
    pub(crate) fn filling(&mut self) -> &mut Batch<T> {
        self.clear();
        &mut self.batch
    }

    pub(crate) fn clear(&mut self) {
        self.batch.clear();
        self.read = 0;
    }

    /// The rows that count, after [`admit`](StepRows::admit).
    pub(crate) fn batch(&self) -> &Batch<T> {
        &self.batch
    }

    /// How many rows were read, weightless ones too.
    pub(crate) fn read(&self) -> usize {
        self.read
    }

    /// The place that a row of the batch had among those that were read.
    pub(crate) fn place(&self, row: usize) -> usize {
        if self.batch.rows() < self.read { self.kept[row] } else { row }
    }

    /// Which of the rows that were read are in the batch.
    pub(crate) fn read_rows(&self) -> ReadRows<'_> {
        ReadRows { count: self.read, kept: (self.batch.rows() < self.read).then_some(&self.kept) }
    }

    /// Checks the rows that were filled in, of which the first is number `first_row` of its epoch, and leaves out those
    /// of weight zero, unchecked. `Checked::Before` says that they have been checked where they lie.
    pub(crate) fn admit(&mut self, first_row: u64, checked: Checked) -> Result<(), Error> {
        self.read = self.batch.rows();
        if checked == Checked::Now {
            self.checks.weights(&self.batch, first_row)?;
        }
        if let Some(column) = self.checks.weight {
            if self.kept.capacity() < self.read {
                // So that the first rows of weight zero, whenever they come, allocate nothing.
                self.kept.reserve(self.read);
                self.spare.clear();
                self.spare.push_rows(&self.batch, 0..self.read);
            }
            let weights = self.batch.reals(column);
            if weights.iter().fold(false, |any, &weight| any | (weight == T::zero())) {
                self.kept.clear();
                self.kept.extend((0..weights.len()).filter(|&row| weights[row] != T::zero()));
                self.spare.clear();
                self.spare.gather(&self.batch, &self.kept);
                std::mem::swap(&mut self.batch, &mut self.spare);
            }
        }
        match checked {
            Checked::Now => self.checks.values(&self.batch, |row| first_row + self.place(row) as u64),
            Checked::Before => Ok(()),
        }
    }

    /// The sums of a gradient or an evaluation of the rows that count, as those of the rows that were read as `read`.
    pub(crate) fn sums_of(sums: Sums, read: Range<usize>) -> Sums {
        Sums { rows: read.len() as u64, ..sums }
    }
}

/// Checks rows that lie in memory, all at once; those of weight zero may be anything.
pub(crate) fn check_in_memory<T: Scalar>(program: &Program<T>, rows: &Batch<T>) -> Result<(), Error> {
    let binding = Binding::new(program, rows.schema(), Need::Target)?;
    let checks = Checks::new(program, rows.schema(), &binding, Need::Target);
    checks.weights(rows, 0)?;
    checks.values(rows, |row| row as u64)
}

/// Whether rows have been checked already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Before,
    Now,
}

/// What is checked of every row, because no one else answers for it.
struct Checks {
    weight: Option<usize>,
    targets: Vec<RealCheck>,
    indices: Vec<IndexCheck>,
}

/// The numbers of a target.
struct RealCheck {
    column: usize,
    width: usize,
    loss: &'static str,
    least: f64,
    most: f64,
}

/// The categories of an input.
struct IndexCheck {
    column: usize,
    cardinality: u32,
    /// Whose they are: a loss, or an input of the model.
    what: String,
    /// What they are called.
    called: &'static str,
}

impl Checks {
    fn new<T: Scalar>(program: &Program<T>, schema: &Schema, binding: &Binding, need: Need) -> Self {
        let (mut targets, mut indices) = (Vec::new(), Vec::new());
        for (number, input) in program.inputs().iter().enumerate() {
            let Some(column) = binding.column(number) else { continue };
            let loss = program.target_checks().iter().find(|check| check.input == number);
            match input.domain {
                Domain::Index { cardinality } => {
                    let (what, called) = match input.role {
                        Role::Feature => (format!("the model's input {}", input.name), "category"),
                        Role::Target => (loss.map_or("the model's target", |check| check.loss).to_owned(), "class"),
                    };
                    indices.push(IndexCheck { column, cardinality, what, called });
                }
                Domain::Real => {
                    let checks = program.target_checks().iter().filter(|check| check.input == number);
                    targets.extend(checks.map(|check| RealCheck {
                        column,
                        width: input.width(),
                        loss: check.loss,
                        least: *check.range.start(),
                        most: *check.range.end(),
                    }));
                }
            }
        }
        let weight = schema.role(ColumnRole::Weight).filter(|_| need == Need::Target);
        Self { weight, targets, indices }
    }

    fn weights<T: Scalar>(&self, batch: &Batch<T>, first_row: u64) -> Result<(), Error> {
        let Some(column) = self.weight else { return Ok(()) };
        let weights = batch.reals(column);
        let is_wrong = |weight: T| !(weight >= T::zero() && weight <= T::max_value());
        if !weights.iter().fold(false, |any, &weight| any | is_wrong(weight)) {
            return Ok(());
        }
        let row = weights.iter().position(|&weight| is_wrong(weight)).expect("one was found");
        Err(Error::Value {
            what: "row weights".into(),
            column: batch.schema().fields[column].name.clone(),
            row: first_row + row as u64,
            value: weights[row].to_string(),
            expected: "a finite number from zero".into(),
        })
    }

    /// `number` gives the number that a row of the batch has where it comes from.
    fn values<T: Scalar>(&self, batch: &Batch<T>, number: impl Fn(usize) -> u64) -> Result<(), Error> {
        let counts = |row: usize| self.weight.is_none_or(|column| batch.reals(column)[row] > T::zero());
        for check in &self.targets {
            let values = batch.reals(check.column);
            // The bounds of f64 are infinite in f32.
            let (least, most) = (T::of(check.least).max(T::min_value()), T::of(check.most).min(T::max_value()));
            let is_wrong = |value: T| !(value >= least && value <= most);
            if !values.iter().fold(false, |any, &value| any | is_wrong(value)) {
                continue;
            }
            let found = values.iter().enumerate().find(|&(i, &value)| is_wrong(value) && counts(i / check.width));
            if let Some((i, value)) = found {
                let name = &batch.schema().fields[check.column].name;
                let column = if check.width > 1 { format!("{name}[{}]", i % check.width) } else { name.clone() };
                let (row, value) = (number(i / check.width), value.to_string());
                return Err(Error::Value { what: check.loss.into(), column, row, value, expected: check.expected() });
            }
        }
        for check in &self.indices {
            let values = batch.indices(check.column);
            if values.iter().fold(0, |most, &value| most.max(value)) < check.cardinality {
                continue;
            }
            let found = values.iter().enumerate().find(|&(row, &value)| value >= check.cardinality && counts(row));
            if let Some((row, value)) = found {
                return Err(Error::Value {
                    what: check.what.clone(),
                    column: batch.schema().fields[check.column].name.clone(),
                    row: number(row),
                    value: value.to_string(),
                    expected: format!("a {} below {}", check.called, check.cardinality),
                });
            }
        }
        Ok(())
    }
}

impl RealCheck {
    fn expected(&self) -> String {
        match (self.least, self.most) {
            (f64::MIN, f64::MAX) => "a finite number".into(),
            (0.0, 1.0) => "a number from 0 to 1 (two classes are encoded as 0 and 1)".into(),
            (least, f64::MAX) => format!("a finite number from {least}"),
            (f64::MIN, most) => format!("a finite number up to {most}"),
            (least, most) => format!("a number from {least} to {most}"),
        }
    }
}
