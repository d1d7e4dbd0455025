use std::fmt;
use std::process::ExitStatus;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All ranks came to their end.
    Finished,
    /// Somebody asked to stop; the ranks have saved what they had.
    Stopped,
    /// Somebody asked to stop, and the job did not within the grace period.
    Killed,
    /// With this code, which says that another attempt would end the same way.
    Refused(i32),
    /// With this code.
    Fell(i32),
    /// A rank said that it cannot go on, and `mpirun` did not end for it: it waits for a host that is cut off.
    Hung,
}

/// What a job ends with whose settings are impossible.
const IMPOSSIBLE: i32 = 2;
/// What a shell, and `mpirun`, end with when the program cannot be started or is not there.
const NO_PROGRAM: [i32; 2] = [126, 127];

impl Ended {
    pub(super) fn of(status: ExitStatus) -> Self {
        match status.code() {
            Some(0) => Self::Finished,
            Some(code) if code == i32::from(crate::compare::STOPPED) => Self::Stopped,
            Some(code) if code == IMPOSSIBLE || NO_PROGRAM.contains(&code) => Self::Refused(code),
            Some(code) => Self::Fell(code),
            None => Self::Fell(128 + signal(status)),
        }
    }

    /// Whether another attempt may come further.
    pub fn may_go_on(self) -> bool {
        matches!(self, Self::Fell(_) | Self::Hung)
    }

    /// What the launching process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Finished => 0,
            Self::Stopped | Self::Killed => crate::compare::STOPPED,
            Self::Refused(code) | Self::Fell(code) => u8::try_from(code).unwrap_or(1),
            Self::Hung => TIMED_OUT as u8,
        }
    }
}

/// A rank's own code when another did not answer in time (`EX_TEMPFAIL`).
const TIMED_OUT: i32 = 75;

fn signal(status: ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Stopped => f.write_str("was stopped, with a checkpoint,"),
            Self::Killed => f.write_str("was asked to stop and did not, and was killed"),
            Self::Refused(IMPOSSIBLE) => f.write_str("ended with code 2, impossible settings,"),
            Self::Refused(code) => write!(f, "ended with code {code}, the program could not be started,"),
            Self::Fell(137 | 9) => f.write_str("ended when a rank was killed"),
            Self::Fell(TIMED_OUT) => f.write_str("ended with code 75, a rank did not answer in time,"),
            Self::Fell(101) => f.write_str("ended with code 101, a rank panicked,"),
            Self::Fell(205 | 255) => f.write_str("ended when a host was lost"),
            Self::Fell(code) => write!(f, "ended with code {code}"),
            Self::Hung => f.write_str("was ended, for mpirun waited for a host that is cut off,"),
        }
    }
}
