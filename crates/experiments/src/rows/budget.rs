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

/// Bytes in MiB, rounded up.
pub fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
