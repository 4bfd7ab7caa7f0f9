//! Runs very many drawn scenarios, on all cores, with the same result on any number of them.

use std::collections::BTreeMap;

use dmos_core::record::FaultCount;
use dmos_core::{FaultKind, Property, PropertyKind, Registry, RunRecord, Span};
use dmos_scenario::{ScenarioError, ScenarioFile};
use rayon::prelude::*;

use crate::draw::Subject;
use crate::trial::{Trial, TrialFailure, try_out};

/// Every so many runs, one is run twice to see that it is the same.
const TWICE_EVERY: u64 = 16;

/// So many runs are made between two looks at the clock and at what has failed.
const ROUND: u64 = 128;

/// A search: what is drawn, from which seed, and from which number on.
pub struct Search<'a> {
    /// What is searched.
    pub subject: &'a Subject,
    /// The seed of everything drawn.
    pub seed: u64,
    /// The number of the first run.
    pub first: u64,
    /// The strategies that may be drawn.
    pub registry: &'a Registry,
}

/// A scenario that failed.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// Its number under the seed.
    pub number: u64,
    /// The scenario.
    pub file: ScenarioFile,
    /// How it failed.
    pub failure: TrialFailure,
}

/// What a search came to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SearchSummary {
    /// Runs made.
    pub runs: u64,
    /// Events simulated.
    pub events: u64,
    /// Virtual time simulated.
    pub simulated: Span,
    /// Batches made in all runs.
    pub batches: u64,
    /// Faults by kind: injected and effective.
    pub faults: BTreeMap<FaultKind, (u64, u64)>,
    /// In how many runs each state was come to.
    pub coverage: BTreeMap<Property, u64>,
    /// The first run that failed, by number.
    pub found: Option<Found>,
}

impl SearchSummary {
    /// Returns the states that no run came to.
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
    }
}

impl Search<'_> {
    /// Makes up to so many runs, until one fails or `goes_on` says no; it is asked after every round.
    ///
    /// # Errors
    /// If what is set makes a drawn scenario invalid.
    pub fn run(
        &self,
        runs: u64,
        mut goes_on: impl FnMut(&SearchSummary) -> bool,
    ) -> Result<SearchSummary, ScenarioError> {
        let mut summary = SearchSummary::default();
        while summary.runs < runs && summary.found.is_none() {
            let from = self.first + summary.runs;
            let numbers = from..from + ROUND.min(runs - summary.runs);
            let trials: Vec<_> = numbers.into_par_iter().map(|number| self.trial(number)).collect();
            for (number, trial) in (from..).zip(trials) {
                let (file, trial) = trial?;
                match (&trial.record, trial.failure) {
                    (Some(record), None) => summary.add(record, file.duration),
                    (_, failure) => {
                        let failure = failure.expect("a run without a record has failed");
                        summary.found = Some(Found { number, file, failure });
                        break;
                    }
                }
            }
            if !goes_on(&summary) {
                break;
            }
        }
        Ok(summary)
    }

    fn trial(&self, number: u64) -> Result<(ScenarioFile, Trial), ScenarioError> {
        let file = self.subject.draw(self.seed, number, self.registry)?;
        let trial = try_out(&file, number.is_multiple_of(TWICE_EVERY), self.registry)?;
        Ok((file, trial))
    }
}
