//! Files written whole or not at all, and the numbers in them.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tidemill_autograd::tensor::{DType, Scalar};

use crate::Error;

/// Writes `bytes` to a temporary file beside `path`, syncs it, and renames it to `path`.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // The rename itself is on disk only when the folder is; some systems cannot sync a folder.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
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
