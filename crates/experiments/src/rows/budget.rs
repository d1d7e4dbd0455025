use anyhow::Error;

/// An error that memory does not suffice, with the option that allows more; any other as it is.
///
/// `budget` is what `--budget` allowed for everything, in bytes.
pub fn advised(error: Error, budget: u64) -> Error {
    let missing = error.chain().find_map(|cause| match cause.downcast_ref::<tidemill::data::Error>() {
        Some(tidemill::data::Error::Budget { needed, budget, .. }) => Some(needed.saturating_sub(*budget)),
        _ => match cause.downcast_ref::<tidemill::strategies::Error>() {
            Some(tidemill::strategies::Error::Data(tidemill::data::Error::Budget { needed, budget, .. })) => {
                Some(needed.saturating_sub(*budget))
            }
            _ => None,
        },
    });
    match missing {
        None => error,
        Some(missing) => {
            let enough = mebibytes(budget.saturating_add(missing));
            anyhow::anyhow!("{error:#}. Allow it by --budget {enough}, in MiB and for everything")
        }
    }
}

/// An error that what reading left of a budget does not suffice for rows in memory, with what suffices for both; any
/// other as it is. All rows take `memory` bytes at most of the `budget`, and reading takes `reading` bytes where it may.
pub fn enough(
    error: tidemill::strategies::Error,
    memory: u64,
    budget: u64,
    reading: u64,
) -> tidemill::strategies::Error {
    use tidemill::data::Error::Budget;
    match error {
        tidemill::strategies::Error::Data(Budget { what, needed, .. }) => {
            let advice = format!("{reading} of them are for reading; take fewer rows, or train online");
            let needed = needed.max(memory).saturating_add(reading);
            tidemill::strategies::Error::Data(Budget { what, needed, budget, advice })
        }
        other => other,
    }
}

/// Bytes in MiB, rounded up.
pub fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
