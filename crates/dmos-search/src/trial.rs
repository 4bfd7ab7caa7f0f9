//! Trials: runs of scenario files, with their failures.

use std::fmt;

use dmos_core::record::Violation;
use dmos_core::{Registry, RunRecord, Scenario};
use dmos_scenario::{ScenarioError, ScenarioFile};
use dmos_util::panics::caught;

/// A scenario that was run.
#[derive(Debug)]
pub struct Trial {
    /// The failure, if there was one.
    pub failure: Option<TrialFailure>,
    /// Record of the run, if it completed.
    pub record: Option<RunRecord>,
}

/// Failure of a run.
#[derive(Clone, PartialEq, Debug)]
pub enum TrialFailure {
    /// Properties were violated: at least one violation, in order of time.
    Violations(Vec<Violation>),
    /// An assertion failed, which is a bug of the program.
    Panic(String),
    /// A repeated run differed.
    NotRepeatable(String),
}

impl TrialFailure {
    /// Returns whether this is the same kind of failure as another.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Violations(ours), Self::Violations(theirs)) => {
                theirs.iter().any(|violation| violation.property == ours[0].property)
            }
            (Self::Panic(one), Self::Panic(other)) => place(one) == place(other),
            (Self::NotRepeatable(_), Self::NotRepeatable(_)) => true,
            _ => false,
        }
    }

    /// Returns a name for use in file names.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Violations(violations) => violations[0].property.name(),
            Self::Panic(_) => "panic",
            Self::NotRepeatable(_) => "not_repeatable",
        }
    }
}

impl fmt::Display for TrialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violations(violations) => {
                let violation = &violations[0];
                let (property, at) = (violation.property.name(), violation.at.as_secs_f64());
                write!(f, "{property}, at {at} s: {}", violation.description)
            }
            Self::Panic(message) => write!(f, "an assertion failed: {message}"),
            Self::NotRepeatable(difference) => f.write_str(difference),
        }
    }
}

/// Returns the location of a panic without its message, which may contain varying numbers.
fn place(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Runs the scenario of a file; `twice` also checks that a repeated run is identical.
///
/// # Errors
/// If the file is not a valid scenario.
pub fn try_out(file: &ScenarioFile, twice: bool, registry: &Registry) -> Result<Trial, ScenarioError> {
    let loaded = dmos_scenario::parse("scenario", "scenario", file.to_yaml(), &[], registry)?;
    Ok(run(&loaded.scenario, twice))
}

/// Runs a scenario.
#[must_use]
pub fn run(scenario: &Scenario, twice: bool) -> Trial {
    let run = || match twice {
        true => dmos_sim::run_twice(scenario).map(|(record, _)| record),
        false => Ok(dmos_sim::run(scenario)),
    };
    match caught(run) {
        Ok(Ok(record)) => {
            let failure = (!record.is_clean()).then(|| TrialFailure::Violations(record.violations.clone()));
            Trial { failure, record: Some(record) }
        }
        Ok(Err(difference)) => {
            Trial { failure: Some(TrialFailure::NotRepeatable(difference.to_string())), record: None }
        }
        Err(message) => Trial { failure: Some(TrialFailure::Panic(message)), record: None },
    }
}
