//! The promises that training makes, each by a test that fails when it is broken. The one about allocation is in
//! `tests/allocation.rs`, since it counts for the whole process.

mod again;
mod callbacks;
mod crash;
mod deterministic;
mod early;
mod fewer_messages;
mod hogwild;
mod model;
mod open;
mod own_sync;
mod partial;
mod ranks;
mod refused;
mod resume;
mod same_steps;
mod session;
mod streams;
mod sums;
mod tables;
mod targets;
mod timeline;
mod weightless;
