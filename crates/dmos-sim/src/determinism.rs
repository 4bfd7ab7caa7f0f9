//! Determinism check: runs a scenario twice and compares the runs event by event.

use std::fmt;

use dmos_core::{RunRecord, Scenario};

use crate::trace::{Trace, run_traced};

/// The first event in which two runs of one scenario differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Number of the event, counting from 1.
    pub number: usize,
    /// The event in the second run, with its time, or `None` if that run had ended.
    pub second: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.second {
            Some(event) => write!(f, "event {} differs when run again: {event}", self.number),
            None => write!(f, "the repeated run has no event {}", self.number),
        }
    }
}

/// Runs a scenario twice and compares all events and the records.
///
/// # Errors
/// The first event that differs.
pub fn run_twice(scenario: &Scenario) -> Result<(RunRecord, Trace), Difference> {
    let ((record, first), (again, second)) = (run_traced(scenario), run_traced(scenario));
    let differs = first.first_difference(&second).or_else(|| (record != again).then_some(first.len()));
    match differs {
        None => Ok((record, first)),
        Some(nth) => Err(Difference { number: nth + 1, second: second.line(nth) }),
    }
}
