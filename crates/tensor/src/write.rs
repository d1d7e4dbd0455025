use crate::{Scalar, kernels};

/// What becomes of the old values of a result, as of a gradient that is the first contribution or another one.
///
/// # Example
///
/// ```
/// use tidemill_tensor::Write;
///
/// let mut gradient = [f32::NAN; 2];
/// Write::Assign.slice(&mut gradient, &[1.0, 2.0]);
/// Write::Add.slice(&mut gradient, &[10.0, 20.0]);
/// assert_eq!(gradient, [11.0, 22.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// They are overwritten, and not read.
    Assign,
    /// The result is added to them.
    Add,
}

impl Write {
    /// Writes `values` to `into`.
    #[inline(always)]
    pub fn all<T: Scalar>(self, into: &mut [T], values: impl Iterator<Item = T>) {
        match self {
            Self::Assign => into.iter_mut().zip(values).for_each(|(to, v)| *to = v),
            Self::Add => into.iter_mut().zip(values).for_each(|(to, v)| *to += v),
        }
    }

    /// Writes `values` to `into`, where they lie ready.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn slice<T: Scalar>(self, into: &mut [T], values: &[T]) {
        match self {
            Self::Assign => into.copy_from_slice(values),
            Self::Add => kernels::add_assign(into, values),
        }
    }

    /// Makes `into` ready for plain additions: zero, unless they go onto what is there.
    #[inline]
    pub fn begin<T: Scalar>(self, into: &mut [T]) {
        if self == Self::Assign {
            into.fill(T::zero());
        }
    }
}
