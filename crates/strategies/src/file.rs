//! Files written whole or not at all, and the numbers in them.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tidemill_autograd::tensor::{DType, Scalar};

use crate::Error;

/// Writes a file, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    tidemill_data::file::write(path, bytes).map_err(|source| Error::File { path: path.to_owned(), source })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

pub(crate) fn dtype<T: Scalar>() -> Dtype {
    match T::DTYPE {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
    }
}

pub(crate) fn to_bytes<T: Scalar>(values: &[T]) -> Vec<u8> {
    match T::DTYPE {
        DType::F32 => values.iter().flat_map(|v| (v.widen() as f32).to_le_bytes()).collect(),
        DType::F64 => values.iter().flat_map(|v| v.widen().to_le_bytes()).collect(),
    }
}

/// The numbers of a tensor of the same type.
pub(crate) fn numbers<T: Scalar>(view: &TensorView<'_>) -> Result<Vec<T>, String> {
    if view.dtype() != dtype::<T>() {
        return Err(format!("it is {:?}, expected {:?}", view.dtype(), dtype::<T>()));
    }
    let bytes = view.data();
    Ok(match T::DTYPE {
        DType::F32 => bytes.as_chunks().0.iter().map(|&b| T::of(f64::from(f32::from_le_bytes(b)))).collect(),
        DType::F64 => bytes.as_chunks().0.iter().map(|&b| T::of(f64::from_le_bytes(b))).collect(),
    })
}
