use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside of [`guarded`], which makes an error of a panic: a program's panic hook need not tell it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Calls a decoder on bytes that may be broken, and makes a message of the error that it gives, and of a panic inside it.
///
/// The panic's own message is printed by whatever hook the program has; the program must not be built with
/// `panic = "abort"`.
///
/// # Errors
///
/// What the decoder says, or what it panicked with. What it has borrowed may then be in any state: drop it.
///
/// # Example
///
/// ```
/// use tidemill_data_arrow::guarded;
///
/// assert_eq!(guarded(|| "7".parse::<u8>()), Ok(7));
/// assert_eq!(guarded(|| "x".parse::<u8>()).unwrap_err(), "invalid digit found in string");
/// let broken = guarded(|| -> Result<u8, String> { panic!("row 3") });
/// assert_eq!(broken.unwrap_err(), "the decoder gave up: row 3");
/// ```
pub fn guarded<R, E: fmt::Display>(decode: impl FnOnce() -> Result<R, E>) -> Result<R, String> {
    // Whatever the closure has borrowed is dropped, or not used again, by the caller when this gives an error.
    let outer = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(outer);
    match outcome {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Err(format!("the decoder gave up: {}", text.unwrap_or("for no stated reason")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_guarded_while_it_decodes() {
        let inner = guarded(|| {
            let inner = guarded(|| -> Result<(), String> { panic!("{}", is_guarded()) });
            if is_guarded() { inner } else { Ok(()) }
        });
        assert_eq!(inner.unwrap_err(), "the decoder gave up: true");
        assert!(!is_guarded());
    }
}
