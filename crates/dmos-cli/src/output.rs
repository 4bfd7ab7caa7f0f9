//! Output: stdout for data, stderr for messages.

use std::io::{self, Write};

use serde::Serialize;

use crate::error::CliError;

/// Writes data to stdout. If the reader closes the pipe, the program ends quietly.
pub(crate) fn print(data: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(data.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::ReaderGone,
        _ => CliError::Output(format!("cannot write to stdout: {error}")),
    })
}

/// Writes data to stdout as JSON on one line.
pub(crate) fn print_json(data: &impl Serialize) -> Result<(), CliError> {
    let json = serde_json::to_string(data).map_err(|error| CliError::Output(error.to_string()))?;
    print(&(json + "\n"))
}

/// Prints a message on stderr; errors are ignored.
pub(crate) fn eprint_message(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}
