//! Reading all rows once, so that what cannot be read is left out before anybody counts on it.

use std::sync::Arc;

use tidemill_data::tensor::Scalar;
use tidemill_data::{Batch, Cursor, Error, Source};

use crate::ParquetSource;
use crate::damage::Damage;
use crate::plan::{Group, Plan};

/// Rows that are read at a time, and bytes that they may take in a batch: of what they hold nothing is kept.
const ROWS: u64 = 1024;
const BYTES: u64 = 64 << 10;

/// The plan without the row groups that cannot be decoded from the first row to the last.
pub(crate) fn verified<T: Scalar>(plan: Plan) -> Result<Plan, Error> {
    let plan = Arc::new(plan);
    let mut source = ParquetSource::<T>::of(Arc::clone(&plan));
    let mut batch = Batch::new(Arc::clone(source.schema()));
    let mut damaged = Vec::new();
    for (place, group) in plan.groups.iter().enumerate() {
        if let Some(damage) = read(&plan, group, &mut source, &mut batch)? {
            damaged.push((place, damage));
        }
    }
    drop(source);
    let mut plan = Arc::into_inner(plan).expect("the source that shared it is gone");
    plan.leave_out(damaged);
    Ok(plan)
}

/// What is wrong with a row group.
fn read<T: Scalar>(
    plan: &Plan,
    group: &Group,
    source: &mut ParquetSource<T>,
    batch: &mut Batch<T>,
) -> Result<Option<Damage>, Error> {
    source.seek(Cursor::start(0).push(group.first))?;
    let most = (BYTES / (batch.schema().row_bytes(size_of::<T>()) as u64).max(1)).clamp(1, ROWS);
    let mut left = group.rows;
    while left > 0 {
        batch.clear();
        match source.fill_within(batch, left.min(most) as usize, BYTES) {
            Ok(rows) => left -= rows as u64,
            // Values that are not as was asked are for whoever reads them to be told of.
            Err(Error::Null { .. } | Error::Invalid { .. }) => return Ok(None),
            Err(error) => return plan.on_damage.excuse(error, Some(group.rows)).map(Some),
        }
    }
    Ok(None)
}
