use crate::Error;

/// The largest count that an `f64` holds exactly, and with it every smaller one.
pub(crate) const MOST: u64 = 1 << 53;

/// Reads a saved state from front to back.
pub(crate) struct Reader<'n, 'a> {
    of: &'n str,
    rest: &'a [f64],
}

impl<'n, 'a> Reader<'n, 'a> {
    pub(crate) fn new(of: &'n str, state: &'a [f64]) -> Self {
        Self { of, rest: state }
    }

    /// The next `n` numbers.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [f64], Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(n)
            .ok_or_else(|| self.wrong(format!("{} numbers are left where {n} should follow", self.rest.len())))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` numbers.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[f64; N], Error> {
        let mut array = [0.0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The next number, a whole number from 0 to `most`.
    pub(crate) fn count(&mut self, most: u64) -> Result<u64, Error> {
        let [found] = self.array()?;
        if found >= 0.0 && found.fract() == 0.0 && found <= most as f64 {
            Ok(found as u64)
        } else {
            Err(self.wrong(format!("{found} where a whole number up to {most} should be")))
        }
    }

    /// The next number, a flag.
    pub(crate) fn flag(&mut self) -> Result<bool, Error> {
        Ok(self.count(1)? == 1)
    }

    /// How many numbers are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong(format!("{} numbers too many", self.rest.len()))) }
    }

    pub(crate) fn wrong(&self, problem: String) -> Error {
        Error::State { of: self.of.to_owned(), problem }
    }
}

/// A state of exactly `N` numbers.
pub(crate) fn exactly<const N: usize>(of: &str, state: &[f64]) -> Result<[f64; N], Error> {
    let mut reader = Reader::new(of, state);
    let numbers = reader.array()?;
    reader.end()?;
    Ok(numbers)
}
