/// What becomes of the old values of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// They are not read.
    Overwrite,
    /// The result is added to them.
    Add,
}
