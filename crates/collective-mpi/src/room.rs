//! Bytes that MPI reads or writes, where numbers of either precision may lie.

use tidemill_collective::tensor::Scalar;

/// Room for bytes, aligned as numbers are. It grows and never shrinks.
#[derive(Debug, Default)]
pub(crate) struct Room {
    words: Vec<u64>,
    len: usize,
}

impl Room {
    /// Makes it so many bytes long; what is in them is not said.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.words.len() * 8 < len {
            self.words.resize(len.div_ceil(8), 0);
        }
        self.len = len;
    }

    /// Makes it hold these bytes.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.resize(bytes.len());
        self.bytes_mut().copy_from_slice(bytes);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the words hold at least so many bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.len) }
    }

    /// The bytes as numbers.
    pub(crate) fn values<T: Scalar>(&self) -> &[T] {
        // SAFETY: the words hold so many bytes and are aligned for either precision, of which all bits are numbers.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len / size_of::<T>()) }
    }

    /// As above.
    pub(crate) fn values_mut<T: Scalar>(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.len / size_of::<T>()) }
    }
}

/// Numbers as bytes.
pub(crate) fn bytes_of<T: Scalar>(values: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
