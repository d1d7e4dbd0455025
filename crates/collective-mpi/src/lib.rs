//! A world of MPI ranks: [`Collective`](tidemill_collective::Collective) across processes and machines.
//!
//! MPI is found when the program starts, not when it is built: one binary runs with Open MPI, with MPICH and its kin, and
//! with whatever follows the standard interface of MPI-5. The crate knows nothing of training.
//!
//! # Running
//!
//! ```sh
//! mpirun -np 4 --bind-to none ./train      # Open MPI
//! mpirun -np 4 ./train                     # MPICH
//! srun -n 4 ./train                        # Slurm
//! ./train                                  # one rank, no MPI needed
//! ```
//!
//! The library is that of the launcher, which its variables tell: `libmpi.so.40` under Open MPI's `mpirun`,
//! `libmpich.so.12` or `libmpi.so.12` where `PMI_SIZE` is set, `libmpi_abi.so.1` where those are not found. The variable
//! `TIDEMILL_MPI_LIBRARY` names another file, before all others.
//!
//! # Ends
//!
//! | what happens to a rank | what the others get | status of the launcher |
//! |---|---|---|
//! | all end by [`exit`]`(0)` | | 0 |
//! | [`exit`]`(code)` | the launcher ends them | that code |
//! | panic | [`Panicked`](tidemill_collective::Error::Panicked), and the launcher ends them | 101; MPICH's says 9 now and then |
//! | it returns early | [`Left`](tidemill_collective::Error::Left) | not 0 |
//! | [`abandon`](tidemill_collective::Collective::abandon) | [`Abandoned`](tidemill_collective::Error::Abandoned) | what they end with |
//! | it stops, or its link is cut | [`Late`](tidemill_collective::Error::Late), after the deadline | [`RETRY`], by [`status`] |
//! | it is killed | the launcher ends them | not 0: 137 by Open MPI, 9 by MPICH |
//!
//! # One host
//!
//! Ranks that are all on one host (of Linux) read each other's long values in memory that they share, and send messages
//! of few bytes alone; they make it when it is first needed, and where a rank cannot, or its variable
//! `TIDEMILL_MPI_SHARED` is 0, all go on by messages. `Debug` of [`Mpi`] says which, and why.
//!
//! # Bits
//!
//! Sums in the order of the ranks have the same bits as in any other world of as many ranks. Each rank sends each other
//! its share of the values, adds up what it gets, and gives the sum to all: 2 (n - 1) / n of the bytes, whatever n, where
//! there are more than 1024 of them. `fast_sum` is `MPI_Iallreduce`, but for what goes through shared memory.

mod abi;
mod engine;
mod launcher;
mod library;
mod mpi;
mod room;
mod segment;
mod shared;
mod wire;

pub use mpi::{ENDS_THE_JOB, Mpi, Options, PANICKED, RETRY, abort, exit, status, world};
