//! Why a loss is not finite, as far as the values of its row tell.

use tidemill_autograd::tensor::Scalar;
use tidemill_data::{Batch as Rows, Kind};

pub(super) fn cause<T: Scalar>(batch: &Rows<T>, row: usize) -> String {
    non_finite_column(batch, row).unwrap_or_else(|| {
        "every number of that row is finite, so training has diverged: lower the learning rate, clip the gradient or \
         standardise the features"
            .to_owned()
    })
}

fn non_finite_column<T: Scalar>(batch: &Rows<T>, row: usize) -> Option<String> {
    for (column, field) in batch.schema().fields.iter().enumerate() {
        let Kind::Real { width } = field.kind else { continue };
        let values = batch.reals(column).get(row * width..(row + 1) * width)?;
        if let Some((i, value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let at = if width > 1 { format!("[{i}]") } else { String::new() };
            return Some(format!("column {}{at} is {value} there", field.name));
        }
    }
    None
}
