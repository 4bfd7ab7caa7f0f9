//! What goes into a node and what comes out.

use std::sync::Arc;

use dmos_core::{BatchId, Flow, FlowVersion, Network, NoFlow, NodeId, NodeSet, Span, Term};

use crate::log::{LogRecord, LogState};
use crate::message::Message;
use crate::node_config::Command;

/// What reaches a node.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// It starts, for the first time or after a crash.
    Start {
        /// What its log holds, in order; nothing at the first start.
        records: &'a [LogRecord],
        /// True if it was up before.
        recovering: bool,
        /// Its pause before the first round of heartbeats, drawn by the driver so that not all nodes
        /// send theirs at once: from zero up to one period.
        phase: Span,
        /// What the crash destroyed, which the log knows nothing of.
        scrapped: Scrapped,
    },
    /// A message from another node, or from itself.
    Message {
        /// Its sender.
        from: NodeId,
        /// Its content.
        message: &'a Message,
    },
    /// A timer that it set has run out.
    Timer(Timer),
    /// A batch whose transport it asked for is at the inbound.
    Arrived(BatchId),
    /// The time that a plan takes is over: the plan of this plan_id.
    Planned(FlowVersion),
    /// Something new on the blackboard.
    Notice(&'a Notice),
    /// The op generator orders something.
    Command(&'a Command),
}

/// What a crash destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scrapped {
    /// All own batches in stock.
    pub outbound: bool,
    /// All batches of others in the inbound.
    pub inbound: bool,
}

/// What a node wants done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Append to the log. It must be durable before anything that follows can be seen outside the node,
    /// and before the node is handed its next input.
    Append(LogRecord),
    /// Put this in place of the whole log, durably, and whole or not at all.
    Compact(Box<LogState>),
    /// Send a message.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Come back with [`Input::Timer`].
    SetTimer {
        /// How long from now.
        after: Span,
        /// Which timer.
        timer: Timer,
    },
    /// Bring a batch to the inbound and come back with [`Input::Arrived`].
    Transport {
        /// The batch.
        batch: BatchId,
        /// True if messages wait until it is there.
        blocking: bool,
    },
    /// A plan is made; let the time pass that its work takes, then come back with [`Input::Planned`].
    Plan {
        /// The term it belongs to, and its number in it.
        plan_id: FlowVersion,
        /// Its elementary steps.
        steps: u64,
        /// True if messages wait meanwhile.
        blocking: bool,
    },
    /// Put something on the blackboard, for all to see at once.
    Post(Notice),
    /// For the record.
    Report(Report),
}

impl Effect {
    /// Returns whether it changes the log.
    #[must_use]
    pub fn changes_log(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Compact(_))
    }
}

/// Takes what a node wants done, in order: a list, or a driver that carries out at once what it can.
pub trait Effects {
    /// Takes the next effect.
    fn push(&mut self, effect: Effect);

    /// Takes an [`Effect::Send`].
    fn send(&mut self, to: NodeId, message: Message) {
        self.push(Effect::Send { to, message });
    }

    /// Takes an [`Effect::SetTimer`].
    fn set_timer(&mut self, after: Span, timer: Timer) {
        self.push(Effect::SetTimer { after, timer });
    }
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
    /// The next manufacture cycle.
    ProductionCycle,
    /// Look whether there is anybody to watch yet.
    AwaitNeighbours,
    /// The next round of heartbeats.
    Heartbeat,
    /// Look for batches whose arrival was not confirmed.
    RetransmitBatches,
    /// Look for parts of a flow that were not acknowledged.
    RetransmitAssignments,
    /// Plan again, because a planner failed.
    RetryPlan,
    /// Say again that it is back.
    AnnounceRejoin,
    /// Tell the leader of the orders again.
    SendNodeConfig,
    /// One of the election machine's own.
    Election(u32),
}

/// Something on the blackboard that, in the prototype's way, all see at once.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// Who leads.
    Leader(NodeId, Term),
    /// The flow active.
    Flow(FlowVersion, Arc<Flow>),
    /// A node is removed from the membership.
    Removed(NodeId),
    /// A node is in the membership again.
    Rejoined(NodeId),
}

/// For the record: what happened inside a node.
#[derive(Clone, PartialEq, Debug)]
pub enum Report {
    /// It became leader.
    BecameLeader(Term),
    /// It took over a part of the flow of this version.
    Adopted(FlowVersion),
    /// As leader, it struck a node from the living.
    Removed(NodeId),
    /// A plan is ready.
    Planned(Box<PlanReport>),
}

/// What came of a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct PlanReport {
    /// How long it took.
    pub duration: Span,
    /// Its elementary steps.
    pub steps: u64,
    /// The network that was planned for, with all recipes as the planner knew them.
    pub network: Arc<Network>,
    /// The nodes that the planner took for living when it began.
    pub alive: NodeSet,
    /// The flow, or why there is none.
    pub flow: Result<Arc<Flow>, NoFlow>,
    /// True if it was activated .
    pub active: bool,
}
