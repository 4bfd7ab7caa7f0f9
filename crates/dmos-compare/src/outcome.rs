//! What is kept of a run for comparison: its figures.

use dmos_core::{Metric, RunRecord, Scenario, Time};
use serde::{Deserialize, Serialize};

use crate::resilience::{
    Output, leaderless_time, nodes_below, plan_nervousness, time_to_detect, time_to_replan,
};
use crate::run_metric::{Figure, RunMetric, total};
use crate::statistics::survival::Spell;

/// The figures of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The value of each figure, in the order of [`Figure::all`]; none where the run has nothing to say.
    pub numbers: Vec<Option<f64>>,
    /// Those metrics of runs that come as spells.
    pub spells: Spells,
}

/// The metrics of runs that come as spells.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spells {
    /// See [`RunMetric::TimeToDetect`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_detect: Vec<Spell>,
    /// See [`RunMetric::TimeToReplan`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_replan: Vec<Spell>,
    /// See [`RunMetric::TimeToSurvive`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_survive: Vec<Spell>,
    /// See [`RunMetric::TimeToRecover`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time_to_recover: Vec<Spell>,
}

impl Outcome {
    /// The figures of a run of `scenario`. `calm` is its twin in which nothing fails: the run itself if nothing can.
    #[must_use]
    pub fn of(scenario: &Scenario, record: &RunRecord, calm: &RunRecord) -> Self {
        let end = Time::ZERO + scenario.duration;
        let output = Output::of(scenario, record, calm);
        let number = |figure| match figure {
            Figure::Run(metric) => number(record, calm, output.as_ref(), metric, end),
            Figure::Nodes(metric) => total(record, metric),
        };
        let spells = Spells {
            time_to_detect: time_to_detect(record, end),
            time_to_replan: time_to_replan(record, end),
            time_to_survive: output.iter().map(Output::time_to_survive).collect(),
            time_to_recover: output.as_ref().map(Output::time_to_recover).unwrap_or_default(),
        };
        Self { numbers: Figure::all().map(number).collect(), spells }
    }

    /// The value of a figure that is a number.
    #[must_use]
    pub fn number(&self, figure: Figure) -> Option<f64> {
        self.numbers.get(figure.index()).copied().flatten()
    }

    /// The spells of a metric that comes as such; none for the others.
    #[must_use]
    pub fn spells(&self, metric: RunMetric) -> &[Spell] {
        match metric {
            RunMetric::TimeToDetect => &self.spells.time_to_detect,
            RunMetric::TimeToReplan => &self.spells.time_to_replan,
            RunMetric::TimeToSurvive => &self.spells.time_to_survive,
            RunMetric::TimeToRecover => &self.spells.time_to_recover,
            _ => &[],
        }
    }
}

fn number(
    record: &RunRecord,
    calm: &RunRecord,
    output: Option<&Output>,
    metric: RunMetric,
    end: Time,
) -> Option<f64> {
    let of_nodes = |metric| total(record, metric).unwrap_or(0.0);
    let finals = of_nodes(Metric::FinalBatchesMade);
    let per_final = |number: f64| (finals > 0.0).then(|| number / finals);
    let count = |number: u64| Some(number as f64);
    match metric {
        RunMetric::FinalBatches => Some(finals),
        RunMetric::MessagesPerFinal => per_final(of_nodes(Metric::SentMessages)),
        RunMetric::PlanningStepsPerFinal => per_final(of_nodes(Metric::PlanningSteps)),
        RunMetric::PlanningTime => Some(record.plans.iter().map(|plan| plan.took.as_secs_f64()).sum()),
        RunMetric::LeaderlessTime => Some(leaderless_time(record, end)),
        RunMetric::Terms => count(record.offices.len() as u64),
        RunMetric::Loss => output.map(Output::loss),
        RunMetric::NodesBelow => count(nodes_below(record, calm)),
        RunMetric::PlanNervousness => plan_nervousness(record),
        RunMetric::Lost => count(record.goods.lost),
        RunMetric::UsedTwice => count(record.goods.consumed_twice),
        RunMetric::Stranded => count(record.goods.stranded),
        RunMetric::InDoubt => count(record.goods.under_way),
        RunMetric::Findings => count(record.findings.len() as u64),
        RunMetric::TimeToDetect
        | RunMetric::TimeToReplan
        | RunMetric::TimeToSurvive
        | RunMetric::TimeToRecover => None,
    }
}
