use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a decoder, and makes an error of what it says, and of a panic inside it. The panic's own message is printed by
/// whatever hook the program has.
pub(crate) fn guarded<R, E: fmt::Display>(decode: impl FnOnce() -> Result<R, E>) -> Result<R, String> {
    // Whatever the closure has borrowed is dropped, or not used again, by the caller when this gives an error.
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Err(format!("the decoder gave up: {}", text.unwrap_or("for no stated reason")))
        }
    }
}
