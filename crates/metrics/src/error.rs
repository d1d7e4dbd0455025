/// What can be wrong with rows, with settings, or with a saved state.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that makes no sense.
    #[error("{of}: {setting} is {found}, expected {expected}")]
    Setting {
        /// What is being built.
        of: &'static str,
        /// Its setting.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Parts of the rows that do not belong together.
    #[error("rows: {part} has {found} numbers, expected {expected}")]
    Length {
        /// The part: predictions, target, losses or weights.
        part: &'static str,
        /// How many numbers fit the rest.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// A row weight that is negative or not finite.
    #[error("rows: the weight of row {row} is {found}; weights are finite and not negative")]
    Weight {
        /// The row, counted from the first given.
        row: usize,
        /// Its weight.
        found: f64,
    },
    /// Rows that this metric cannot score.
    #[error("metric {metric} expects {expected}, found {found}")]
    Unsuitable {
        /// The metric.
        metric: String,
        /// What it can score.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A label that no class has.
    #[error("metric {metric}: the label of row {row} is {found}, expected {expected}")]
    Label {
        /// The metric.
        metric: String,
        /// The row, counted from the first given.
        row: usize,
        /// Labels that exist.
        expected: String,
        /// The label.
        found: f64,
    },
    /// A prediction without a class or rank.
    #[error("metric {metric}: a prediction in row {row} is not a number")]
    NotANumber {
        /// The metric.
        metric: String,
        /// The row, counted from the first given.
        row: usize,
    },
    /// A saved state that is not one of this metric or detector with these settings.
    #[error("state of {of}: {problem}")]
    State {
        /// The metric or detector.
        of: String,
        /// What is wrong.
        problem: String,
    },
}
