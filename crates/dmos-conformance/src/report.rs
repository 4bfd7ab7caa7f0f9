//! What came of the checks.

use std::fmt;

/// All checks of one strategy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The strategy with its parameters.
    pub strategy: String,
    /// Each check, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// What must hold.
    pub demand: &'static str,
    /// True if it does.
    pub outcome: CheckOutcome,
}

/// What came of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckOutcome {
    /// It holds, as far as was looked: how far that is.
    Passed(String),
    /// It does not: the first case found.
    Failed(String),
    /// It is not demanded: why.
    NotDemanded(String),
}

impl Report {
    /// Returns whether no check has failed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.outcome, CheckOutcome::Failed(_)))
    }

    /// For tests.
    ///
    /// # Panics
    /// If a check has failed, with all of them.
    pub fn assert_passed(&self) {
        assert!(self.has_passed(), "{self}");
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, words) = match &self.outcome {
            CheckOutcome::Passed(words) => ("passed", words),
            CheckOutcome::Failed(words) => ("FAILED", words),
            CheckOutcome::NotDemanded(words) => ("  -   ", words),
        };
        write!(f, "{mark}  {}: {words}", self.demand)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.strategy)?;
        self.checks.iter().try_for_each(|check| writeln!(f, "  {check}"))
    }
}
