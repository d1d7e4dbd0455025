//! Who started this process, as the environment tells.

use std::{env, fmt};

/// What has started this process as one of several ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launcher {
    /// Its name, for messages.
    pub name: &'static str,
    /// The variable that tells how many ranks it started.
    pub variable: &'static str,
    /// How many.
    pub ranks: Ranks,
    /// Files that the library is looked for under, in this order.
    pub libraries: &'static [&'static str],
}

/// How many ranks a launcher has started, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ranks {
    /// So many.
    Exactly(usize),
    /// It tells only each rank its number.
    AtLeast(usize),
}

impl Ranks {
    /// Whether a world of so many may be what was started.
    pub(crate) fn may_be(self, size: usize) -> bool {
        match self {
            Self::Exactly(ranks) => size == ranks,
            Self::AtLeast(ranks) => size >= ranks,
        }
    }
}

impl fmt::Display for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(ranks) => write!(f, "{ranks} ranks"),
            Self::AtLeast(ranks) => write!(f, "at least {ranks} ranks"),
        }
    }
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
            let ranks = Ranks::Exactly(number(variable)?);
            Some(Self { name, variable, ranks, libraries })
        };
        let mpirun = known("mpirun of Open MPI", "OMPI_COMM_WORLD_SIZE", OPEN_MPI)
            .or_else(|| known("mpirun of MPICH", "PMI_SIZE", MPICH));
        if mpirun.is_some() {
            return mpirun;
        }
        let rank = number("PMIX_RANK");
        // Within a step of Slurm alone: a batch script has the number of tasks too, but is one process.
        if variable("SLURM_STEP_ID").is_some() {
            let libraries = if rank.is_some() { OPEN_MPI } else { MPICH };
            let step = known("srun", "SLURM_STEP_NUM_TASKS", libraries);
            let step = step.or_else(|| known("srun", "SLURM_NTASKS", libraries));
            return step.filter(|srun| srun.ranks != Ranks::Exactly(1));
        }
        // As Open MPI 5's prterun, which tells each rank its number alone.
        let (name, variable, libraries) = ("a launcher that speaks PMIx", "PMIX_RANK", OPEN_MPI);
        rank.map(|rank: usize| Self { name, variable, ranks: Ranks::AtLeast(rank + 1), libraries })
    }

    /// Where there is none: every library is as likely.
    pub(crate) fn libraries_without() -> &'static [&'static str] {
        OPEN_MPI
    }
}

#[cfg(test)]
mod tests {
    use super::Ranks::{AtLeast, Exactly};
    use super::{Launcher, MPICH, OPEN_MPI, Ranks};

    #[test]
    fn worlds_of_another_size_are_not_what_was_started() {
        assert!(Exactly(2).may_be(2) && !Exactly(2).may_be(1) && !Exactly(2).may_be(3));
        assert!(AtLeast(2).may_be(2) && !AtLeast(2).may_be(1) && AtLeast(2).may_be(3));
    }

    #[test]
    fn launchers_are_known_by_their_variables() {
        fn check(variables: &[(&str, &str)], expected: Option<(&str, Ranks, &[&str])>) {
            let told = Launcher::told(|name| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_owned()));
            let told = told.as_ref().map(|found| (found.variable, found.ranks, found.libraries));
            assert_eq!(told, expected, "{variables:?}");
        }
        check(&[], None);
        check(
            &[("OMPI_COMM_WORLD_SIZE", "4"), ("SLURM_NTASKS", "9")],
            Some(("OMPI_COMM_WORLD_SIZE", Exactly(4), OPEN_MPI)),
        );
        check(&[("PMI_SIZE", "3"), ("PMI_RANK", "0")], Some(("PMI_SIZE", Exactly(3), MPICH)));
        check(&[("SLURM_NTASKS", "8")], None);
        let step = ("SLURM_STEP_ID", "0");
        check(&[step, ("SLURM_NTASKS", "8")], Some(("SLURM_NTASKS", Exactly(8), MPICH)));
        check(
            &[step, ("SLURM_NTASKS", "8"), ("SLURM_STEP_NUM_TASKS", "2")],
            Some(("SLURM_STEP_NUM_TASKS", Exactly(2), MPICH)),
        );
        check(&[step, ("SLURM_NTASKS", "8"), ("PMIX_RANK", "2")], Some(("SLURM_NTASKS", Exactly(8), OPEN_MPI)));
        check(&[step, ("SLURM_NTASKS", "1")], None);
        check(&[step, ("SLURM_NTASKS", "1"), ("PMIX_RANK", "0")], None);
        check(&[("PMIX_RANK", "2")], Some(("PMIX_RANK", AtLeast(3), OPEN_MPI)));
        check(&[("PMI_SIZE", "many")], None);
    }
}
