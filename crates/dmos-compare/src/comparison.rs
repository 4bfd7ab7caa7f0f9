//! The comparison of an experiment's results: all rankings and profiles, failed runs, and metrics that must be zero.

use rayon::prelude::*;
use serde::Serialize;

use crate::grid::{Axes, By, Combination, Grid};
use crate::profile::{Profile, profile};
use crate::ranking::{self, Table};
use crate::run_metric::{ResultMetric, RunMetric};

/// The comparison of an experiment's results.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// Names of cases, strategies and seeds.
    pub axes: Axes,
    /// Baseline flow strategy.
    pub baseline_flow: String,
    /// Baseline leader strategy.
    pub baseline_leader: String,
    /// Baseline failure detector.
    pub baseline_detector: String,
    /// Number of runs in the experiment.
    pub runs: usize,
    /// Number of missing runs.
    pub missing: usize,
    /// Failed runs.
    pub failed: Vec<FailedRun>,
    /// Conditions that limit the conclusions, derived from the scenarios.
    pub cautions: Vec<String>,
    /// Metrics that must be zero but are not.
    pub nonzero_metrics: Vec<NonzeroMetric>,
    /// The rankings: by case, then over all cases.
    pub tables: Vec<Table>,
    /// The profiles of those cases in which something failed.
    pub profiles: Vec<Profile>,
}

/// A run that failed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FailedRun {
    /// Name of the run.
    pub run: String,
    /// Reason of the failure.
    pub why: String,
}

/// A metric that must be zero but is not.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NonzeroMetric {
    /// The metric.
    pub metric: &'static str,
    /// The case.
    pub case: String,
    /// Number of affected runs.
    pub runs: usize,
    /// The first affected run.
    pub first: String,
}

/// Metrics that must be zero.
const MUST_BE_ZERO: [RunMetric; 3] =
    [RunMetric::BatchesLost, RunMetric::BatchesConsumedTwice, RunMetric::Violations];

impl Comparison {
    /// Compares all strategies with the baseline.
    /// `missing` runs are not available.
    ///
    /// # Panics
    /// If there is no such baseline.
    #[must_use]
    pub fn of(
        grid: &Grid,
        baseline: Combination,
        metrics: &[ResultMetric],
        missing: usize,
        failed: Vec<FailedRun>,
    ) -> Self {
        let axes = &grid.axes;
        let every_case = (0..axes.cases.len()).map(Some);
        let cases: Vec<Option<usize>> = every_case.chain((axes.cases.len() > 1).then_some(None)).collect();
        let rankings: Vec<_> = cases
            .iter()
            .flat_map(|&case| {
                metrics.iter().flat_map(move |&metric| by(axes).map(move |by| (case, by, metric)))
            })
            .collect();
        let rank = |(case, by, metric)| {
            let baseline = match by {
                By::Flow => baseline.flow,
                By::Leader => baseline.leader,
                By::Detector => baseline.detector,
                By::Combination => axes.combination_index(baseline),
            };
            ranking::rank(grid, case, by, metric, baseline)
        };
        // The order in which threads process them does not affect the results.
        let tables = rankings.into_par_iter().map(rank).collect();
        let in_case = |case| {
            // The profiles of all combinations would be unreadable.
            let families = by(axes).filter(|&by| by != By::Combination);
            families.map(move |by| profile(grid, case, by))
        };
        let profiles: Vec<Profile> = (0..axes.cases.len()).flat_map(in_case).collect();
        Self {
            axes: axes.clone(),
            baseline_flow: axes.flows[baseline.flow].clone(),
            baseline_leader: axes.leaders[baseline.leader].clone(),
            baseline_detector: axes.detectors[baseline.detector].clone(),
            runs: axes.runs(),
            missing,
            failed,
            cautions: Vec::new(),
            nonzero_metrics: nonzero_metrics(grid),
            tables,
            profiles: profiles.into_iter().filter(Profile::has_failures).collect(),
        }
    }
}

/// Returns the kinds of comparison: by each family with several strategies, and by combination if several
/// families have several.
fn by(axes: &Axes) -> impl Iterator<Item = By> + use<> {
    let families = [(By::Flow, &axes.flows), (By::Leader, &axes.leaders), (By::Detector, &axes.detectors)];
    let mut by: Vec<By> =
        families.into_iter().filter(|(_, names)| names.len() > 1).map(|(by, _)| by).collect();
    match by.len() {
        0 => by.push(By::Flow),
        1 => {}
        _ => by.push(By::Combination),
    }
    by.into_iter()
}

/// Returns the largest number of comparisons with a baseline in one table.
#[must_use]
pub fn most_comparisons(axes: &Axes) -> usize {
    let rows = |by| match by {
        By::Flow => axes.flows.len(),
        By::Leader => axes.leaders.len(),
        By::Detector => axes.detectors.len(),
        By::Combination => axes.flows.len() * axes.leaders.len() * axes.detectors.len(),
    };
    by(axes).map(rows).max().unwrap_or(1) - 1
}

fn nonzero_metrics(grid: &Grid) -> Vec<NonzeroMetric> {
    let axes = &grid.axes;
    let mut nonzero_metrics: Vec<NonzeroMetric> = Vec::new();
    for (run, summary) in grid.summaries().iter().enumerate() {
        let Some(summary) = summary else { continue };
        let case = &axes.cases[axes.cell(run).case];
        for metric in MUST_BE_ZERO {
            if summary.number(ResultMetric::Run(metric)).is_none_or(|number| number == 0.0) {
                continue;
            }
            match nonzero_metrics
                .iter_mut()
                .find(|nonzero| (nonzero.metric, &nonzero.case) == (metric.name(), case))
            {
                Some(nonzero) => nonzero.runs += 1,
                None => nonzero_metrics.push(NonzeroMetric {
                    metric: metric.name(),
                    case: case.clone(),
                    runs: 1,
                    first: axes.name(run),
                }),
            }
        }
    }
    nonzero_metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Cell;
    use crate::run_summary::{Episodes, RunSummary};

    #[test]
    fn a_comparison_has_one_ranking_per_case_family_and_metric() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let axes = Axes {
            cases: names(&["small", "large"]),
            flows: names(&["simple", "good"]),
            leaders: names(&["bully", "raft"]),
            detectors: names(&["chen"]),
            seeds: vec![1, 2, 3],
        };
        let summary = |run: usize| {
            let Cell { case, flow, leader, .. } = axes.cell(run);
            let mut numbers = vec![None; ResultMetric::all().count()];
            numbers[ResultMetric::Run(RunMetric::FinishedGoods).index()] = Some(10.0 + flow as f64);
            let lost = if (case, flow, leader) == (1, 1, 0) { 2.0 } else { 0.0 };
            numbers[ResultMetric::Run(RunMetric::BatchesLost).index()] = Some(lost);
            Some(RunSummary { numbers, episodes: Episodes::default() })
        };
        let grid = Grid::new(axes.clone(), (0..axes.runs()).map(summary).collect());
        let metrics =
            [ResultMetric::Run(RunMetric::FinishedGoods), ResultMetric::Run(RunMetric::BatchesLost)];
        let baseline = Combination { flow: 1, leader: 1, detector: 0 };
        let comparison = Comparison::of(&grid, baseline, &metrics, 0, Vec::new());
        // Two cases and all of them, three kinds, two metrics.
        assert_eq!(comparison.tables.len(), 3 * 3 * 2);
        let last = &comparison.tables[12];
        assert_eq!((last.case.as_ref(), last.by, last.rows[0].name.as_str()), (None, By::Flow, "good"));
        assert_eq!(
            (comparison.baseline_flow.as_str(), comparison.baseline_leader.as_str()),
            ("good", "raft")
        );
        let [nonzero] = &comparison.nonzero_metrics[..] else { panic!("{:?}", comparison.nonzero_metrics) };
        assert_eq!((nonzero.metric, nonzero.case.as_str(), nonzero.runs), ("batches_lost", "large", 3));
        assert_eq!(nonzero.first, "large, good/bully, seed 1");
        assert!(comparison.profiles.is_empty());
        assert_eq!(most_comparisons(&axes), 3);
        let alone = Axes { flows: names(&["good"]), leaders: names(&["raft"]), ..axes };
        assert_eq!(most_comparisons(&alone), 0);
    }
}
