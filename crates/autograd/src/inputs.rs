/// The rows of a run, by the number of the program's input.
pub trait Inputs<T> {
    /// The numbers of a real input, `[B, ...]`.
    fn reals(&self, input: usize) -> &[T];

    /// The categories of an index input, `[B, ...]`.
    fn indices(&self, input: usize) -> &[u32];
}

/// [`Inputs`] from slices, in the order of the program's inputs.
#[derive(Clone, Debug)]
pub struct Slices<'a, T> {
    slices: Vec<Slice<'a, T>>,
}

#[derive(Clone, Debug)]
enum Slice<'a, T> {
    Reals(&'a [T]),
    Indices(&'a [u32]),
}

impl<T> Default for Slices<'_, T> {
    fn default() -> Self {
        Self { slices: Vec::new() }
    }
}

impl<'a, T> Slices<'a, T> {
    /// No input yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a real input.
    #[must_use]
    pub fn reals(mut self, values: &'a [T]) -> Self {
        self.slices.push(Slice::Reals(values));
        self
    }

    /// Appends an index input.
    #[must_use]
    pub fn indices(mut self, values: &'a [u32]) -> Self {
        self.slices.push(Slice::Indices(values));
        self
    }
}

impl<T> Inputs<T> for Slices<'_, T> {
    fn reals(&self, input: usize) -> &[T] {
        match self.slices[input] {
            Slice::Reals(values) => values,
            Slice::Indices(_) => panic!("input {input} is of categories"),
        }
    }

    fn indices(&self, input: usize) -> &[u32] {
        match self.slices[input] {
            Slice::Indices(values) => values,
            Slice::Reals(_) => panic!("input {input} is of real numbers"),
        }
    }
}
