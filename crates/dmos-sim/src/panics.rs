//! Runs something, and says in words how it panicked, if it did: one run that fails must not end a thousand others.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// The last panic of this thread, in words.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the program from printing panics, until [`std::panic::take_hook`]: those that are caught are reported as
/// failures.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("a panic");
        PANIC.with(|panic| *panic.borrow_mut() = format!("{place}\n{message}"));
    }));
}

/// What `work` answers.
///
/// # Errors
/// If it panics: the place, if panics are kept quiet, and the message.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    PANIC.with(|panic| panic.borrow_mut().clear());
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let kept = PANIC.with(|panic| panic.borrow().clone());
        let said = payload.downcast_ref::<String>().cloned();
        let said = said.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        if kept.is_empty() { said.unwrap_or_default() } else { kept }
    })
}
