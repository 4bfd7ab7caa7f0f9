//! Catches panics, so that one failing unit of work does not end all others.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Location and message of the last panic of this thread.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Stops the program from printing panics until [`std::panic::take_hook`]: caught panics are reported as
/// failures.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("a panic");
        PANIC.with(|panic| *panic.borrow_mut() = format!("{location}\n{message}"));
    }));
}

/// Calls `work` and returns its result.
///
/// # Errors
/// If it panics: the message, preceded by the location if panics are kept quiet.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    PANIC.with(|panic| panic.borrow_mut().clear());
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let kept = PANIC.with(|panic| panic.borrow().clone());
        let message = payload.downcast_ref::<String>().cloned();
        let message = message.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        if kept.is_empty() { message.unwrap_or_default() } else { kept }
    })
}
