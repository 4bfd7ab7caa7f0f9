//! The search: runs many generated scenarios on all cores, with the same result on any number of them.

use std::collections::BTreeMap;

use dmos_core::record::FaultCount;
use dmos_core::{FaultKind, Property, PropertyKind, Registry, RunRecord, Span};
use dmos_scenario::{ScenarioError, ScenarioFile};
use rayon::prelude::*;

use crate::generate::Subject;
use crate::trial::{Trial, TrialFailure, try_out};

/// Interval, in runs, at which a run is repeated to check determinism.
const TWICE_EVERY: u64 = 16;

/// Number of runs between two checks of the time limit and of failures.
const ROUND: u64 = 128;

/// A search: its subject, its seed, and its first run.
pub struct Search<'a> {
    /// Subject of the search.
    pub subject: &'a Subject,
    /// Seed of all random choices.
    pub seed: u64,
    /// Number of the first run.
    pub first: u64,
    /// Strategies that may be used.
    pub registry: &'a Registry,
}

/// A failing scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct FailingScenario {
    /// Number of the scenario under the seed.
    pub number: u64,
    /// The scenario.
    pub file: ScenarioFile,
    /// The failure.
    pub failure: TrialFailure,
}

/// Result of a search.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SearchSummary {
    /// Number of runs executed.
    pub runs: u64,
    /// Number of events simulated.
    pub events: u64,
    /// Virtual time simulated.
    pub simulated: Span,
    /// Number of batches made in all runs.
    pub batches: u64,
    /// Number of faults by kind: injected and effective.
    pub faults: BTreeMap<FaultKind, (u64, u64)>,
    /// Number of runs that reached each coverage property.
    pub coverage: BTreeMap<Property, u64>,
    /// Number of runs in which each liveness property was judged.
    pub judged: BTreeMap<Property, u64>,
    /// The failing run with the lowest number.
    pub found: Option<FailingScenario>,
}

impl SearchSummary {
    /// Returns the coverage properties that no run reached.
    #[must_use]
    pub fn not_covered(&self) -> Vec<Property> {
        let sometimes = Property::ALL.iter().filter(|property| property.kind() == PropertyKind::Coverage);
        sometimes.copied().filter(|property| !self.coverage.contains_key(property)).collect()
    }

    fn add(&mut self, record: &RunRecord, duration: Span) {
        self.runs += 1;
        self.events += record.events;
        self.simulated += duration;
        self.batches += record.material.made;
        for FaultCount { kind, injected, effective } in &record.fault_counts {
            let count = self.faults.entry(*kind).or_default();
            count.0 += injected;
            count.1 += effective;
        }
        for (property, _) in &record.coverage {
            *self.coverage.entry(*property).or_default() += 1;
        }
        for property in &record.judged {
            *self.judged.entry(*property).or_default() += 1;
        }
    }
}

impl Search<'_> {
    /// Executes at most `runs` runs, until one fails or `has_time` returns `false`, which is called before each run.
    /// `report` is called after every round.
    ///
    /// # Errors
    /// If the settings make a generated scenario invalid.
    pub fn run(
        &self,
        runs: u64,
        has_time: impl Fn() -> bool + Sync,
        mut report: impl FnMut(&SearchSummary),
    ) -> Result<SearchSummary, ScenarioError> {
        let mut summary = SearchSummary::default();
        while summary.runs < runs && summary.found.is_none() {
            let from = self.first + summary.runs;
            let numbers = from..from + ROUND.min(runs - summary.runs);
            let trial = |number| has_time().then(|| self.trial(number));
            let trials: Vec<_> = numbers.into_par_iter().map(trial).collect();
            let mut is_stopped = false;
            for (number, trial) in (from..).zip(trials) {
                // Runs after one that was not made do not count, so that the numbers counted are consecutive.
                let Some(trial) = trial else {
                    is_stopped = true;
                    break;
                };
                let (file, trial) = trial?;
                match (&trial.record, trial.failure) {
                    (Some(record), None) => summary.add(record, file.duration),
                    (_, failure) => {
                        let failure = failure.expect("a run without a record has failed");
                        summary.found = Some(FailingScenario { number, file, failure });
                        break;
                    }
                }
            }
            report(&summary);
            if is_stopped {
                break;
            }
        }
        Ok(summary)
    }

    fn trial(&self, number: u64) -> Result<(ScenarioFile, Trial), ScenarioError> {
        let file = self.subject.generate(self.seed, number, self.registry)?;
        let trial = try_out(&file, number.is_multiple_of(TWICE_EVERY), self.registry)?;
        Ok((file, trial))
    }
}
