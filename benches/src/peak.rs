/// The most resident memory that this process ever had, in units of 2²⁰ bytes; nothing where the system does not tell.
pub fn mebibytes() -> Option<u64> {
    of_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_where_linux_writes_it() {
        assert_eq!(of_status("Name:\tbench\nVmHWM:\t   2049 kB\nVmRSS:\t 1024 kB\n"), Some(3));
        assert_eq!(of_status("Name:\tbench\n"), None);
    }
}
