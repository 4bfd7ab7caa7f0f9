//! Runs an experiment on all cores.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use dmos_compare::RunSummary;
use dmos_core::record::PlanRecord;
use dmos_core::{NoFlow, Scenario};
use dmos_util::panics::caught;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::experiment::PreparedExperiment;

/// Result of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct RunResult {
    /// Number of the run.
    pub run: usize,
    /// Summary, or a description of the failure: a panic, or a failed external planner.
    pub result: Result<RunSummary, String>,
}

/// Returns a pool of this many threads; by default one per core.
///
/// # Errors
/// If the threads cannot be created.
pub fn threads(jobs: Option<NonZeroUsize>) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new().num_threads(jobs.map_or(0, NonZeroUsize::get)).build()
}

/// Executes the given runs in roughly this order, and passes each result to `take` as soon as it is available,
/// in no particular order. Once `stop` is set, no further run is started, and running ones are finished.
///
/// # Errors
/// Any error of `take`; then no further run is started either.
pub fn execute<E: Send>(
    prepared: &PreparedExperiment,
    runs: &[usize],
    pool: &ThreadPool,
    stop: &AtomicBool,
    mut take: impl FnMut(RunResult) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    let work = |sender: &mpsc::Sender<RunResult>| {
        while !stop.load(Ordering::Relaxed) {
            let Some(&run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let result = execute_run(&prepared.scenario(run));
            // The receiver has stopped taking results.
            if sender.send(RunResult { run, result }).is_err() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(move || pool.broadcast(|_| work(&sender)));
        results.into_iter().try_for_each(&mut take)
    })
}

/// Executes one run, and its fault-free counterpart where something can fail.
fn execute_run(scenario: &Scenario) -> Result<RunSummary, String> {
    caught(|| {
        let record = dmos_sim::run(scenario);
        let failed = |plan: &PlanRecord| match &plan.no_flow {
            Some(failed @ NoFlow::PlannerFailed { .. }) => Some(failed.explain(&scenario.network)),
            _ => None,
        };
        if let Some(why) = record.plans.iter().find_map(failed) {
            return Err(why);
        }
        if scenario.faults.is_fault_free() {
            return Ok(RunSummary::of(scenario, &record, &record));
        }
        let fault_free = Scenario { faults: scenario.faults.fault_free(), ..scenario.clone() };
        Ok(RunSummary::of(scenario, &record, &dmos_sim::run(&fault_free)))
    })
    .and_then(|summary| summary)
}
