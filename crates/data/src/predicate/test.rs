use tidemill_tensor::Scalar;

use super::{Comparison, Node, Predicate, Value};
use crate::{Batch, Column, Error, Kind, Schema};

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
        Node::Compare { column, comparison, value } => match (find(schema, column, Some(value))?, value) {
            (column, &Value::Number(number)) => Step::Number { column, comparison: *comparison, number },
            (column, Value::Text(text)) => {
                Step::Text { column, comparison: *comparison, text: text.as_bytes().to_vec() }
            }
        },
        Node::In { column, values } => {
            let column = find(schema, column, values.first())?;
            let (mut numbers, mut texts) = (Vec::new(), Vec::new());
            for value in values {
                match value {
                    Value::Number(number) => numbers.push(*number + 0.0),
                    Value::Text(text) => texts.push(text.as_bytes().to_vec()),
                }
            }
            numbers.sort_by(f64::total_cmp);
            texts.sort();
            if texts.is_empty() { Step::Numbers { column, numbers } } else { Step::Texts { column, texts } }
        }
        Node::IsNull { column } => Step::IsNull { column: find(schema, column, None)? },
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

/// The place of a column that can be compared with such a value.
fn find(schema: &Schema, column: &str, value: Option<&Value>) -> Result<usize, Error> {
    let place = schema.position(column).ok_or_else(|| Error::MissingColumn {
        source_name: "condition".into(),
        column: column.into(),
        available: schema.names(),
    })?;
    let kind = &schema.fields[place].kind;
    let expected = match (kind, value) {
        (Kind::Real { width: 2.. }, _) => "one number or text a row",
        (Kind::Text, Some(Value::Number(_))) => "a number to compare with a number",
        (Kind::Real { .. } | Kind::Index { .. }, Some(Value::Text(_))) => "a text to compare with a text",
        _ => return Ok(place),
    };
    Err(Error::WrongType {
        source_name: "condition".into(),
        column: column.into(),
        expected: expected.into(),
        found: kind.to_string(),
    })
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
