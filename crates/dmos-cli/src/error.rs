//! What ends the program, and with which exit code.

use std::process::ExitCode;

use dmos_experiment::ExperimentError;
use dmos_experiment::manifest::ManifestError;
use dmos_experiment::store::StoreError;
use dmos_scenario::ScenarioError;
use thiserror::Error;

/// Why a command did not do its work.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// The input is wrong; nothing was run.
    #[error("error: {0}")]
    Input(String),
    /// A scenario is wrong; nothing was run. Its message brings its own look.
    #[error("{0}")]
    Scenario(#[from] ScenarioError),
    /// A check has found what it looks for.
    #[error("{0}")]
    Found(String),
    /// Something is not complete yet.
    #[error("{0}")]
    Incomplete(String),
    /// A signal asked for the end; what is done is kept.
    #[error("{0}")]
    Interrupted(String),
    /// Whoever reads stdout has seen enough. There is nothing to say.
    #[error("")]
    ReaderGone,
    /// Something could not be written.
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
