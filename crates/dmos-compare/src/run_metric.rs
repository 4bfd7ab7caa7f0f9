//! Metrics of whole runs, by which strategies are compared, beside the metrics of nodes.
//!
//! The table below is the only place for their names, units, definitions and sources; the documentation page
//! is generated from it.

use dmos_core::metrics::Unit;
use dmos_core::{Metric, RunRecord};
use serde::{Serialize, Serializer};

/// Direction of improvement of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Larger values are better.
    More,
    /// Smaller values are better.
    Less,
    /// The metric describes the run without being good or bad.
    Neither,
}

/// Form of a metric's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueKind {
    /// A number, or none if it is undefined.
    Number,
    /// Episodes, some of which may be censored.
    Episodes,
}

macro_rules! run_metrics {
    ($($id:ident $name:literal $unit:literal $better:ident $form:ident $doc:literal $source:literal;)*) => {
        /// A metric of a whole run.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum RunMetric {
            $(#[doc = $doc] $id,)*
        }

        impl RunMetric {
            /// All metrics, in the order of their table.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// Returns the name used in every output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// Returns the unit.
            #[must_use]
            pub fn unit(self) -> &'static str {
                match self { $(Self::$id => $unit,)* }
            }

            /// Returns the direction of improvement.
            #[must_use]
            pub fn better(self) -> Better {
                match self { $(Self::$id => Better::$better,)* }
            }

            /// Returns the form of the value.
            #[must_use]
            pub fn value_kind(self) -> ValueKind {
                match self { $(Self::$id => ValueKind::$form,)* }
            }

            /// Returns the definition, with its formula.
            #[must_use]
            pub fn definition(self) -> &'static str {
                match self { $(Self::$id => $doc,)* }
            }

            /// Returns the source in the literature; empty for plain counts.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Self::$id => $source,)* }
            }
        }
    };
}

run_metrics! {
    CompleteSets "complete_sets" "count" More Number
        "Complete sets of final items: the smallest quotient of finished goods and weight. With one final item of weight 1 it equals `finished_goods`."
        "";
    FinishedGoods "finished_goods" "count" More Number
        "Finished goods of all final items, without those that other nodes consume."
        "";
    MessagesPerFinished "messages_per_finished" "count" Less Number
        "Messages of every class sent, divided by the finished goods made. No value if none was made."
        "";
    PlanningStepsPerFinished "planning_steps_per_finished" "count" Less Number
        "Elementary steps of all plans, divided by the finished goods made. No value if none was made."
        "";
    PlanningTime "planning_time" "s" Less Number
        "Virtual time of all plans, summed."
        "";
    TimeToSuspect "time_to_suspect" "s" Less Episodes
        "Time from the crash or freeze of a node that is assigned in the active flow until the first node that monitors it suspects it. Censored when the node recovers unnoticed, and at the end of the run."
        "detection time: Chen, Toueg and Aguilera 2002";
    WrongSuspicions "wrong_suspicions" "count" Less Number
        "Suspicions of nodes that were up for the whole time of their silence, each time a node that monitors them begins to suspect them: responses were lost or late, or the link is broken."
        "mistakes: Chen, Toueg and Aguilera 2002";
    TimeToDetect "time_to_detect" "s" Less Episodes
        "Time from the crash or freeze of a node that is assigned in the active flow until a leader removes it from the membership. Censored when the node recovers unnoticed, and at the end of the run."
        "detection time: Chen, Toueg and Aguilera 2002, measured at the leader";
    LeaderlessTime "leaderless_time" "s" Less Number
        "Time without a leader: before the first election completes, and while the last elected leader is down or frozen, until it recovers or another is elected."
        "unavailability during elections: Ongaro and Ousterhout 2014";
    LeadershipChanges "leadership_changes" "count" Less Number
        "Elections won, the first included."
        "Ongaro and Ousterhout 2014";
    TimeToReplan "time_to_replan" "s" Less Episodes
        "Time from the removal of a node by a leader until a plan that was started after the removal is active. Censored at the end of the run."
        "";
    TimeToSurvive "time_to_survive" "s" More Episodes
        "Time from a failure until the output falls below three quarters of the fault-free run's, that is until the first missing set; one episode per failure, except failures during a fall. Censored by the next failure, and at the end of the run."
        "time to survive: Simchi-Levi, Wang and Wei 2018";
    TimeToRecover "time_to_recover" "s" Less Episodes
        "Time from a fall of the output below three quarters of the fault-free run's until it is above again: from the first missing set to the first set after them; one episode per fall. Censored at the end of the run if it never recovers."
        "time to recover: Simchi-Levi, Schmidt and Wei 2014";
    LostSets "lost_sets" "count" Less Number
        "Complete sets that the fault-free run finishes and the run does not. Negative if the run finishes more."
        "";
    Loss "loss" "s" Less Number
        "`lost_sets` divided by the mean rate of the fault-free run: the time in which the fault-free run makes what is missing. A loss of 60 s is the production of one minute."
        "resilience triangle: Bruneau et al. 2003";
    NodesDegraded "nodes_degraded" "count" Less Number
        "Nodes with less than three quarters of their production in the fault-free run, either because they failed or because they were starved or blocked."
        "ripple effect: Ivanov, Sokolov and Dolgui 2014";
    PlanNervousness "plan_nervousness" "share" Less Number
        "Mean over the activated plans except the first of the share of changed edges: edges in exactly one of the new and the previous flow, divided by the edges in either. 0 means that all edges stay, 1 that none does."
        "schedule instability: Sridharan, Berry and Udayabhanu 1988";
    BatchesLost "batches_lost" "count" Less Number
        "Batches that a log records as held by a live node that does not hold them. It must be 0."
        "";
    BatchesConsumedTwice "batches_consumed_twice" "count" Less Number
        "Batches consumed more than once. It must be 0."
        "";
    BatchesStranded "batches_stranded" "count" Less Number
        "Batches at the end of the run whose holder is down."
        "";
    BatchesInDoubt "batches_in_doubt" "count" Less Number
        "Batches shipped whose arrival no consumer has logged at the end of the run."
        "in-doubt state: Gray 1978";
    Violations "violations" "count" Less Number
        "Violations of safety and liveness properties, with a limit per property. It must be 0 under the default protocol."
        "";
}

/// A metric by which runs can be compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ResultMetric {
    /// A metric of the run.
    Run(RunMetric),
    /// A metric of nodes, summed over the nodes that report it.
    Nodes(Metric),
}

impl ResultMetric {
    /// Returns all metrics: those of runs, then those of nodes. Where both have a name, it denotes the metric
    /// of runs.
    pub fn all() -> impl Iterator<Item = Self> {
        let runs = RunMetric::ALL.iter().copied().map(Self::Run);
        runs.chain(Metric::ALL.iter().copied().map(Self::Nodes))
    }

    /// Returns the metric with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|metric| metric.name() == name)
    }

    /// Returns the index among all metrics.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Run(metric) => metric as usize,
            Self::Nodes(metric) => RunMetric::ALL.len() + metric as usize,
        }
    }

    /// Returns the name used in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Run(metric) => metric.name(),
            Self::Nodes(metric) => metric.name(),
        }
    }

    /// Returns the unit.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Run(metric) => metric.unit(),
            Self::Nodes(metric) if metric.unit() == Unit::Seconds => "s",
            Self::Nodes(_) => "count",
        }
    }

    /// Returns the direction of improvement.
    #[must_use]
    pub fn better(self) -> Better {
        match self {
            Self::Run(metric) => metric.better(),
            Self::Nodes(_) => Better::Neither,
        }
    }

    /// Returns the form of the value.
    #[must_use]
    pub fn value_kind(self) -> ValueKind {
        match self {
            Self::Run(metric) => metric.value_kind(),
            Self::Nodes(_) => ValueKind::Number,
        }
    }
}

impl Serialize for ResultMetric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Returns the sum of a node metric over the nodes that report it.
pub(crate) fn total(record: &RunRecord, metric: Metric) -> Option<f64> {
    let reported = record.nodes.iter().filter_map(|node| node.reported(metric));
    reported.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_by_name_and_index() {
        let mut names: Vec<_> = ResultMetric::all().map(ResultMetric::name).collect();
        for (index, metric) in ResultMetric::all().enumerate() {
            assert_eq!(metric.index(), index);
            assert_eq!(ResultMetric::named(metric.name()), Some(metric), "{}", metric.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ResultMetric::all().count());
        assert_eq!(ResultMetric::named("final"), None);
    }
}
