//! A running program that answers lines within a time limit.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Maximum length of an answer, in bytes: a flow of millions of edges.
const ANSWER_MAX: usize = 64 << 20;

/// Interval at which the end of a program is checked.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: u128 = 400;

/// A program with its pipes. It and the programs that it starts end when this value is dropped.
pub(crate) struct Process {
    child: Child,
    /// `None` after a failure.
    ends: Option<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Process {
    /// Starts a program, with the stderr of this process.
    pub(crate) fn start(command: &str) -> Result<Self, String> {
        let mut words = command.split_whitespace();
        let program = words.next().ok_or("the command is empty")?;
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        in_group_of_its_own(&mut command);
        let started = command.spawn();
        let mut child = started.map_err(|error| format!("`{program}` cannot be started: {error}"))?;
        let ends = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        Ok(Self { child, ends })
    }

    /// Returns whether the program has neither failed nor ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.ends.is_some() && matches!(self.child.try_wait(), Ok(None))
    }

    /// Writes lines and reads the answer. After an error the program must not be used any more.
    ///
    /// A separate thread does both, because a program that does not read must not block this one either.
    pub(crate) fn ask(&mut self, lines: String, limit: Duration) -> Result<String, String> {
        let (mut stdin, mut stdout) = self.ends.take().ok_or("it failed earlier")?;
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let written = stdin.write_all(lines.as_bytes()).and_then(|()| stdin.flush());
            let mut answer = String::new();
            let read = (&mut stdout).take(ANSWER_MAX as u64).read_line(&mut answer);
            // The requesting thread may have given up.
            let _ = sender.send((written, read.map(|_| answer), (stdin, stdout)));
        });
        match receiver.recv_timeout(limit) {
            Ok((_, Ok(answer), ends)) if answer.ends_with('\n') => {
                self.ends = Some(ends);
                Ok(answer)
            }
            Ok((_, Ok(answer), _)) if answer.len() == ANSWER_MAX => {
                Err(format!("its answer is longer than {} MiB", ANSWER_MAX >> 20))
            }
            Ok((_, Err(error), _)) => Err(format!("its answer cannot be read: {error}")),
            Ok((..)) | Err(RecvTimeoutError::Disconnected) => Err(self.end(limit)),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("it gave no answer within {limit:?} of wall-clock time"))
            }
        }
    }

    /// Returns a description of how the program ended after it closed its stdout.
    fn end(&mut self, limit: Duration) -> String {
        let looks = limit.as_millis().div_ceil(LOOK_EVERY.as_millis()).min(LOOKS_MAX);
        for _ in 0..looks {
            match self.child.try_wait() {
                Ok(Some(status)) => return format!("it exited without an answer, with {status}"),
                Ok(None) => std::thread::park_timeout(LOOK_EVERY),
                Err(error) => return format!("it exited without an answer: {error}"),
            }
        }
        "it closed its output without an answer, and continued to run".to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ends = None;
        // The program may have ended by itself.
        kill_group(&mut self.child);
        let _ = self.child.wait();
    }
}

/// Makes a program the leader of a group of processes, to which all programs belong that it starts.
#[cfg(unix)]
fn in_group_of_its_own(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn in_group_of_its_own(_: &mut Command) {}

/// Ends a program and those that it has started, as far as the system knows groups of processes.
#[cfg(unix)]
fn kill_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    // The number is not reused before the program has been waited for.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

#[cfg(not(unix))]
fn kill_group(child: &mut Child) {
    let _ = child.kill();
}
