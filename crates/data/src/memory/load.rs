use std::sync::Arc;

use tidemill_tensor::Scalar;

use crate::{Batch, Cursor, Error, Source};

const CHUNK: usize = 1024;

/// Reads epoch 0 of a source, in no more than `budget` bytes.
pub(super) fn load<T: Scalar>(mut source: impl Source<T>, budget: u64) -> Result<Batch<T>, Error> {
    source.seek(Cursor::start(0))?;
    let mut data = Batch::new(Arc::clone(source.schema()));
    if let Some(rows) = source.rows() {
        let needed = rows.saturating_mul(source.schema().least_row_bytes(size_of::<T>()) as u64);
        if needed > budget {
            return Err(refusal(rows, needed, budget));
        }
        for column in 0..data.columns().len() {
            data.reserve_exact(column, rows as usize, 0, false);
        }
    }
    let mut chunk = Batch::new(Arc::clone(source.schema()));
    loop {
        chunk.clear();
        let n = source.fill(&mut chunk, CHUNK)?;
        if n == 0 {
            return Ok(data);
        }
        make_room(&mut data, &chunk, budget)?;
        data.push_rows(&chunk, 0..n);
    }
}

/// Grows each column that is too small for the chunk: by half where the budget allows it, else by what is needed.
fn make_room<T: Scalar>(data: &mut Batch<T>, chunk: &Batch<T>, budget: u64) -> Result<(), Error> {
    let rows = data.rows() + chunk.rows();
    for column in 0..data.columns().len() {
        let text = data.columns()[column].text_bytes() + chunk.columns()[column].text_bytes();
        let kept = data.columns()[column].keeps_digits() || chunk.columns()[column].keeps_digits();
        if data.bytes_at(column, rows, text, kept) == data.bytes() {
            continue;
        }
        // While a buffer is copied to a larger one, both are there.
        let copied = data.columns()[column].bytes();
        let total = |rows, text| (data.bytes_at(column, rows, text, kept) + copied) as u64;
        if total(rows + rows / 2, text + text / 2) <= budget {
            data.reserve_exact(column, rows + rows / 2, text + text / 2, kept);
        } else if total(rows, text) <= budget {
            data.reserve_exact(column, rows, text, kept);
        } else {
            return Err(refusal(rows as u64, total(rows, text), budget));
        }
    }
    Ok(())
}

fn refusal(rows: u64, needed: u64, budget: u64) -> Error {
    Error::Budget {
        what: format!("holding {rows} rows in memory"),
        needed,
        budget,
        advice: format!("allow at least {needed} bytes, take fewer rows, or train online"),
    }
}
