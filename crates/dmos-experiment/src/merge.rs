//! The merged results of all shards.

use std::path::PathBuf;

use dmos_compare::{Grid, ResultMetric, RunSummary};

use crate::execute::RunResult;
use crate::manifest::Manifest;
use crate::store::{Lines, Store, StoreError, read_line};

/// The results of an experiment.
#[derive(Clone, PartialEq, Debug)]
pub struct Merged {
    /// The experiment.
    pub manifest: Manifest,
    /// Result of each run, in order; `None` where it is missing.
    pub results: Vec<Option<Result<RunSummary, String>>>,
}

/// Merges the results in several directories.
///
/// # Errors
/// If they hold no experiment or different ones, or two attempts at a run have different results.
///
/// # Panics
/// If there is no directory.
pub fn merge(directories: &[PathBuf]) -> Result<Merged, StoreError> {
    let mut lines = Lines::new();
    let mut first: Option<Manifest> = None;
    for directory in directories {
        let store = Store::open(directory)?;
        let manifest = first.get_or_insert_with(|| store.manifest().clone());
        if (&manifest.id, manifest.shards) != (&store.manifest().id, store.manifest().shards) {
            return Err(StoreError::OtherExperiment { directory: directory.clone() });
        }
        store.read_all(&mut lines)?;
    }
    let manifest = first.expect("a directory to merge");
    Ok(Merged::of(manifest, lines.values().filter_map(|line| read_line(line))))
}

impl Merged {
    /// Merges results given in any order.
    #[must_use]
    pub fn of(manifest: Manifest, results: impl IntoIterator<Item = RunResult>) -> Self {
        let mut merged = Self { results: vec![None; manifest.runs()], manifest };
        results.into_iter().for_each(|RunResult { run, result }| merged.results[run] = Some(result));
        merged
    }

    /// Returns the runs without a result.
    #[must_use]
    pub fn missing(&self) -> Vec<usize> {
        let is_missing = |run: &usize| self.results[*run].is_none();
        (0..self.results.len()).filter(is_missing).collect()
    }

    /// Returns the failed runs, with descriptions.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &str)> {
        self.results.iter().enumerate().filter_map(|(run, result)| match result {
            Some(Err(why)) => Some((run, why.as_str())),
            _ => None,
        })
    }

    /// Returns the summaries, arranged for comparison. Metrics are found by name, because an earlier version
    /// may have had other metrics or another order.
    #[must_use]
    pub fn grid(&self) -> Grid {
        let places: Vec<Option<usize>> = ResultMetric::all()
            .map(|metric| self.manifest.columns.iter().position(|column| column == metric.name()))
            .collect();
        let translate = |summary: &RunSummary| {
            let number =
                |place: &Option<usize>| place.and_then(|place| summary.numbers.get(place).copied().flatten());
            RunSummary { numbers: places.iter().map(number).collect(), episodes: summary.episodes.clone() }
        };
        let summary = |result: &Option<Result<RunSummary, String>>| match result {
            Some(Ok(summary)) => Some(translate(summary)),
            _ => None,
        };
        Grid::new(self.manifest.experiment.axes(), self.results.iter().map(summary).collect())
    }
}
