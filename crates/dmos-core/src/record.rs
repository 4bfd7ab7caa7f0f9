//! What a run leaves behind: figures by node, over time, and what the auditor found.

use serde::Serialize;

use crate::ids::NodeId;
use crate::metrics::NodeMetrics;
use crate::settings::TimedFault;
use crate::time::{Span, Time};

/// The record of one run.
#[derive(Clone, PartialEq, Debug)]
pub struct RunRecord {
    /// The metrics of every node, by node.
    pub nodes: Vec<NodeMetrics>,
    /// What the operator did, if the scenario has one.
    pub operator: Option<OperatorRecord>,
    /// Production, stock and messages over time.
    pub series: Vec<Sample>,
    /// Every plan that was computed, in the order in which they were ready.
    pub plans: Vec<PlanRecord>,
    /// Every fault that changed something, in the order of time.
    pub faults: Vec<TimedFault>,
    /// What the auditor of goods counted and found.
    pub goods: GoodsAudit,
    /// How many events the driver handled.
    pub events: u64,
}

/// What the operator did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OperatorRecord {
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
    pub final_made: u64,
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
    pub took: Span,
    /// The elementary steps it took.
    pub steps: u64,
    /// The number of supply edges chosen; none if there was no flow to be found.
    pub edges: Option<u64>,
    /// Whether it was put in force: the planner still led when it was ready.
    pub in_force: bool,
}

/// Where all batches were at the end, and what was wrong with any.
///
/// `made = in_stock + under_way + received + consumed + lost` holds by construction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct GoodsAudit {
    /// Batches made.
    pub made: u64,
    /// Batches in stock at their maker.
    pub in_stock: u64,
    /// Batches on their way to a consumer.
    pub under_way: u64,
    /// Batches in a consumer's dock.
    pub received: u64,
    /// Batches used up.
    pub consumed: u64,
    /// Batches that no living node has, though its log says it should.
    pub lost: u64,
    /// Batches used up more than once.
    pub consumed_twice: u64,
    /// The first few things that must never happen, in words.
    pub violations: Vec<String>,
}

impl GoodsAudit {
    /// Whether every batch was in one place and used up at most once.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.consumed_twice == 0 && self.violations.is_empty()
    }
}
