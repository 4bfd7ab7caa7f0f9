//! All metrics of runs side by side, for each row: what a ranking by one of them does not say.

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
    /// What the rows are.
    pub by: By,
    /// The rows, in the order of the axes.
    pub rows: Vec<ProfileRow>,
}

/// The metrics of one row.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProfileRow {
    /// Its name.
    pub name: String,
    /// What each metric comes to; those without a value are left out.
    pub metrics: Vec<(RunMetricName, Typical)>,
}

/// A metric of runs, written by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunMetricName(pub RunMetric);

impl Serialize for RunMetricName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

/// What a metric comes to, over all seeds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Typical {
    /// The mean of a number.
    Mean {
        /// The mean.
        mean: f64,
    },
    /// Episodes, of which some may never have been seen to end.
    Episodes {
        /// The time by which half have ended (Kaplan and Meier); none if that was never seen.
        median_s: Option<f64>,
        /// The mean up to the longest that was seen.
        restricted_mean_s: f64,
        /// Number of were seen to end.
        ended: usize,
        /// Number of were not.
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
    /// Returns whether anything failed in any of its runs.
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
    /// What a metric comes to.
    #[must_use]
    pub fn get(&self, metric: RunMetric) -> Option<Typical> {
        self.metrics.iter().find(|(name, _)| name.0 == metric).map(|(_, typical)| *typical)
    }
}

fn typical(grid: &Grid, case: usize, group: &Group, metric: RunMetric) -> Option<Typical> {
    let metric = ResultMetric::Run(metric);
    if metric.form() == ValueKind::Number {
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
