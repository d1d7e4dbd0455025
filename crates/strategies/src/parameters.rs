//! Parameters by their names, as in any safetensors file.

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use tidemill_autograd::tensor::{Layout, Parameter, Scalar};

use crate::{file, finite};

/// A tensor to be written: name, shape, bytes.
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: safetensors::Dtype,
    pub(crate) bytes: Vec<u8>,
}

impl Written {
    pub(crate) fn new<T: Scalar>(name: impl Into<String>, shape: &[usize], values: &[T]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), dtype: file::dtype::<T>(), bytes: file::to_bytes(values) }
    }
}

/// A safetensors file of these tensors, with one entry of metadata.
pub(crate) fn serialize(tensors: &[Written], key: &str, metadata: String) -> Result<Vec<u8>, String> {
    let views: Result<Vec<_>, _> =
        tensors.iter().map(|t| Ok((t.name.as_str(), TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?))).collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| error.to_string())?;
    safetensors::serialize(views, Some([(key.to_owned(), metadata)].into())).map_err(|error| error.to_string())
}

pub(crate) fn write<T: Scalar>(layout: &Layout, params: &[T]) -> Vec<Written> {
    layout.parameters().iter().map(|p| Written::new(p.name(), p.shape(), &params[p.range()])).collect()
}

/// The arena of a layout, each parameter found by name, of its shape, and finite.
pub(crate) fn read<T: Scalar>(layout: &Layout, tensors: &SafeTensors<'_>) -> Result<Vec<T>, String> {
    let mut arena = vec![T::zero(); layout.len()];
    for parameter in layout.parameters() {
        let view = tensors.tensor(parameter.name()).map_err(|_| format!("it has no parameter {}", parameter.name()))?;
        arena[parameter.range()].copy_from_slice(&values::<T>(parameter, &view)?);
    }
    Ok(arena)
}

/// The values of a parameter, of its shape, and finite.
pub(crate) fn values<T: Scalar>(parameter: &Parameter, view: &TensorView<'_>) -> Result<Vec<T>, String> {
    let name = parameter.name();
    if view.shape() != parameter.shape() {
        return Err(format!("parameter {name} is {:?}, the model's is {:?}", view.shape(), parameter.shape()));
    }
    let values = file::numbers::<T>(view).map_err(|problem| format!("parameter {name}: {problem}"))?;
    match finite::first(&values) {
        Some(at) => Err(format!("parameter {name}[{at}] is {}, expected a finite number", values[at])),
        None => Ok(values),
    }
}
