//! What builds of MPI mean by its names: one table for each binary interface.

use std::ffi::{c_int, c_void};

/// A binary interface of MPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abi {
    /// Open MPI: handles are addresses of variables of the library.
    OpenMpi,
    /// MPICH and its kin (Intel MPI, MVAPICH, Cray): handles are numbers of 32 bits.
    Mpich,
    /// The standard interface of MPI-5: handles are small numbers, as wide as pointers.
    Standard,
}

/// The names of MPI that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Constants {
    /// `MPI_COMM_WORLD`.
    pub world: usize,
    /// `MPI_BYTE`.
    pub byte: usize,
    /// `MPI_FLOAT`.
    pub float: usize,
    /// `MPI_DOUBLE`.
    pub double: usize,
    /// `MPI_SUM`.
    pub sum: usize,
    /// `MPI_ERRORS_RETURN`.
    pub errors_return: usize,
    /// `MPI_IN_PLACE`, an address.
    pub in_place: isize,
    /// `MPI_STATUS_IGNORE`, an address.
    pub status_ignore: isize,
    /// `MPI_THREAD_FUNNELED`.
    pub funneled: c_int,
}

/// The handles of Open MPI: where in [`Constants`] the address of which symbol belongs.
pub(crate) const OPEN_MPI_SYMBOLS: [&str; 6] = [
    "ompi_mpi_comm_world",
    "ompi_mpi_byte",
    "ompi_mpi_float",
    "ompi_mpi_double",
    "ompi_mpi_op_sum",
    "ompi_mpi_errors_return",
];

impl Constants {
    /// Open MPI's, from where [`OPEN_MPI_SYMBOLS`] lie.
    pub(crate) fn open_mpi([world, byte, float, double, sum, errors_return]: [usize; 6]) -> Self {
        Self { world, byte, float, double, sum, errors_return, in_place: 1, status_ignore: 0, funneled: 1 }
    }

    /// MPICH's.
    pub(crate) const MPICH: Self = Self {
        world: 0x4400_0000,
        byte: 0x4c00_010d,
        float: 0x4c00_040a,
        double: 0x4c00_080b,
        sum: 0x5800_0003,
        errors_return: 0x5400_0001,
        in_place: -1,
        status_ignore: 1,
        funneled: 1,
    };

    /// Those of the MPI-5 standard, chapter "ABI".
    pub(crate) const STANDARD: Self = Self {
        world: 0x101,
        byte: 0x247,
        float: 0x210,
        double: 0x214,
        sum: 0x21,
        errors_return: 0x143,
        in_place: 1,
        status_ignore: 0,
        funneled: 1024,
    };
}

/// A handle as an interface passes it.
pub(crate) trait Handle: Copy {
    /// From its bits.
    fn of(bits: usize) -> Self;
    /// Its bits.
    fn bits(self) -> usize;
}

impl Handle for c_int {
    fn of(bits: usize) -> Self {
        bits as u32 as Self
    }

    fn bits(self) -> usize {
        self as u32 as usize
    }
}

impl Handle for *mut c_void {
    fn of(bits: usize) -> Self {
        bits as Self
    }

    fn bits(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::{Constants, OPEN_MPI_SYMBOLS};

    /// A program that prints the constants as the headers of the installed MPI have them; `None` when there is no such
    /// compiler, which is only allowed where MPI is not required.
    fn printed(compiler: &str) -> Option<Vec<String>> {
        if Command::new(compiler).arg("-show").output().is_err() {
            assert!(std::env::var_os("TIDEMILL_REQUIRE_MPI").is_none(), "TIDEMILL_REQUIRE_MPI is set: no {compiler}");
            eprintln!("skipped: there is no {compiler}");
            return None;
        }
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/constants.c");
        let program = std::env::temp_dir().join(format!("tidemill-{compiler}-{}", std::process::id()));
        let built = Command::new(compiler).arg(source).arg("-o").arg(&program).arg("-ldl").output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let run = Command::new(&program).output().unwrap();
        std::fs::remove_file(&program).unwrap();
        assert!(run.status.success(), "{run:?}");
        Some(String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect())
    }

    #[test]
    fn open_mpi_means_what_the_table_says() {
        let Some(lines) = printed("mpicc.openmpi") else { return };
        let constants = Constants::open_mpi([0; 6]);
        let mut expected: Vec<String> = OPEN_MPI_SYMBOLS.iter().map(|symbol| (*symbol).to_owned()).collect();
        expected.extend([constants.in_place, constants.status_ignore].map(|address| format!("{address}")));
        expected.push(constants.funneled.to_string());
        assert_eq!(lines, expected);
    }

    #[test]
    fn mpich_means_what_the_table_says() {
        let Some(lines) = printed("mpicc.mpich") else { return };
        assert_eq!(lines, numbers(Constants::MPICH));
    }

    /// Where a compiler of the standard interface is named, such as MPICH 5's `mpicc_abi`.
    #[test]
    #[ignore = "needs an MPI-5 compiler, named in TIDEMILL_MPICC_ABI"]
    fn the_standard_means_what_the_table_says() {
        let compiler = std::env::var("TIDEMILL_MPICC_ABI").expect("TIDEMILL_MPICC_ABI names a compiler");
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/constants.c");
        let program = std::env::temp_dir().join(format!("tidemill-abi-{}", std::process::id()));
        assert!(Command::new(compiler).arg(source).arg("-o").arg(&program).status().unwrap().success());
        let run = Command::new(&program).output().unwrap();
        std::fs::remove_file(&program).unwrap();
        let lines: Vec<String> = String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines, numbers(Constants::STANDARD));
    }

    fn numbers(c: Constants) -> Vec<String> {
        let handles = [c.world, c.byte, c.float, c.double, c.sum, c.errors_return].map(|handle| format!("{handle:#x}"));
        let mut lines = handles.to_vec();
        lines.extend([c.in_place, c.status_ignore].map(|address| format!("{address}")));
        lines.push(c.funneled.to_string());
        lines
    }
}
