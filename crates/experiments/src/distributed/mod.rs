//! One process, threads, or ranks over MPI? The same network trained in several ways, over links of several rates.
//!
//! [`compare`] runs everything, each run as a job of its own whose processes are [`rank`]s, with [`Hosts`] in between
//! where a link is asked for. [`Results`] is the record; report and table only read it.

mod compare;
mod higgs;
mod link;
mod rank;
mod report;
mod results;
mod table;
mod way;

pub use crate::fault::{Fault, Kind};
pub use compare::{Options, compare};
pub use link::{Hosts, INTERFACE, Link};
pub use rank::{Found, IMPOSSIBLE, Job, rank};
pub use results::{Results, Run, Task, expected_efficiency, sent_bytes};
pub use way::{Exchange, Way};
