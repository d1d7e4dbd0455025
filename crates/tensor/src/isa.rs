//! Which instruction set the kernels run on.

#[cfg(not(test))]
use pulp::Arch;

/// The best instruction set that the processor has. Detected once: later calls read one atomic.
#[cfg(not(test))]
#[inline(always)]
pub fn arch() -> Arch {
    Arch::new()
}

#[cfg(test)]
pub use under_test::arch;
#[cfg(test)]
pub(crate) use under_test::on_every_path;

#[cfg(test)]
mod under_test {
    use std::cell::Cell;

    use pulp::Arch;

    thread_local! {
        static CHOSEN: Cell<Option<Arch>> = const { Cell::new(None) };
    }

    /// As outside tests, unless [`on_every_path`] chose.
    pub fn arch() -> Arch {
        CHOSEN.get().unwrap_or_default()
    }

    /// Runs `test` once with each instruction set that this processor has, and the baseline.
    pub(crate) fn on_every_path(test: impl Fn()) {
        for arch in available() {
            CHOSEN.set(Some(arch));
            test();
        }
        CHOSEN.set(None);
    }

    fn available() -> Vec<Arch> {
        #[cfg(target_arch = "x86_64")]
        let best = [pulp::x86::V3::try_new().map(Arch::V3), pulp::x86::V4::try_new().map(Arch::V4)];
        #[cfg(not(target_arch = "x86_64"))]
        let best = [Some(Arch::new())];
        best.into_iter().flatten().chain([Arch::Scalar]).collect()
    }
}
