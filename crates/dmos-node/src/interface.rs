//! What goes into a node and what comes out.

use std::sync::Arc;

use dmos_core::{BatchId, Flow, NodeId, Span, Stamp, Term};

use crate::log::LogRecord;
use crate::message::Message;

/// What reaches a node.
#[derive(Debug)]
pub enum Input<'a> {
    /// It starts, for the first time or after a crash.
    Start {
        /// What it appended to its log in all its life, in order; nothing at the first start.
        records: &'a [LogRecord],
        /// Whether it was up before.
        recovering: bool,
        /// Its pause before the first round of heartbeats, drawn by the driver so that not all nodes
        /// send theirs at once: from zero up to one period.
        phase: Span,
    },
    /// A message from another node, or from itself.
    Message {
        /// Its sender.
        from: NodeId,
        /// Its content.
        message: Message,
    },
    /// A timer that it set has run out.
    Timer(Timer),
    /// A batch whose transport it asked for is at the dock.
    Arrived(BatchId),
    /// The time that a plan takes is over: the plan of this ticket.
    Planned(Stamp),
    /// Something new on the board.
    Notice(&'a Notice),
}

/// What a node wants done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Append to the log, durably, before anything that follows.
    Append(LogRecord),
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
    /// Bring a batch to the dock and come back with [`Input::Arrived`].
    Transport {
        /// The batch.
        batch: BatchId,
        /// Whether messages wait until it is there.
        blocking: bool,
    },
    /// A plan is made; let the time pass that its work takes, then come back with [`Input::Planned`].
    Plan {
        /// The term it belongs to, and its number in it.
        ticket: Stamp,
        /// Its elementary steps.
        steps: u64,
        /// Whether messages wait meanwhile.
        blocking: bool,
    },
    /// Put something on the board, for all to see at once.
    Post(Notice),
    /// For the record: a plan is ready.
    Report(PlanReport),
}

/// The timers of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// The next manufacture cycle.
    Stage,
    /// Look whether there is anybody to watch yet.
    AwaitNeighbours,
    /// The next round of heartbeats.
    Heartbeat,
    /// Look for batches whose arrival was not confirmed.
    Resend,
    /// Look for parts of a flow that were not acknowledged.
    Offer,
    /// Say again that it is back.
    Return,
    /// One of the election machine's own.
    Election(u32),
}

/// Something on the board that, in the prototype's way, all see at once.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// Who leads.
    Leader(NodeId, Term),
    /// The flow in force.
    Flow(Stamp, Arc<Flow>),
    /// A node is struck from the living.
    Struck(NodeId),
    /// A node is among the living again.
    Readmitted(NodeId),
}

/// For the record: what came of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanReport {
    /// How long it took.
    pub took: Span,
    /// Its elementary steps.
    pub steps: u64,
    /// The flow, unless there is none.
    pub flow: Option<Arc<Flow>>,
    /// Whether it was put in force.
    pub in_force: bool,
}
