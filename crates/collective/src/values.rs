use tidemill_tensor::{DType, Scalar};

/// Numbers that a call reads and writes, in either precision.
#[derive(Debug)]
pub enum Values<'a> {
    /// Of 32 bits.
    F32(&'a mut [f32]),
    /// Of 64 bits.
    F64(&'a mut [f64]),
}

impl<'a> Values<'a> {
    /// Of a precision that is only known to be one of the two.
    pub fn of<T: Scalar>(values: &'a mut [T]) -> Self {
        let (start, len) = (values.as_mut_ptr(), values.len());
        match T::DTYPE {
            // SAFETY: `Scalar` is sealed, and f32 alone says F32; the slice is borrowed for as long.
            DType::F32 => Self::F32(unsafe { std::slice::from_raw_parts_mut(start.cast(), len) }),
            // SAFETY: as above, of f64.
            DType::F64 => Self::F64(unsafe { std::slice::from_raw_parts_mut(start.cast(), len) }),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Their precision.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `a ← max(a, b)`, NaN where either is: what [`max`](crate::Collective::max) does with two ranks.
pub fn larger<T: Scalar>(a: &mut [T], b: &[T]) {
    for (a, &b) in a.iter_mut().zip(b) {
        if b > *a || b.is_nan() {
            *a = b;
        }
    }
}
