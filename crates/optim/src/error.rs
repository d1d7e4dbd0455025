/// What can be wrong with an optimizer's declaration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A hyper-parameter lies outside its domain.
    #[error("{owner}: {name} is {value}, expected {expected}")]
    HyperParameter {
        /// The transform, optimizer or schedule.
        owner: String,
        /// The hyper-parameter.
        name: &'static str,
        /// What it was.
        value: f64,
        /// Its domain.
        expected: String,
    },
    /// A selection's pattern fits no parameter's name.
    #[error("{owner}: no parameter matches {pattern:?}; the parameters are {parameters}")]
    NoMatch {
        /// The transform that was to be restricted.
        owner: String,
        /// The pattern.
        pattern: String,
        /// The names that there are.
        parameters: String,
    },
    /// Selections that exclude each other.
    #[error("{owner}: its selections ({selections}) leave no parameter over")]
    EmptySelection {
        /// The transform that was to be restricted.
        owner: String,
        /// All selections on it.
        selections: String,
    },
    /// No transform sets a learning rate, so no parameter would move.
    #[error("the chain sets no learning rate; end it with learning_rate(...) or use an optimizer such as sgd(...)")]
    NoLearningRate,
    /// A table that is not one of the parameters, cut into rows.
    #[error("a table of rows of {width} at elements {start} to {end}, where no parameter of such rows lies")]
    NoTable {
        /// Where the table was said to begin.
        start: usize,
        /// Where it was said to end.
        end: usize,
        /// Elements of a row.
        width: usize,
    },
    /// Two transforms set the learning rate of one parameter.
    #[error("parameter {parameter} gets a learning rate from both {first} and {second}; restrict one with only(...)")]
    TwoLearningRates {
        /// The parameter.
        parameter: String,
        /// The earlier transform.
        first: String,
        /// The later transform.
        second: String,
    },
}

/// Whether a hyper-parameter `holds` what is `expected` of it; the error otherwise.
pub(crate) fn expect(
    owner: &str,
    name: &'static str,
    value: f64,
    holds: bool,
    expected: impl Into<String>,
) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::HyperParameter { owner: owner.to_owned(), name, value, expected: expected.into() })
}

/// `0 <= value < 1`.
pub(crate) fn unit(owner: &str, name: &'static str, value: f64) -> Result<(), Error> {
    expect(owner, name, value, (0.0..1.0).contains(&value), format!("0 <= {name} < 1"))
}

/// `value > 0`, finite.
pub(crate) fn positive(owner: &str, name: &'static str, value: f64) -> Result<(), Error> {
    expect(owner, name, value, value > 0.0 && value.is_finite(), format!("{name} > 0"))
}

/// `value >= 0`, finite.
pub(crate) fn not_negative(owner: &str, name: &'static str, value: f64) -> Result<(), Error> {
    expect(owner, name, value, value >= 0.0 && value.is_finite(), format!("{name} >= 0"))
}

/// A count of at least one.
pub(crate) fn at_least_one(owner: &str, name: &'static str, value: u64) -> Result<(), Error> {
    expect(owner, name, value as f64, value >= 1, format!("{name} >= 1"))
}
