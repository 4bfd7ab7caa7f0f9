//! Errors of commands, and the exit codes: the only place that defines them.

use std::process::ExitCode;

use dmos_experiment::ExperimentError;
use dmos_experiment::manifest::ManifestError;
use dmos_experiment::store::StoreError;
use dmos_scenario::ScenarioError;
use thiserror::Error;

/// The reason why a command did not succeed.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The input is invalid; nothing was run.
    #[error("error: {0}")]
    Input(String),
    /// A scenario is invalid; nothing was run. The message is already formatted.
    #[error("{0}")]
    Scenario(#[from] ScenarioError),
    /// A check found a problem.
    #[error("{0}")]
    Found(String),
    /// Results are incomplete.
    #[error("{0}")]
    Incomplete(String),
    /// A signal interrupted the command; finished work is kept.
    #[error("{0}")]
    Interrupted(String),
    /// The reader of stdout has closed it; no message is printed.
    #[error("")]
    ReaderGone,
    /// Output could not be written.
    #[error("error: {0}")]
    Output(String),
}

impl From<ExperimentError> for CliError {
    fn from(error: ExperimentError) -> Self {
        match error {
            ExperimentError::File(error) => Self::Scenario(error),
            ExperimentError::Input(message) => Self::Input(message),
        }
    }
}

impl From<ManifestError> for CliError {
    fn from(error: ManifestError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        if error.is_input() { Self::Input(message) } else { Self::Output(message) }
    }
}

impl CliError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::ReaderGone => ExitCode::SUCCESS,
            Self::Output(_) | Self::Found(_) => ExitCode::from(1),
            Self::Input(_) | Self::Scenario(_) => ExitCode::from(2),
            Self::Incomplete(_) => ExitCode::from(3),
            // `EX_TEMPFAIL` of sysexits.h: try again.
            Self::Interrupted(_) => ExitCode::from(75),
        }
    }
}
