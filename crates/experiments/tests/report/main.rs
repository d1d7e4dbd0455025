//! Results as they are kept, judged and shown.

mod json;
mod page;
mod samples;
mod tables;
mod verdict;
