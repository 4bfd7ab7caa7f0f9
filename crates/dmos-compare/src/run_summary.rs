//! Summaries of runs: the metrics by which they are compared.

use dmos_core::{Metric, RunRecord, Scenario, Time};
use serde::{Deserialize, Serialize};

use crate::resilience::{
    Output, leaderless_time, nodes_degraded, plan_nervousness, time_to_detect, time_to_replan,
    time_to_suspect,
};
use crate::run_metric::{ResultMetric, RunMetric, total};
use crate::statistics::survival::Episode;

/// The metrics of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    /// Value of each metric, in the order of [`ResultMetric::all`]; `None` where it is undefined.
    pub numbers: Vec<Option<f64>>,
    /// Metrics that consist of episodes.
    pub episodes: Episodes,
}

/// The run metrics that consist of episodes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Episodes {
    /// See [`RunMetric::TimeToSuspect`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_suspect: Vec<Episode>,
    /// See [`RunMetric::TimeToDetect`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_detect: Vec<Episode>,
    /// See [`RunMetric::TimeToReplan`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_replan: Vec<Episode>,
    /// See [`RunMetric::TimeToSurvive`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_survive: Vec<Episode>,
    /// See [`RunMetric::TimeToRecover`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_recover: Vec<Episode>,
}

impl RunSummary {
    /// Summarises a run of `scenario`. `fault_free` is its fault-free counterpart: the run itself if nothing
    /// can fail.
    #[must_use]
    pub fn of(scenario: &Scenario, record: &RunRecord, fault_free: &RunRecord) -> Self {
        let end = Time::ZERO + scenario.duration;
        let output = Output::of(scenario, record, fault_free);
        let number = |metric| match metric {
            ResultMetric::Run(metric) => number(scenario, record, fault_free, output.as_ref(), metric),
            ResultMetric::Nodes(metric) => total(record, metric),
        };
        let episodes = Episodes {
            time_to_suspect: time_to_suspect(record, end),
            time_to_detect: time_to_detect(record, end),
            time_to_replan: time_to_replan(record, end),
            time_to_survive: output.as_ref().map(Output::time_to_survive).unwrap_or_default(),
            time_to_recover: output.as_ref().map(Output::time_to_recover).unwrap_or_default(),
        };
        Self { numbers: ResultMetric::all().map(number).collect(), episodes }
    }

    /// Returns the value of a metric that is a number.
    #[must_use]
    pub fn number(&self, metric: ResultMetric) -> Option<f64> {
        self.numbers.get(metric.index()).copied().flatten()
    }

    /// Returns the episodes of a metric; empty for metrics that are numbers.
    #[must_use]
    pub fn episodes(&self, metric: RunMetric) -> &[Episode] {
        match metric {
            RunMetric::TimeToSuspect => &self.episodes.time_to_suspect,
            RunMetric::TimeToDetect => &self.episodes.time_to_detect,
            RunMetric::TimeToReplan => &self.episodes.time_to_replan,
            RunMetric::TimeToSurvive => &self.episodes.time_to_survive,
            RunMetric::TimeToRecover => &self.episodes.time_to_recover,
            _ => &[],
        }
    }
}

fn number(
    scenario: &Scenario,
    record: &RunRecord,
    fault_free: &RunRecord,
    output: Option<&Output>,
    metric: RunMetric,
) -> Option<f64> {
    let end = Time::ZERO + scenario.duration;
    let of_nodes = |metric| total(record, metric).unwrap_or(0.0);
    let finals = of_nodes(Metric::FinishedGoodsMade);
    let per_final = |number: f64| (finals > 0.0).then(|| number / finals);
    let count = |number: u64| Some(number as f64);
    match metric {
        RunMetric::CompleteSets => count(record.complete_sets(&scenario.network)),
        RunMetric::FinishedGoods => Some(finals),
        RunMetric::MessagesPerFinished => per_final(of_nodes(Metric::SentMessages)),
        RunMetric::PlanningStepsPerFinished => per_final(of_nodes(Metric::PlanningSteps)),
        RunMetric::PlanningTime => Some(record.plans.iter().map(|plan| plan.duration.as_secs_f64()).sum()),
        RunMetric::WrongSuspicions => count(record.wrong_suspicions().count() as u64),
        RunMetric::LeaderlessTime => Some(leaderless_time(record, end)),
        RunMetric::LeadershipChanges => {
            let changes = record.leadership_changes.iter();
            count(changes.filter(|change| change.at >= record.measured_from).count() as u64)
        }
        RunMetric::LostSets => output.map(Output::lost_sets),
        RunMetric::Loss => output.and_then(Output::loss),
        RunMetric::NodesDegraded => count(nodes_degraded(record, fault_free)),
        RunMetric::PlanNervousness => plan_nervousness(record),
        RunMetric::BatchesLost => count(record.material.lost),
        RunMetric::BatchesConsumedTwice => count(record.material.consumed_twice),
        RunMetric::BatchesStranded => count(record.material.stranded),
        RunMetric::BatchesInDoubt => count(record.material.in_transit),
        RunMetric::Violations => count(record.violations.len() as u64),
        RunMetric::TimeToSuspect
        | RunMetric::TimeToDetect
        | RunMetric::TimeToReplan
        | RunMetric::TimeToSurvive
        | RunMetric::TimeToRecover => None,
    }
}
