use std::ops::Range;

use tidemill_autograd::tensor::Scalar;
use tidemill_autograd::{Domain, Graph, Input, Inputs, Program, Role};
use tidemill_data::{Batch, Kind, Role as ColumnRole, Schema};

use crate::Error;

/// Which column of a batch feeds which input of a program.
///
/// Features and targets are matched by name; a target that is called [`Graph::TARGET`] is the column whose role it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    columns: Vec<Option<usize>>,
    widths: Vec<usize>,
}

/// Whether a run needs the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Features and target: training and evaluation.
    Target,
    /// Features alone: prediction.
    Features,
}

impl Binding {
    /// Matches the program's inputs with a source's columns.
    ///
    /// # Errors
    ///
    /// When a column is missing or of another kind or width than the input, by name.
    pub fn new<T: Scalar>(program: &Program<T>, schema: &Schema, need: Need) -> Result<Self, Error> {
        let mut columns = Vec::new();
        for input in program.inputs() {
            let column = match input.role {
                Role::Feature => schema.position(&input.name),
                Role::Target if input.name == Graph::TARGET => schema.role(ColumnRole::Target),
                Role::Target => schema.position(&input.name),
            };
            let column = match (column, input.role, need) {
                (_, Role::Target, Need::Features) => None,
                (Some(column), ..) => {
                    fits(input, schema, column)?;
                    Some(column)
                }
                (None, ..) => return Err(missing(input, schema)),
            };
            columns.push(column);
        }
        Ok(Self { columns, widths: program.inputs().iter().map(Input::width).collect() })
    }

    /// The column that feeds an input.
    pub fn column(&self, input: usize) -> Option<usize> {
        self.columns[input]
    }
}

fn missing(input: &Input, schema: &Schema) -> Error {
    let what = match input.role {
        Role::Feature => format!("the model's input {}", input.name),
        Role::Target if input.name == Graph::TARGET => "the model's target".to_owned(),
        Role::Target => format!("the model's target {}", input.name),
    };
    Error::Data(tidemill_data::Error::invalid(
        what,
        format_args!("the source has no such column, only {}", schema.names()),
    ))
}

fn fits(input: &Input, schema: &Schema, column: usize) -> Result<(), Error> {
    let field = &schema.fields[column];
    let wrong = |expected: String| {
        let problem =
            format!("column {} is {}, the model's input {} expects {expected}", field.name, field.kind, input.name);
        Err(Error::Data(tidemill_data::Error::invalid("source", problem)))
    };
    if field.nullable {
        let problem = format!("column {} may hold nulls; encode it with a policy for missing values", field.name);
        return Err(Error::Data(tidemill_data::Error::invalid("source", problem)));
    }
    match (input.domain, &field.kind) {
        (Domain::Real, Kind::Real { width }) if *width == input.width() => Ok(()),
        (Domain::Real, _) => wrong(format!("real [{}]", input.width())),
        (Domain::Index { cardinality }, Kind::Index { cardinality: given })
            if *given <= cardinality && input.width() == 1 =>
        {
            Ok(())
        }
        (Domain::Index { cardinality }, _) => wrong(format!("an index below {cardinality}")),
    }
}

/// Some rows of a batch, as a program's inputs.
pub(crate) struct BoundRows<'a, T> {
    pub(crate) binding: &'a Binding,
    pub(crate) batch: &'a Batch<T>,
    pub(crate) rows: Range<usize>,
}

impl<T: Scalar> Inputs<T> for BoundRows<'_, T> {
    fn reals(&self, input: usize) -> &[T] {
        let column = self.binding.columns[input].expect("a bound input");
        let width = self.binding.widths[input];
        &self.batch.reals(column)[self.rows.start * width..self.rows.end * width]
    }

    fn indices(&self, input: usize) -> &[u32] {
        let column = self.binding.columns[input].expect("a bound input");
        &self.batch.indices(column)[self.rows.clone()]
    }
}
