//! Profiles: all run metrics side by side, for each row.

use serde::Serialize;

use crate::grid::{By, Grid, Group};
use crate::ranking::mean;
use crate::run_metric::{ResultMetric, RunMetric, ValueKind};
use crate::statistics::survival::{Episode, Survival};

/// The metrics of each row in one case.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Profile {
    /// The case.
    pub case: String,
    /// Subject of the rows.
    pub by: By,
    /// The rows, in the order of the axes.
    pub rows: Vec<ProfileRow>,
}

/// The metrics of one row.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProfileRow {
    /// Name of the row.
    pub name: String,
    /// Typical values of the metrics; metrics without a value are left out.
    pub metrics: Vec<(RunMetricName, Typical)>,
}

/// A run metric, serialized by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunMetricName(pub RunMetric);

impl Serialize for RunMetricName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

/// Typical value of a metric over all seeds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Typical {
    /// The mean of a number.
    Mean {
        /// The mean.
        mean: f64,
    },
    /// Episodes, of which some may be censored.
    Episodes {
        /// Median duration (Kaplan and Meier), or `None` if it was not observed.
        median_s: Option<f64>,
        /// Mean duration, restricted to the longest observation.
        restricted_mean_s: f64,
        /// Number of episodes that ended.
        ended: usize,
        /// Number of censored episodes.
        censored: usize,
    },
}

/// Returns the profile of a case.
#[must_use]
pub fn profile(grid: &Grid, case: usize, by: By) -> Profile {
    let rows = grid.groups(by).into_iter().map(|group| {
        let typical =
            |&metric: &RunMetric| Some((RunMetricName(metric), typical(grid, case, &group, metric)?));
        let metrics = RunMetric::ALL.iter().filter_map(typical).collect();
        ProfileRow { name: group.name.clone(), metrics }
    });
    Profile { case: grid.axes.cases[case].clone(), by, rows: rows.collect() }
}

impl Profile {
    /// Returns whether any failure occurred in the runs.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        let fails = |row: &ProfileRow| {
            let below = row.get(RunMetric::NodesDegraded);
            row.get(RunMetric::TimeToDetect).is_some()
                || row.get(RunMetric::Loss).is_some()
                || matches!(below, Some(Typical::Mean { mean }) if mean > 0.0)
        };
        self.rows.iter().any(fails)
    }
}

impl ProfileRow {
    /// Returns the typical value of a metric.
    #[must_use]
    pub fn get(&self, metric: RunMetric) -> Option<Typical> {
        self.metrics.iter().find(|(name, _)| name.0 == metric).map(|(_, typical)| *typical)
    }
}

fn typical(grid: &Grid, case: usize, group: &Group, metric: RunMetric) -> Option<Typical> {
    let metric = ResultMetric::Run(metric);
    if metric.value_kind() == ValueKind::Number {
        let values = grid.values(case, group, metric, 0.0);
        return mean(values.into_iter().flatten()).map(|mean| Typical::Mean { mean });
    }
    let episodes: Vec<Episode> = grid.episodes(case, group, metric).into_iter().flatten().collect();
    let longest = episodes.iter().map(|episode| episode.lasted).max_by(f64::total_cmp)?;
    let survival = Survival::of(&episodes);
    let ended = episodes.iter().filter(|episode| episode.ended).count();
    Some(Typical::Episodes {
        median_s: survival.median(),
        restricted_mean_s: survival.restricted_mean(longest),
        ended,
        censored: episodes.len() - ended,
    })
}
