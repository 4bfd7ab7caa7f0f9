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
    FinishedGoods "finished_goods" "count" More Number
        "Batches of final items made."
        "";
    MessagesPerFinished "messages_per_finished" "count" Less Number
        "Messages of every class sent, divided by final batches made; none where none was made."
        "";
    PlanningStepsPerFinished "planning_steps_per_finished" "count" Less Number
        "Elementary steps of all plans, divided by final batches made; none where none was made."
        "";
    PlanningTime "planning_time" "s" Less Number
        "Virtual time that plans took, all together."
        "";
    TimeToDetect "time_to_detect" "s" Less Episodes
        "From the moment at which a node that works in the flow in force goes down, or stands still, until a leader removals it from the living. Censored when it comes back unnoticed, and at the end of the run."
        "the detection time of Chen, Toueg and Aguilera 2002, for the leader that acts on it";
    LeaderlessTime "leaderless_time" "s" Less Number
        "Time in which nobody leads: before anybody takes office, and while whoever took office last is down or stands still, until it is back or another takes office."
        "the time without a leader of Ongaro and Ousterhout 2014";
    LeadershipChanges "leadership_changes" "count" Less Number
        "Offices taken."
        "Ongaro and Ousterhout 2014";
    TimeToReplan "time_to_replan" "s" Less Episodes
        "From the moment at which a leader removals a node until a plan that was begun no earlier is in force. Censored at the end of the run."
        "";
    TimeToSurvive "time_to_survive" "s" More Episodes
        "From the first failure until the output first falls below three quarters of the fault_free run's. Censored at the end of the run where it never does."
        "time to survive: Simchi-Levi, Wang and Wei 2018";
    TimeToRecover "time_to_recover" "s" Less Episodes
        "From the moment at which the output falls below three quarters of the fault_free run's until it no longer is; one episode for each fall. Censored at the end of the run where it never recovers."
        "time to recover: Simchi-Levi, Schmidt and Wei 2014";
    Loss "loss" "s" Less Number
        "The area between full output and the output: the integral over time of max(0, 1 - output / fault_free output). A loss of 60 s is a minute's production."
        "the resilience triangle of Bruneau et al. 2003";
    NodesDegraded "nodes_degraded" "count" Less Number
        "Nodes that made less than three quarters of what they made in the fault_free run, whether they failed themselves or others made them wait."
        "the ripple effect: Ivanov, Sokolov and Dolgui 2014";
    PlanNervousness "plan_nervousness" "share" Less Number
        "Mean over the plans put in force, but for the first, of the share of edges changed: edges that only one of the new and the former flow has, divided by the edges of both. From 0, all stays, to 1, nothing does."
        "schedule instability: Sridharan, Berry and Udayabhanu 1988";
    BatchesLost "batches_lost" "count" Less Number
        "Batches that no living node has though its log says that it should. It must be 0."
        "";
    BatchesConsumedTwice "batches_consumed_twice" "count" Less Number
        "Batches used up more than once. It must be 0."
        "";
    BatchesStranded "batches_stranded" "count" Less Number
        "Batches in stock, under way or received at the end whose holder is down."
        "";
    BatchesInDoubt "batches_in_doubt" "count" Less Number
        "Batches sent off of which, at the end, no consumer has entered the arrival."
        "the in-doubt state of Gray 1978";
    Violations "violations" "count" Less Number
        "What the auditors found that should never happen, at most a few for each property. It must be 0 under the default protocol."
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
