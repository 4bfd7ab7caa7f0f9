//! What a run leaves behind: metrics by node, over time, and what the auditor found.

use serde::Serialize;

use crate::faults::FaultKind;
use crate::ids::{NodeId, Term};
use crate::metrics::NodeMetrics;
use crate::property::Property;
use crate::strategy::NoFlow;
use crate::time::{Span, Time};

/// The record of one run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunRecord {
    /// The metrics of every node, by node.
    pub nodes: Vec<NodeMetrics>,
    /// What the op_generator did, if the scenario has one.
    pub op_generator: Option<OpGeneratorRecord>,
    /// Production, stock and messages over time.
    pub series: Vec<Sample>,
    /// Every plan that was computed, in the order in which they were ready.
    pub plans: Vec<PlanRecord>,
    /// Every fault that happened to nodes, in the order of time.
    pub faults: Vec<FaultRecord>,
    /// Every time that a node was down or stood still, in the order in which they began.
    pub outages: Vec<Outage>,
    /// Every office that was taken, in the order of time.
    pub leadership_changes: Vec<LeadershipChange>,
    /// Every time that a leader struck a node from the living, in the order of time.
    pub removals: Vec<Removal>,
    /// How often each kind of fault was injected, in the order of kinds; those that never were are left out.
    pub fault_counts: Vec<FaultCount>,
    /// Where all batches were at the end.
    pub material: MaterialBalance,
    /// What should never have happened, in the order of time: the first few of each property.
    pub violations: Vec<Violation>,
    /// The states that were come to, and how often.
    pub coverage: Vec<(Property, u64)>,
    /// Why nobody looked whether production resumes after `heal_at`, if there is one and nobody did.
    pub liveness_not_checked: Option<String>,
    /// How many events the driver handled.
    pub events: u64,
}

/// What the op_generator did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpGeneratorRecord {
    /// Turns taken.
    pub cycles: u64,
    /// Crashes ordered.
    pub crashes: u64,
    /// Recoveries ordered.
    pub recoveries: u64,
}

/// A look at the whole network at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When.
    pub at: Time,
    /// Nodes that are up.
    pub nodes_up: u64,
    /// Batches made so far.
    pub made: u64,
    /// Batches of final items made so far.
    pub finished: u64,
    /// Batches in stock at nodes that are up.
    pub stock: u64,
    /// Messages sent so far.
    pub messages: u64,
}

/// One plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanRecord {
    /// When it was ready.
    pub at: Time,
    /// Who planned.
    pub by: NodeId,
    /// How long it took.
    pub duration: Span,
    /// The elementary steps it took.
    pub steps: u64,
    /// The number of supply edges chosen; none if there was no flow to be found.
    pub edges: Option<u64>,
    /// The supply edges that are in one of this flow and the one in force before, and not in the other; none if
    /// it was not put in force. An edge whose share alone is another does not count.
    pub changed: Option<u64>,
    /// Why there was none.
    pub no_flow: Option<NoFlow>,
    /// Whether it was put in force: the planner still led when it was ready.
    pub active: bool,
}

/// A fault that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultRecord {
    /// When.
    pub at: Time,
    /// Of which kind.
    pub kind: FaultKind,
    /// To which node; none if it was no node alone.
    pub node: Option<NodeId>,
    /// Whether it changed anything: a crash of a node that is down does not.
    pub effective: bool,
}

/// A time in which a node did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// Which node.
    pub node: NodeId,
    /// When it went down, or stood still.
    pub from: Time,
    /// When it came back, or went on; none if it did not before the run ended.
    pub until: Option<Time>,
    /// Whether it worked in the flow in force when it went down.
    pub worked: bool,
}

/// A node took office as leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeadershipChange {
    /// When.
    pub at: Time,
    /// Which node.
    pub node: NodeId,
    /// In which term.
    pub term: Term,
}

/// A leader struck a node from the living: from then on it plans without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removal {
    /// When.
    pub at: Time,
    /// The node that was struck.
    pub node: NodeId,
    /// The leader.
    pub by: NodeId,
}

/// How often a kind of fault was injected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct FaultCount {
    /// The kind.
    pub kind: FaultKind,
    /// How often it was injected.
    pub injected: u64,
    /// How often it changed anything.
    pub effective: u64,
}

/// Something that should never have happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Violation {
    /// Which property does not hold.
    pub property: Property,
    /// When that was seen.
    pub at: Time,
    /// What was seen, in words.
    pub description: String,
}

/// Where all batches were at the end.
///
/// `made = in_stock + in_transit + received + consumed + scrapped + lost` holds by construction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct MaterialBalance {
    /// Batches made.
    pub made: u64,
    /// Batches in stock at their producer.
    pub in_stock: u64,
    /// Batches on their way to a consumer.
    pub in_transit: u64,
    /// Batches in a consumer's dock.
    pub received: u64,
    /// Batches used up.
    pub consumed: u64,
    /// Batches that a crash destroyed where the scenario says so.
    pub scrapped: u64,
    /// Batches that no living node has, though its log says it should.
    pub lost: u64,
    /// Batches used up more than once.
    pub consumed_twice: u64,
    /// Those of the batches in stock, under way and received whose holder is down.
    pub stranded: u64,
}

impl RunRecord {
    /// Whether nothing happened that never should.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}
