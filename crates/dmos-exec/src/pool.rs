//! Running programs that wait for their next run, by command: starting an interpreter takes longer than most runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::process::Process;

/// Idle programs.
static IDLE: Mutex<BTreeMap<String, Vec<Process>>> = Mutex::new(BTreeMap::new());

fn idle() -> MutexGuard<'static, BTreeMap<String, Vec<Process>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a running program, started now if none is idle.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn take(command: &str) -> Result<Process, String> {
    loop {
        // The lock is not held while a program starts or ends.
        let Some(mut process) = idle().get_mut(command).and_then(Vec::pop) else {
            return Process::start(command);
        };
        if process.is_running() {
            return Ok(process);
        }
    }
}

/// Keeps a program for the next run.
pub(crate) fn give_back(command: &str, mut process: Process) {
    if process.is_running() {
        idle().entry(command.to_owned()).or_default().push(process);
    }
}

/// Ends all programs that wait for their next run. Called before a program that has planned ends.
pub fn end_all() {
    let all = std::mem::take(&mut *idle());
    drop(all);
}
