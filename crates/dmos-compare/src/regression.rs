//! Regression check: compares results with earlier ones of the same experiment.
//!
//! Both use the same seeds, so a run that no change affects is identical; where all runs of a comparison are,
//! there is nothing to test. All others are tested and corrected for their number.

use serde::Serialize;

use crate::grid::{By, Grid, Group};
use crate::ranking::{Compared, ResampleCache, differences, mean};
use crate::run_metric::{Better, ResultMetric, RunMetric, ValueKind};
use crate::statistics::{Differences, holm, survival};
use crate::verdict::{Direction, Verdict};

/// Result of a regression check.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Regression {
    /// Number of runs that both results have.
    pub runs: usize,
    /// Number of runs that differ in any metric.
    pub differing: usize,
    /// Number of comparisons: each metric, in each case, for each combination.
    pub comparisons: usize,
    /// Comparisons that differ in some run, most significant first.
    pub changes: Vec<MetricChange>,
}

/// A changed metric of a combination in a case.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct MetricChange {
    /// The case.
    pub case: String,
    /// The combination.
    pub combination: String,
    /// The metric.
    pub metric: ResultMetric,
    /// Earlier mean.
    pub earlier: f64,
    /// Current mean.
    pub current: f64,
    /// Comparison of current with earlier results.
    pub compared: Compared,
    /// Verdict on the change.
    pub verdict: Verdict,
}

impl Regression {
    /// Returns whether any metric deteriorated.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.changes.iter().any(|change| change.verdict.direction() == Some(Direction::Worse))
    }
}

/// Compares current results with earlier ones.
///
/// # Panics
/// If their axes differ.
#[must_use]
pub fn against(current: &Grid, earlier: &Grid) -> Regression {
    assert!(current.axes == earlier.axes, "an experiment is compared with itself");
    let both = || {
        current
            .summaries()
            .iter()
            .zip(earlier.summaries())
            .filter_map(|(a, b)| Some((a.as_ref()?, b.as_ref()?)))
    };
    let (mut cache, mut comparisons) = (ResampleCache::default(), 0);
    let mut found: Vec<(MetricChange, Differences)> = Vec::new();
    for case in 0..current.axes.cases.len() {
        for group in current.groups(By::Combination) {
            for &metric in RunMetric::ALL.iter().filter(|metric| metric.better() != Better::Neither) {
                comparisons += 1;
                found.extend(change([current, earlier], case, &group, ResultMetric::Run(metric), &mut cache));
            }
        }
    }
    let p_values: Vec<f64> = found.iter().map(|(change, _)| change.compared.p).collect();
    let (tested, seeds) = (found.len(), current.axes.seeds.len());
    for ((change, differences), corrected) in found.iter_mut().zip(holm::corrected(&p_values)) {
        change.compared.p_corrected = corrected;
        let sure = (change.compared.interval, corrected);
        change.verdict =
            Verdict::new(differences, sure.0, sure.1, change.metric.better(), change.earlier, tested, seeds);
    }
    let mut changes: Vec<MetricChange> = found.into_iter().map(|(change, _)| change).collect();
    changes.sort_by(|a, b| a.compared.p.total_cmp(&b.compared.p));
    Regression {
        runs: both().count(),
        differing: both().filter(|(current, earlier)| current != earlier).count(),
        comparisons,
        changes,
    }
}

fn change(
    grids: [&Grid; 2],
    case: usize,
    group: &Group,
    metric: ResultMetric,
    cache: &mut ResampleCache,
) -> Option<(MetricChange, Differences)> {
    let [current, earlier] = values(grids, case, group, metric);
    let values = std::iter::once((&current[..], &earlier[..]));
    let differences = differences(values.clone());
    if differences.are_all_zero() {
        return None;
    }
    let change = MetricChange {
        case: grids[0].axes.cases[case].clone(),
        combination: group.name.clone(),
        metric,
        earlier: mean(earlier.iter().flatten().copied())?,
        current: mean(current.iter().flatten().copied())?,
        compared: Compared::of(values, metric.better(), cache)?,
        verdict: Verdict::NoValues,
    };
    Some((change, differences))
}

/// Returns the current and earlier values of a combination, by seed; episodes up to the same horizon.
fn values(grids: [&Grid; 2], case: usize, group: &Group, metric: ResultMetric) -> [Vec<Option<f64>>; 2] {
    let episodes = grids.map(|grid| grid.episodes(case, group, metric));
    if metric.value_kind() == ValueKind::Episodes && episodes[0] == episodes[1] {
        // Pseudo-observations of identical episodes would only differ by rounding.
        let nothing = vec![None; grids[0].axes.seeds.len()];
        return [nothing.clone(), nothing];
    }
    let longest = |episodes: &Vec<Vec<survival::Episode>>| {
        episodes.iter().flatten().map(|episode| episode.lasted).max_by(f64::total_cmp)
    };
    let horizon = episodes.iter().filter_map(longest).min_by(f64::total_cmp).unwrap_or(0.0);
    grids.map(|grid| grid.values(case, group, metric, horizon))
}
