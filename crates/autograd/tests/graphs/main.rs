//! What programs promise, on one table of models that together use every operation.

mod allocations;
mod errors;
mod gradients;
mod images;
mod models;
mod open;
mod programs;
mod random;
mod rows;
mod running;
