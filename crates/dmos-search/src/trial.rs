//! Runs a scenario file and says how it failed, if it did.

use std::fmt;

use dmos_core::record::Violation;
use dmos_core::{Registry, RunRecord, Scenario};
use dmos_scenario::{ScenarioError, ScenarioFile};
use dmos_sim::panics::caught;

/// A scenario that was run.
#[derive(Debug)]
pub struct Trial {
    /// How it failed; none if it did not.
    pub failure: Option<TrialFailure>,
    /// What the run left behind, if it came to an end.
    pub record: Option<RunRecord>,
}

/// How a run failed.
#[derive(Clone, PartialEq, Debug)]
pub enum TrialFailure {
    /// Properties do not hold: what was found, at least one, in the order of time.
    Violations(Vec<Violation>),
    /// An assertion failed: a bug of the program.
    Panic(String),
    /// Run again, it was not the same.
    NotRepeatable(String),
}

impl TrialFailure {
    /// Returns whether this is the same failure, seen on another scenario.
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

    /// A name for it, as a part of a file's name.
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

/// Returns the place of a panic; its message may hold metrics that differ from run to run.
fn place(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Runs the scenario that a file describes; `twice` also checks that it is the same when it is run again.
///
/// # Errors
/// If the file is no valid scenario.
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
