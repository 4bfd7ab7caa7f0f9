//! The results of a run: metrics by node, time series, events of interest, and violated invariants.

mod bottleneck;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::faults::FaultKind;
use crate::ids::{ItemId, NodeId, Term};
use crate::metrics::{Metric, NodeMetrics};
use crate::network::Network;
use crate::property::Property;
use crate::strategy::NoFlow;
use crate::time::{Span, Time};

pub use bottleneck::MeasuredBottleneck;

/// The record of one run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunRecord {
    /// Time from which metrics, usage, plans, faults, suspicions, removals and finished goods are recorded, and outages that had
    /// not ended. Series, changes of leadership, material and violations are those of the whole run.
    pub measured_from: Time,
    /// Metrics of every node, indexed by node.
    pub nodes: Vec<NodeMetrics>,
    /// All changes of the number of finished goods, in order of time.
    pub finished: Vec<Finished>,
    /// Actions of the op generator, if the scenario has one.
    pub op_generator: Option<OpGeneratorRecord>,
    /// Production, stock and messages over time.
    pub series: Vec<Sample>,
    /// Production and material by item over time: for each sample of the series, an entry for each item.
    pub item_series: Vec<ItemSample>,
    /// All computed plans, in the order in which they became ready.
    pub plans: Vec<PlanRecord>,
    /// All faults that were injected into nodes, in order of time.
    pub faults: Vec<FaultRecord>,
    /// All outages of nodes, in the order in which they began.
    pub outages: Vec<Outage>,
    /// All changes of leadership, in order of time.
    pub leadership_changes: Vec<LeadershipChange>,
    /// All suspicions of nodes by nodes that monitor them, in order of time.
    pub suspicions: Vec<Suspicion>,
    /// All removals of nodes from the membership, in order of time.
    pub removals: Vec<Removal>,
    /// Number of injected faults of each kind, in the order of [`FaultKind::ALL`]; kinds that never occurred
    /// are left out.
    pub fault_counts: Vec<FaultCount>,
    /// Location of all batches at the end of the run.
    pub material: MaterialBalance,
    /// Violated invariants, in order of time: the first few of each property.
    pub violations: Vec<Violation>,
    /// Coverage properties that were reached, and how often.
    pub coverage: Vec<(Property, u64)>,
    /// Liveness properties that were judged: whether they held was decided.
    pub judged: Vec<Property>,
    /// Reason why the liveness properties were not checked; `None` if they were, or if the scenario has no
    /// `heal_at`.
    pub liveness_not_checked: Option<String>,
    /// Use of time and material of every node, indexed by node; empty unless `production: server`.
    pub usage: Vec<NodeUsage>,
    /// Flow times of finished goods; `None` if there are none, or unless `production: server`.
    pub flow_time: Option<FlowTime>,
    /// Number of events that the driver handled.
    pub events: u64,
}

/// A change of the number of finished goods of a final item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Time of the change.
    pub at: Time,
    /// The item.
    pub item: ItemId,
    /// Number of batches. Negative where other nodes take finished goods back, under `production: polled`.
    pub batches: i32,
}

/// Use of time and material of a node, integrated over the measured time. The times add up to it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeUsage {
    /// Time in which it processed a production run.
    pub working: Span,
    /// Number of periods in which it worked without interruption.
    pub working_periods: u64,
    /// The longest of these periods.
    pub longest_working: Span,
    /// Time in which it lacked batches, by the first item that it lacked.
    pub starved: BTreeMap<ItemId, Span>,
    /// Time in which it had no room for its product.
    pub blocked: Span,
    /// Time in which it was up without an assignment.
    pub idle: Span,
    /// Time in which it was down, frozen or not yet started.
    pub down: Span,
    /// Batches in its output buffer.
    pub output: Level,
    /// Batches in transit to it.
    pub incoming: Level,
    /// Batches in its input buffers.
    pub input: Level,
    /// Batches that it processes.
    pub in_process: Level,
}

impl NodeUsage {
    /// Returns the time in which it was up.
    #[must_use]
    pub fn up(&self) -> Span {
        self.working + self.starved_total() + self.blocked + self.idle
    }

    /// Returns the share of the time in which it was up that it worked; 0 if it was never up.
    #[must_use]
    pub fn working_share(&self) -> f64 {
        let up = self.up().as_secs_f64();
        if up > 0.0 { self.working.as_secs_f64() / up } else { 0.0 }
    }

    /// Returns the total time in which it lacked batches.
    #[must_use]
    pub fn starved_total(&self) -> Span {
        self.starved.values().copied().sum()
    }
}

/// Flow times of finished goods: from the start of the first production run that made any of the material in them
/// until they left the factory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowTime {
    /// Number of finished goods.
    pub count: u64,
    /// Mean.
    pub mean: Span,
    /// Maximum.
    pub max: Span,
}

/// A number of batches over time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Level {
    /// Time average.
    pub mean: f64,
    /// Maximum.
    pub peak: u64,
}

/// Actions of the prototype's op generator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpGeneratorRecord {
    /// Number of its cycles.
    pub cycles: u64,
    /// Number of crash signals sent.
    pub crashes: u64,
    /// Number of recovery signals sent.
    pub recoveries: u64,
}

/// A snapshot of the whole network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Time of the snapshot.
    pub at: Time,
    /// Number of nodes that are up.
    pub nodes_up: u64,
    /// Batches made so far, of all items.
    pub made: u64,
    /// Finished goods made so far, of all final items.
    pub finished: u64,
    /// Complete sets of final items so far.
    pub complete_sets: u64,
    /// Batches in the output buffers of nodes that are up.
    pub stock: u64,
    /// Messages sent so far.
    pub messages: u64,
}

/// A snapshot of one item: production so far, and the batches at nodes that are up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ItemSample {
    /// Batches made so far.
    pub made: u64,
    /// Finished goods so far.
    pub finished: u64,
    /// Batches in output buffers. Finished goods are not in a buffer.
    pub output: u64,
    /// Batches in transit to a consumer that has accepted them.
    pub in_transit: u64,
    /// Batches in input buffers and in process.
    pub input: u64,
}

/// A computed plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanRecord {
    /// Time at which the plan became ready.
    pub at: Time,
    /// Node that planned.
    pub by: NodeId,
    /// Virtual time that planning took.
    pub duration: Span,
    /// Elementary planning steps.
    pub steps: u64,
    /// Number of supply edges chosen, or `None` if no flow was found.
    pub edges: Option<u64>,
    /// Number of supply edges in which this flow and the previously active one differ, or `None` if the plan
    /// was not activated. A change of share alone does not count.
    pub changed: Option<u64>,
    /// Reason why no flow was found.
    pub no_flow: Option<NoFlow>,
    /// True if the plan was activated: the planner still led when the plan became ready.
    pub active: bool,
}

/// An injected fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultRecord {
    /// Time of the fault.
    pub at: Time,
    /// Kind of the fault.
    pub kind: FaultKind,
    /// Affected node, or `None` if the fault does not affect one particular node.
    pub node: Option<NodeId>,
    /// True if the fault changed anything. A crash of a node that is already down does not.
    pub effective: bool,
}

/// A period in which a node did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// Affected node.
    pub node: NodeId,
    /// Time at which the node went down or froze.
    pub from: Time,
    /// Time at which it recovered or thawed, or `None` if it did not before the end of the run.
    pub until: Option<Time>,
    /// True if the node had an assignment in the active flow when it went down.
    pub was_assigned: bool,
}

/// A node became leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeadershipChange {
    /// Time of the change.
    pub at: Time,
    /// The new leader.
    pub node: NodeId,
    /// Term of the new leader.
    pub term: Term,
    /// Time at which it stepped down without knowing another leader, if it did.
    pub stepped_down: Option<Time>,
}

/// A node began to suspect a node that it monitors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suspicion {
    /// Time of the suspicion.
    pub at: Time,
    /// The suspected node.
    pub node: NodeId,
    /// The node that suspects it.
    pub by: NodeId,
    /// Time since which it was silent.
    pub silent_since: Time,
}

/// A leader removed a node from the membership; it plans without that node from then on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removal {
    /// Time of the removal.
    pub at: Time,
    /// The removed node.
    pub node: NodeId,
    /// The leader that removed it.
    pub by: NodeId,
}

/// Number of injected faults of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct FaultCount {
    /// Kind of the faults.
    pub kind: FaultKind,
    /// Number of faults injected.
    pub injected: u64,
    /// Number of faults that changed anything.
    pub effective: u64,
}

/// A violated invariant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Violation {
    /// The property that does not hold.
    pub property: Property,
    /// Time at which the violation was detected.
    pub at: Time,
    /// Human-readable description.
    pub description: String,
}

/// Location of all batches at the end of a run: the material balance.
///
/// `made = in_stock + in_transit + received + consumed + scrapped + lost` holds by construction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct MaterialBalance {
    /// Batches made.
    pub made: u64,
    /// Batches in the output buffer of their producer.
    pub in_stock: u64,
    /// Batches in transit to a consumer.
    pub in_transit: u64,
    /// Batches in a consumer's input buffer.
    pub received: u64,
    /// Batches consumed.
    pub consumed: u64,
    /// Batches destroyed by a crash, where the scenario says that crashes scrap material.
    pub scrapped: u64,
    /// Batches that no live node holds although a log says that it should.
    pub lost: u64,
    /// Batches consumed more than once.
    pub consumed_twice: u64,
    /// Those of the batches in stock, in transit and received whose holder is down.
    pub stranded: u64,
}

impl RunRecord {
    /// Returns the intervals without a leader: before the first election, and while the last elected leader is down or
    /// has stepped down, until another is elected or it recovers. O(changes x outages).
    #[must_use]
    pub fn leaderless(&self, end: Time) -> Vec<(Time, Time)> {
        let first = self.leadership_changes.first().map_or(end, |change| change.at);
        let mut intervals = vec![(Time::ZERO, first)];
        for (number, change) in self.leadership_changes.iter().enumerate() {
            let next = self.leadership_changes.get(number + 1).map_or(end, |next| next.at);
            let led_until = change.stepped_down.map_or(next, |down| down.min(next));
            for outage in self.outages.iter().filter(|outage| outage.node == change.node) {
                intervals.push((outage.from.max(change.at), outage.until.unwrap_or(end).min(led_until)));
            }
            intervals.push((led_until, next));
        }
        intervals.retain(|(from, until)| from < until);
        intervals
    }

    /// Returns the suspicions of nodes that were up for the whole time of their silence. O(suspicions x outages).
    pub fn wrong_suspicions(&self) -> impl Iterator<Item = &Suspicion> {
        self.suspicions.iter().filter(|suspicion| {
            let overlaps = |outage: &Outage| {
                outage.from <= suspicion.at
                    && outage.until.is_none_or(|until| until >= suspicion.silent_since)
            };
            !self.outages.iter().any(|outage| outage.node == suspicion.node && overlaps(outage))
        })
    }

    /// Returns the finished goods of a final item. O(producers).
    #[must_use]
    pub fn finished(&self, network: &Network, item: ItemId) -> u64 {
        let producers = network.producers(item).iter();
        producers.map(|node| self.nodes[node.index()].get(Metric::FinishedGoodsMade)).sum()
    }

    /// Returns the number of complete sets of final items.
    #[must_use]
    pub fn complete_sets(&self, network: &Network) -> u64 {
        network.complete_sets(|item| self.finished(network, item))
    }

    /// Returns whether no invariant was violated.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspicion_is_wrong_if_no_outage_meets_the_silence() {
        let at = |second| Time::ZERO + Span::from_secs(second);
        let suspicion = |node, since, second| Suspicion {
            at: at(second),
            node: NodeId::new(node),
            by: NodeId::new(0),
            silent_since: at(since),
        };
        let outage = |from, until: Option<u64>| Outage {
            node: NodeId::new(1),
            from: at(from),
            until: until.map(at),
            was_assigned: true,
        };
        let wrong = [suspicion(2, 12, 17), suspicion(1, 1, 9), suspicion(1, 21, 30)];
        let right = [suspicion(1, 8, 13), suspicion(1, 12, 18), suspicion(1, 19, 24), suspicion(1, 40, 50)];
        let record = RunRecord {
            suspicions: wrong.iter().chain(&right).copied().collect(),
            outages: vec![outage(10, Some(20)), outage(45, None)],
            ..RunRecord::default()
        };
        assert!(record.wrong_suspicions().eq(&wrong));
    }

    #[test]
    fn a_run_is_clean_without_violations() {
        assert!(RunRecord::default().is_clean());
        let violation = Violation {
            property: Property::OneLeaderPerTerm,
            at: Time::ZERO,
            description: "two leaders".to_owned(),
        };
        assert!(!RunRecord { violations: vec![violation], ..RunRecord::default() }.is_clean());
    }

    #[test]
    fn a_node_works_for_a_share_of_the_time_in_which_it_is_up() {
        let seconds = Span::from_secs;
        let usage = NodeUsage {
            working: seconds(2),
            starved: BTreeMap::from([(ItemId::new(0), seconds(1)), (ItemId::new(3), seconds(2))]),
            blocked: seconds(4),
            idle: seconds(1),
            down: seconds(30),
            ..NodeUsage::default()
        };
        assert_eq!((usage.starved_total(), usage.up()), (seconds(3), seconds(10)));
        assert_eq!(usage.working_share(), 0.2);
        assert_eq!(NodeUsage { down: seconds(30), ..NodeUsage::default() }.working_share(), 0.0);
    }

    #[test]
    fn a_factory_is_without_a_leader_while_the_last_one_is_down() {
        let at = |second| Time::ZERO + Span::from_secs(second);
        let change = |second, node, stepped_down: Option<u64>| LeadershipChange {
            at: at(second),
            node: NodeId::new(node),
            term: Term(second),
            stepped_down: stepped_down.map(at),
        };
        let outage = |node, from, until: Option<u64>| Outage {
            node: NodeId::new(node),
            from: at(from),
            until: until.map(at),
            was_assigned: true,
        };
        let intervals = |changes: &[LeadershipChange], outages: &[Outage]| -> Vec<(u64, u64)> {
            let (leadership_changes, outages) = (changes.to_vec(), outages.to_vec());
            let record = RunRecord { leadership_changes, outages, ..RunRecord::default() };
            let seconds = |time: Time| time.since(Time::ZERO).as_nanos() / 1_000_000_000;
            record.leaderless(at(100)).iter().map(|&(from, to)| (seconds(from), seconds(to))).collect()
        };
        assert_eq!(intervals(&[], &[]), [(0, 100)]);
        assert_eq!(intervals(&[change(0, 1, None)], &[]), []);
        assert_eq!(intervals(&[change(5, 1, None)], &[outage(1, 20, Some(30))]), [(0, 5), (20, 30)]);
        assert_eq!(intervals(&[change(5, 1, None)], &[outage(2, 20, Some(30))]), [(0, 5)]);
        let two = [change(0, 1, None), change(25, 2, None)];
        assert_eq!(intervals(&two, &[outage(1, 20, Some(30))]), [(20, 25)], "until the next election");
        assert_eq!(intervals(&two, &[outage(2, 10, Some(20))]), [], "it did not lead yet");
        assert_eq!(intervals(&two, &[outage(2, 90, None)]), [(90, 100)]);
        assert_eq!(intervals(&[change(0, 1, Some(40)), change(60, 2, None)], &[]), [(40, 60)]);
        assert_eq!(intervals(&[change(0, 1, Some(40))], &[outage(1, 30, None)]), [(30, 40), (40, 100)]);
    }
}
