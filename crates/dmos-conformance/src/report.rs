//! Results of conformance checks.

use std::fmt;

/// All checks of one strategy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The strategy with its parameters.
    pub strategy: String,
    /// All checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// Result of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// The requirement.
    pub requirement: &'static str,
    /// The outcome.
    pub outcome: CheckOutcome,
}

/// Outcome of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckOutcome {
    /// The requirement holds, to the stated extent.
    Passed(String),
    /// The requirement does not hold: the first counterexample.
    Failed(String),
    /// The requirement does not apply: the reason.
    NotApplicable(String),
}

impl Report {
    /// Returns whether no check has failed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.outcome, CheckOutcome::Failed(_)))
    }

    /// Asserts in tests that no check has failed.
    ///
    /// # Panics
    /// If a check has failed; the message lists all checks.
    pub fn assert_passed(&self) {
        assert!(self.has_passed(), "{self}");
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, words) = match &self.outcome {
            CheckOutcome::Passed(words) => ("passed", words),
            CheckOutcome::Failed(words) => ("FAILED", words),
            CheckOutcome::NotApplicable(words) => ("  -   ", words),
        };
        write!(f, "{mark}  {}: {words}", self.requirement)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.strategy)?;
        self.checks.iter().try_for_each(|check| writeln!(f, "  {check}"))
    }
}
