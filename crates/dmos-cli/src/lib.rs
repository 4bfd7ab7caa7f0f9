//! The command line of DMOS as a library, so that a binary with further strategies takes one line:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     // use my_strategies as _;
//!     dmos::main()
//! }
//! ```
//!
//! Data go to stdout or to files, messages go to stderr. Exit codes are defined in `error`.
//!
//! | module | responsibility |
//! |---|---|
//! | `args` | command-line arguments |
//! | `commands` | the commands, one file each |
//! | `error` | errors and exit codes |
//! | `progress` | execution of experiments with a progress bar, until a signal |
//! | `output` | stdout and stderr |

mod args;
mod commands;
mod error;
mod output;
mod progress;

use std::process::ExitCode;

use dmos_core::Registry;
// Linked for the strategies that they register.
use dmos_exec as _;
use dmos_strategies as _;

use args::{Arguments, Command};
use error::CliError;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let result = run(&arguments);
    dmos_exec::end_all();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                output::eprint_message(&message);
            }
            failure.exit_code()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), CliError> {
    let registry = Registry::collect().map_err(|error| CliError::Input(error.to_string()))?;
    match &arguments.command {
        Command::Run(arguments) => commands::run::run(arguments, &registry),
        Command::Compare(arguments) => commands::compare::run(arguments, &registry),
        Command::Criticality(arguments) => commands::criticality::run(arguments, &registry),
        Command::Sweep(arguments) => commands::sweep::run(&arguments.command, &registry),
        Command::Bench(arguments) => commands::bench::run(arguments, &registry),
        Command::Check(arguments) => commands::check::run(arguments, &registry),
        Command::Network(arguments) => commands::network::run(arguments, &registry),
        Command::Plan(arguments) => commands::plan::run(arguments, &registry),
        Command::Strategies(arguments) => commands::strategies::run(arguments, &registry),
        Command::Fuzz(arguments) => commands::fuzz::run(arguments, &registry),
        Command::Shrink(arguments) => commands::shrink::run(arguments, &registry),
    }
}
