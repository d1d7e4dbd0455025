//! Every source gives the rows it says, in the order it says, from any cursor.

mod check;
mod memory;
