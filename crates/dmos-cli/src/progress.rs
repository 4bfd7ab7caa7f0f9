//! Execution of experiments with a progress bar, until all runs are complete or a signal interrupts.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmos_experiment::execute::{RunResult, execute, threads};
use dmos_experiment::{PreparedExperiment, Store};
use dmos_report::comparison::short;
use dmos_util::panics::keep_panics_quiet;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use rayon::ThreadPool;

use crate::error::CliError;

/// Executes runs on a thread pool until it is stopped.
pub(crate) struct Executor {
    pool: ThreadPool,
    stop: Arc<AtomicBool>,
}

impl Executor {
    /// Installs signal handlers: the first signal ends the work cleanly, a second one at once.
    pub(crate) fn new(jobs: Option<NonZeroUsize>) -> Result<Self, CliError> {
        let pool =
            threads(jobs).map_err(|error| CliError::Output(format!("cannot start threads: {error}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        for &signal in SIGNALS {
            let registered = signal_hook::flag::register_conditional_shutdown(signal, 75, Arc::clone(&stop))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
            registered.map_err(|error| CliError::Output(format!("cannot handle signals: {error}")))?;
        }
        Ok(Self { pool, stop })
    }

    /// Returns the thread pool.
    pub(crate) fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// Returns whether a signal was received.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Executes runs, and passes each result to `take`.
    pub(crate) fn execute(
        &self,
        prepared: &PreparedExperiment,
        runs: &[usize],
        mut take: impl FnMut(RunResult) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        if runs.is_empty() {
            return Ok(());
        }
        // The bar is only shown on a terminal.
        let bar = ProgressBar::new(runs.len() as u64);
        let style = "{bar:30} {pos} of {len} runs, {rate} a second, {eta} left{msg}";
        let style = ProgressStyle::with_template(style).expect("the template is valid");
        let rate = |state: &ProgressState, to: &mut dyn Write| {
            // Errors of the progress bar are ignored.
            let _ = write!(to, "{}", short(state.per_sec()));
        };
        bar.set_style(style.with_key("rate", rate));
        keep_panics_quiet();
        let result = execute(prepared, runs, &self.pool, &self.stop, |result| {
            bar.inc(1);
            if self.is_stopped() {
                bar.set_message("; finishing the current runs; interrupt again to stop at once");
            }
            take(result)
        });
        let _ = std::panic::take_hook();
        bar.finish_and_clear();
        result
    }

    /// Executes the missing runs of a shard.
    pub(crate) fn execute_shard(
        &self,
        store: &Store,
        shard: usize,
        prepared: &PreparedExperiment,
    ) -> Result<ShardResult, CliError> {
        let mut attempt = store.attempt(shard)?;
        let remaining = attempt.remaining();
        self.execute(prepared, &remaining, |result| Ok(attempt.keep(&result)?))?;
        let (failed, left) = (attempt.failed(), attempt.remaining().len());
        attempt.end()?;
        Ok(ShardResult { executed: remaining.len() - left, left, failed })
    }
}

/// Result of a shard.
pub(crate) struct ShardResult {
    /// Number of runs executed now.
    pub(crate) executed: usize,
    /// Number of runs still missing.
    pub(crate) left: usize,
    /// Number of failed runs, now or earlier.
    pub(crate) failed: usize,
}

/// Ctrl-C, and the signals that batch engines send before they kill a process.
#[cfg(unix)]
const SIGNALS: &[i32] =
    &[signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGUSR1];

#[cfg(not(unix))]
const SIGNALS: &[i32] = &[signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
