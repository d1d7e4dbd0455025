//! The house as a whole: its plan, whole training runs against those of other software, and the promises where files
//! take part. What is promised of memory has a process of its own, `tests/memory.rs`.

mod architecture;
mod end_to_end;
mod errors;
mod formats;
mod model_file;
mod progressive_validation;
mod resume;
mod same_bits;
mod table;
mod training;
