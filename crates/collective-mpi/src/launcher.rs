//! Who started this process, as the environment tells.

use std::env;

/// What has started this process as one of several ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launcher {
    /// Its name, for messages.
    pub name: &'static str,
    /// The variable that tells how many ranks it started.
    pub variable: &'static str,
    /// How many.
    pub size: usize,
    /// Files that the library is looked for under, in this order.
    pub libraries: &'static [&'static str],
}

const OPEN_MPI: &[&str] = &["libmpi.so.40", "libmpi_abi.so.1", "libmpich.so.12", "libmpi.so.12"];
const MPICH: &[&str] = &["libmpich.so.12", "libmpi.so.12", "libmpi_abi.so.1", "libmpi.so.40"];

impl Launcher {
    /// The launcher that the environment tells of, if any.
    pub(crate) fn found() -> Option<Self> {
        Self::told(|variable| env::var(variable).ok())
    }

    fn told(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name| variable(name)?.parse().ok();
        let known = |name, variable, libraries| {
            let size = number(variable)?;
            Some(Self { name, variable, size, libraries })
        };
        let mpirun = known("mpirun of Open MPI", "OMPI_COMM_WORLD_SIZE", OPEN_MPI)
            .or_else(|| known("mpirun of MPICH", "PMI_SIZE", MPICH));
        // Within a step of Slurm alone: a batch script has the number of tasks too, but is one process.
        let srun = || {
            variable("SLURM_STEP_ID")?;
            let libraries = if variable("PMIX_RANK").is_some() { OPEN_MPI } else { MPICH };
            let step = known("srun", "SLURM_STEP_NUM_TASKS", libraries);
            step.or_else(|| known("srun", "SLURM_NTASKS", libraries)).filter(|srun| srun.size > 1)
        };
        mpirun.or_else(srun)
    }

    /// Where there is none: every library is as likely.
    pub(crate) fn libraries_without() -> &'static [&'static str] {
        OPEN_MPI
    }
}

#[cfg(test)]
mod tests {
    use super::{Launcher, MPICH, OPEN_MPI};

    #[test]
    fn launchers_are_known_by_their_variables() {
        fn check(variables: &[(&str, &str)], expected: Option<(&str, usize, &[&str])>) {
            let told = Launcher::told(|name| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned()));
            let told = told.as_ref().map(|found| (found.variable, found.size, found.libraries));
            assert_eq!(told, expected, "{variables:?}");
        }
        check(&[], None);
        check(&[("OMPI_COMM_WORLD_SIZE", "4"), ("SLURM_NTASKS", "9")], Some(("OMPI_COMM_WORLD_SIZE", 4, OPEN_MPI)));
        check(&[("PMI_SIZE", "3"), ("PMI_RANK", "0")], Some(("PMI_SIZE", 3, MPICH)));
        check(&[("SLURM_NTASKS", "8")], None);
        let step = ("SLURM_STEP_ID", "0");
        check(&[step, ("SLURM_NTASKS", "8")], Some(("SLURM_NTASKS", 8, MPICH)));
        check(&[step, ("SLURM_NTASKS", "8"), ("SLURM_STEP_NUM_TASKS", "2")], Some(("SLURM_STEP_NUM_TASKS", 2, MPICH)));
        check(&[step, ("SLURM_NTASKS", "8"), ("PMIX_RANK", "2")], Some(("SLURM_NTASKS", 8, OPEN_MPI)));
        check(&[step, ("SLURM_NTASKS", "1")], None);
        check(&[("PMI_SIZE", "many")], None);
    }
}
