use tidemill_tensor::Scalar;

use super::operand::{Compared, Operand, Quantity, compared, operand};
use super::{Comparison, Node, Predicate, Value};
use crate::number::quotient;
use crate::{Batch, Column, Error, Kind, Numbers, Schema, Unit};

/// A condition made ready for the rows of a schema; made by [`Predicate::bind`].
#[derive(Clone, Debug)]
pub struct RowTest {
    /// Steps of a stack machine whose values are those of a whole batch.
    steps: Vec<Step>,
    /// Of each row: false, unknown or true. So `and` is the least, `or` the greatest.
    stack: Vec<Vec<u8>>,
}

const FALSE: u8 = 0;
const UNKNOWN: u8 = 1;
const TRUE: u8 = 2;

#[derive(Clone, Debug)]
enum Step {
    Number {
        column: usize,
        comparison: Comparison,
        number: f64,
    },
    /// Of whole numbers and decimals, by their digits.
    Digits {
        column: usize,
        comparison: Comparison,
        digits: i128,
        scale: i8,
    },
    /// Sorted; of such numbers as well.
    SomeDigits {
        column: usize,
        digits: Vec<i128>,
    },
    Text {
        column: usize,
        comparison: Comparison,
        text: Vec<u8>,
    },
    /// Sorted.
    Numbers {
        column: usize,
        numbers: Vec<f64>,
    },
    Texts {
        column: usize,
        texts: Vec<Vec<u8>>,
    },
    IsNull {
        column: usize,
    },
    Not,
    And(usize),
    Or(usize),
}

impl Predicate {
    /// Makes the condition ready for the rows of a schema.
    ///
    /// # Errors
    ///
    /// When it reads a column that is missing, or compares numbers with texts.
    pub fn bind(&self, schema: &Schema) -> Result<RowTest, Error> {
        let mut steps = Vec::new();
        compile(&self.0, schema, &mut steps)?;
        Ok(RowTest { steps, stack: Vec::new() })
    }
}

fn compile(node: &Node, schema: &Schema, steps: &mut Vec<Step>) -> Result<(), Error> {
    let step = match node {
        Node::Compare { column, comparison, value } => {
            let found = find(schema, column, Some(value))?;
            let (column, comparison) = (found.column, *comparison);
            match (found.operand(value)?, found.scale()) {
                (Operand::Text(text), _) => Step::Text { column, comparison, text: text.as_bytes().to_vec() },
                (Operand::Number(number), None) => Step::Number { column, comparison, number: number.to_f64() },
                (Operand::Number(number), Some(scale)) => match compared(comparison, number.at(scale)) {
                    Compared::With(comparison, digits) => Step::Digits { column, comparison, digits, scale },
                    Compared::Always(holds) => {
                        steps.push(Step::SomeDigits { column, digits: Vec::new() });
                        if !holds {
                            return Ok(());
                        }
                        Step::Not
                    }
                },
            }
        }
        Node::In { column, values } => {
            let found = find(schema, column, values.first())?;
            let column = found.column;
            let (mut numbers, mut texts) = (Vec::<Quantity>::new(), Vec::new());
            for value in values {
                match found.operand(value)? {
                    Operand::Number(number) => numbers.push(number),
                    Operand::Text(text) => texts.push(text.as_bytes().to_vec()),
                }
            }
            texts.sort();
            match found.scale() {
                _ if !texts.is_empty() => Step::Texts { column, texts },
                Some(scale) => {
                    let bounds = numbers.iter().map(|number| number.at(scale));
                    let mut digits: Vec<_> = bounds.filter(|b| b.is_exact).map(|b| b.floor).collect();
                    digits.sort_unstable();
                    Step::SomeDigits { column, digits }
                }
                None => {
                    let mut numbers: Vec<f64> = numbers.iter().map(|number| number.to_f64() + 0.0).collect();
                    numbers.sort_by(f64::total_cmp);
                    Step::Numbers { column, numbers }
                }
            }
        }
        Node::IsNull { column } => Step::IsNull { column: find(schema, column, None)?.column },
        Node::Not(node) => {
            compile(node, schema, steps)?;
            Step::Not
        }
        Node::And(nodes) | Node::Or(nodes) => {
            nodes.iter().try_for_each(|node| compile(node, schema, steps))?;
            if matches!(node, Node::And(_)) { Step::And(nodes.len()) } else { Step::Or(nodes.len()) }
        }
    };
    steps.push(step);
    Ok(())
}

/// A column that can be compared.
struct Found<'a> {
    column: usize,
    name: &'a str,
    kind: &'a Kind,
    numbers: Numbers,
    unit: Unit,
}

impl<'a> Found<'a> {
    /// Digits behind the point, where the column's numbers have any number of digits.
    fn scale(&self) -> Option<i8> {
        self.numbers.scale()
    }

    fn operand<'v>(&self, value: &'v Value) -> Result<Operand<'v>, Error> {
        operand(value, self.unit).map_err(|expected| self.refuse(expected))
    }

    fn refuse(&self, expected: &str) -> Error {
        let found = match (self.unit, self.numbers) {
            (Unit::None, Numbers::Rounded) => self.numbers.to_string(),
            (Unit::None, _) => self.kind.to_string(),
            (unit, _) => unit.to_string(),
        };
        let (source_name, column) = ("condition".into(), self.name.into());
        Error::WrongType { source_name, column, expected: expected.into(), found }
    }
}

/// A column that can be compared with such a value.
fn find<'a>(schema: &'a Schema, name: &'a str, value: Option<&Value>) -> Result<Found<'a>, Error> {
    let column = schema.position(name).ok_or_else(|| Error::MissingColumn {
        source_name: "condition".into(),
        column: name.into(),
        available: schema.names(),
    })?;
    let field = &schema.fields[column];
    let numbers = if let Kind::Index { .. } = field.kind { Numbers::Unsigned { bits: 32 } } else { field.numbers };
    let found = Found { column, name, kind: &field.kind, numbers, unit: field.unit };
    let is_number = matches!(value, Some(Value::Number(_) | Value::Date { .. } | Value::Timestamp { .. }));
    let is_text = matches!(value, Some(Value::Text(_))) && field.unit == Unit::None;
    let expected = match &field.kind {
        Kind::Real { width: 2.. } => "one number or text a row",
        Kind::Text if is_number => "a number to compare with a number",
        Kind::Real { .. } | Kind::Index { .. } if is_text => "a text to compare with a text",
        Kind::Real { .. } if field.numbers == Numbers::Rounded && value.is_some() => "numbers of up to 38 digits",
        _ => return Ok(found),
    };
    Err(found.refuse(expected))
}

impl RowTest {
    /// Appends the places of the rows of a batch of that schema for which the condition is true.
    pub fn select<T: Scalar>(&mut self, batch: &Batch<T>, chosen: &mut Vec<usize>) {
        let mut top = 0;
        for step in &self.steps {
            match step {
                Step::Not => self.stack[top - 1].iter_mut().for_each(|truth| *truth = TRUE - *truth),
                Step::And(count) => top = join(&mut self.stack, top, *count, u8::min),
                Step::Or(count) => top = join(&mut self.stack, top, *count, u8::max),
                step => {
                    if top == self.stack.len() {
                        self.stack.push(Vec::new());
                    }
                    self.stack[top].clear();
                    evaluate(step, batch, &mut self.stack[top]);
                    top += 1;
                }
            }
        }
        let truths = self.stack[0].iter().enumerate();
        chosen.extend(truths.filter(|&(_, &truth)| truth == TRUE).map(|(row, _)| row));
    }
}

fn join(stack: &mut [Vec<u8>], top: usize, count: usize, join: impl Fn(u8, u8) -> u8) -> usize {
    let (below, above) = stack[..top].split_at_mut(top - count + 1);
    let into = &mut below[top - count];
    for other in above {
        into.iter_mut().zip(other.iter()).for_each(|(truth, &other)| *truth = join(*truth, other));
    }
    top - count + 1
}

fn truth(holds: bool) -> u8 {
    if holds { TRUE } else { FALSE }
}

fn evaluate<T: Scalar>(step: &Step, batch: &Batch<T>, out: &mut Vec<u8>) {
    match step {
        Step::Number { column, comparison, number } => {
            let number = *number;
            // One loop for each comparison.
            let mut each = |holds: fn(f64, f64) -> bool| numbers(&batch.columns()[*column], |x| holds(x, number), out);
            match comparison {
                Comparison::Equal => each(|a, b| a == b),
                Comparison::NotEqual => each(|a, b| a != b),
                Comparison::Less => each(|a, b| a < b),
                Comparison::LessOrEqual => each(|a, b| a <= b),
                Comparison::Greater => each(|a, b| a > b),
                Comparison::GreaterOrEqual => each(|a, b| a >= b),
            }
        }
        Step::Numbers { column, numbers: list } => {
            let is_in = |x: f64| list.binary_search_by(|number| number.total_cmp(&(x + 0.0))).is_ok();
            numbers(&batch.columns()[*column], is_in, out);
        }
        &Step::Digits { column, comparison, digits, scale } => {
            digits_compare(&batch.columns()[column], comparison, digits, scale, out);
        }
        Step::SomeDigits { column, digits } => {
            each_digits(&batch.columns()[*column], |found| digits.binary_search(&found).is_ok(), out);
        }
        Step::Text { column, comparison, text } => {
            texts(&batch.columns()[*column], |found| comparison.holds(found, text), out);
        }
        Step::Texts { column, texts: list } => {
            texts(&batch.columns()[*column], |found| list.binary_search_by(|t| (**t).cmp(found)).is_ok(), out);
        }
        Step::IsNull { column } => {
            match &batch.columns()[*column] {
                Column::Text { .. } => texts(&batch.columns()[*column], |_| false, out),
                column => numbers(column, |_| false, out),
            }
            out.iter_mut().for_each(|found| *found = truth(*found == UNKNOWN));
        }
        Step::Not | Step::And(_) | Step::Or(_) => {}
    }
}

/// Compares numbers by their digits.
fn digits_compare<T: Scalar>(column: &Column<T>, comparison: Comparison, bound: i128, scale: i8, out: &mut Vec<u8>) {
    if !matches!(column, Column::Real { digits, .. } if !digits.are_kept()) {
        return each_digits(column, |found| comparison.holds(found, bound), out);
    }
    // The scalar tells the column's numbers apart, and the bound is rounded as they are.
    let bound = T::of(quotient(bound, scale)).widen();
    let mut each = |holds: fn(f64, f64) -> bool| numbers(column, |x| holds(x, bound), out);
    match comparison {
        Comparison::Equal => each(|a, b| a == b),
        Comparison::NotEqual => each(|a, b| a != b),
        Comparison::Less => each(|a, b| a < b),
        Comparison::LessOrEqual => each(|a, b| a <= b),
        Comparison::Greater => each(|a, b| a > b),
        Comparison::GreaterOrEqual => each(|a, b| a >= b),
    }
}

fn each_digits<T: Scalar>(column: &Column<T>, holds: impl Fn(i128) -> bool, out: &mut Vec<u8>) {
    let Column::Real { values, nulls, digits, .. } = column else {
        if let Column::Index { values } = column {
            out.extend(values.iter().map(|&value| truth(holds(value.into()))));
        }
        return;
    };
    let row = |(row, value): (usize, &T)| {
        if nulls.is_null(row) { UNKNOWN } else { truth(holds(digits.of_row(row, value.widen()))) }
    };
    out.extend(values.iter().enumerate().map(row));
}

fn numbers<T: Scalar>(column: &Column<T>, holds: impl Fn(f64) -> bool, out: &mut Vec<u8>) {
    match column {
        Column::Real { values, nulls, .. } => {
            out.extend(values.iter().map(|value| {
                let value = value.widen();
                if value.is_nan() { UNKNOWN } else { truth(holds(value)) }
            }));
            if nulls.any() {
                let rows = out.iter_mut().enumerate();
                rows.for_each(|(row, found)| *found = if nulls.is_null(row) { UNKNOWN } else { *found });
            }
        }
        Column::Index { values } => out.extend(values.iter().map(|&value| truth(holds(f64::from(value))))),
        Column::Text { .. } => {}
    }
}

fn texts<T: Scalar>(column: &Column<T>, holds: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
    let Column::Text { ends, nulls, .. } = column else { return };
    let row = |row| if nulls.is_null(row) { UNKNOWN } else { truth(holds(column.text_row(row))) };
    out.extend((0..ends.len()).map(row));
}
