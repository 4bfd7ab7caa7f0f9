//! What ends the program, and with which exit code.

use std::process::ExitCode;

use dmos_scenario::ScenarioError;
use thiserror::Error;

/// Why a command did not do its work.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The input is wrong; nothing was run.
    #[error("error: {0}")]
    Input(String),
    /// A scenario is wrong; nothing was run. Its message brings its own look.
    #[error("{0}")]
    Scenario(#[from] ScenarioError),
    /// A check has found what it looks for.
    #[error("{0}")]
    Found(String),
    /// Whoever reads stdout has seen enough. There is nothing to say.
    #[error("")]
    ReaderGone,
    /// Something could not be written.
    #[error("error: {0}")]
    Output(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::ReaderGone => ExitCode::SUCCESS,
            Self::Output(_) | Self::Found(_) => ExitCode::from(1),
            Self::Input(_) | Self::Scenario(_) => ExitCode::from(2),
        }
    }
}
