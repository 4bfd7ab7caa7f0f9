//! Inputs and effects of a node.

use std::sync::Arc;

use dmos_core::{BatchId, BrokenLinks, Flow, FlowVersion, Network, NoFlow, NodeId, NodeSet, Span, Term};

use crate::log::{LogRecord, LogState};
use crate::message::Message;
use crate::node_config::Command;
use crate::server::Order;

/// An input of a node.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The node starts, for the first time or after a crash.
    Start {
        /// Records of its log, in order; empty at the first start.
        records: &'a [LogRecord],
        /// True if the node was up before.
        recovering: bool,
        /// Pause before the first round of heartbeats, from zero to one interval, sampled by the driver so
        /// that not all nodes send theirs at once.
        phase: Span,
        /// Material destroyed by the crash, which the log does not record.
        scrapped: Scrapped,
    },
    /// A message from another node, or from the node itself.
    Message {
        /// The sender.
        from: NodeId,
        /// The content.
        message: &'a Message,
    },
    /// A timer that the node set has expired.
    Timer(Timer),
    /// A batch has arrived at the end of its transport.
    Arrived(BatchId),
    /// The computation of a plan has ended.
    Planned(FlowVersion),
    /// A new notice on the blackboard.
    Notice(&'a Notice),
    /// A command to the running node.
    Command(&'a Command),
}

/// Material destroyed by a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scrapped {
    /// All own batches in the output buffer.
    pub outbound: bool,
    /// All batches in the input buffers.
    pub inbound: bool,
}

/// An action that a node asks its driver to take. The driver takes actions in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Appends a record to the log. The record must be durable before any later effect becomes visible
    /// outside the node, and before the node handles its next input.
    Append(LogRecord),
    /// Replaces the whole log by its state, durably and atomically.
    Compact(Box<LogState>),
    /// Sends a message.
    Send {
        /// The receiver.
        to: NodeId,
        /// The content.
        message: Message,
    },
    /// Sets a timer, which returns as [`Input::Timer`].
    SetTimer {
        /// Delay from now.
        after: Span,
        /// The timer.
        timer: Timer,
    },
    /// Transports a batch to this node, which returns as [`Input::Arrived`].
    Transport {
        /// The batch.
        batch: BatchId,
        /// True if messages wait until the batch has arrived.
        blocking: bool,
    },
    /// Starts the computation of a plan, which returns as [`Input::Planned`] after the time that its steps
    /// take.
    Plan {
        /// Identifies the plan by its term and its number within the term.
        plan_id: FlowVersion,
        /// Elementary steps of the plan.
        steps: u64,
        /// True if messages wait until the plan is ready.
        blocking: bool,
    },
    /// Starts a production run, whose end returns as [`Input::Timer`] with [`Timer::RunEnd`] after its process
    /// time.
    StartRun {
        /// Identifies the run: the number of batches that the node has made before it.
        number: u32,
    },
    /// Posts a notice on the blackboard, which all nodes see at once.
    Post(Notice),
    /// Reports an event to the observer of the run.
    Report(Report),
}

impl Effect {
    /// Returns whether the effect changes the log.
    #[must_use]
    pub fn changes_log(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Compact(_))
    }
}

/// Receives the effects of a node, in order: a list, or a driver that executes them directly.
pub trait Effects {
    /// Receives the next effect.
    fn push(&mut self, effect: Effect);

    /// Receives an [`Effect::Send`].
    fn send(&mut self, to: NodeId, message: Message) {
        self.push(Effect::Send { to, message });
    }

    /// Receives an [`Effect::SetTimer`].
    fn set_timer(&mut self, after: Span, timer: Timer) {
        self.push(Effect::SetTimer { after, timer });
    }

    /// Notes that the occupancy of the node has changed, for observers that integrate it.
    fn occupancy_changed(&mut self) {}
}

impl Effects for Vec<Effect> {
    #[inline]
    fn push(&mut self, effect: Effect) {
        Vec::push(self, effect);
    }
}

/// The timers of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// The next production cycle.
    ProductionCycle,
    /// The end of the production run in process.
    RunEnd,
    /// The next retransmission of unacknowledged orders.
    RetransmitOrders,
    /// The next check whether there is a node to monitor.
    AwaitNeighbours,
    /// The next round of heartbeats.
    Heartbeat,
    /// The next retransmission of unconfirmed batches.
    RetransmitBatches,
    /// The next retransmission of unacknowledged assignments.
    RetransmitAssignments,
    /// The next probes of nodes whose silence was reported.
    ProbeAccused,
    /// The next plan after a change, or the next attempt after the planner failed.
    Replan,
    /// The next announcement that the node has recovered.
    AnnounceRejoin,
    /// The next retransmission of the node's configuration to the leader.
    SendNodeConfig,
    /// A timer of the election.
    Election(u32),
}

/// A notice on the prototype's blackboard, which all nodes see at once.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// The leader and its term.
    Leader(NodeId, Term),
    /// The active flow.
    Flow(FlowVersion, Arc<Flow>),
    /// A node was removed from the membership.
    Removed(NodeId),
    /// A node rejoined the membership.
    Rejoined(NodeId),
}

/// An event inside a node, reported to the observer of the run.
#[derive(Clone, PartialEq, Debug)]
pub enum Report {
    /// The node became leader.
    BecameLeader(Term),
    /// The node no longer leads, although it knows no other leader.
    SteppedDown(Term),
    /// The node adopted an assignment of the flow of this version.
    Adopted(FlowVersion),
    /// The node sent a new order to a supplier.
    Ordered {
        /// The supplier.
        supplier: NodeId,
        /// The order.
        order: Order,
    },
    /// The node began to suspect a node that it monitors.
    Suspected {
        /// The suspected node.
        node: NodeId,
        /// Time for which it was silent.
        silence: Span,
    },
    /// The node, as leader, removed another node from the membership.
    Removed(NodeId),
    /// A plan is ready.
    Planned(Box<PlanReport>),
}

/// Result of a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct PlanReport {
    /// Virtual time from start to end of planning.
    pub duration: Span,
    /// Its elementary steps.
    pub steps: u64,
    /// The network for which it was planned, with all recipes as the planner knew them.
    pub network: Arc<Network>,
    /// The nodes that the planner believed alive when it started.
    pub alive: NodeSet,
    /// The links that the planner believed broken.
    pub broken_links: BrokenLinks,
    /// The flow, or the reason why there is none.
    pub flow: Result<Arc<Flow>, NoFlow>,
    /// True if the plan was activated.
    pub active: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_compactions_change_the_log() {
        assert!(Effect::Append(LogRecord::FlowAccepted(FlowVersion::default())).changes_log());
        assert!(Effect::Compact(Box::default()).changes_log());
        assert!(!Effect::StartRun { number: 0 }.changes_log());
    }
}
