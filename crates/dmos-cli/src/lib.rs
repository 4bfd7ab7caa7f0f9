//! The command line of DMOS, as a library, so that a binary with strategies of one's own is one line:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     // use my_strategies as _;
//!     dmos::main()
//! }
//! ```
//!
//! Data goes to stdout or to files, words go to stderr. The exit code is 0 if all went well, 1 if
//! something could not be written, a check has found something or a run failed, 2 for bad input: then nothing was
//! run, 3 for what is not complete, and 75 after a signal: what is done is kept, and the same command goes on.
//!
//! | module | its job |
//! |---|---|
//! | `args` | the arguments as they are typed |
//! | `commands` | one file per command |
//! | `failure` | what ends the program, and with which exit code |
//! | `conducted` | makes the runs of an experiment, with progress, until a signal |
//! | `output` | stdout and stderr |

mod args;
mod commands;
mod error;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use dmos_core::Registry;
// Linked for what they register.
use dmos_exec as _;
use dmos_strategies as _;

use args::{Arguments, Command};
use error::CliError;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let words = failure.to_string();
            if !words.is_empty() {
                output::say(&words);
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
