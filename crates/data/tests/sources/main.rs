//! Every source gives the rows it says, in the order it says, from any cursor.

mod adaptors;
mod check;
mod encoder;
mod encoder_errors;
mod encoder_rows;
mod exact;
mod filter;
mod memory;
mod numbers;
mod plan;
mod prefetch;
mod stream;
mod times;
mod unknown;
mod workers;
