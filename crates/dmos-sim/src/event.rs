//! The events of a run.

use dmos_core::{BatchId, NodeId};
use dmos_node::Timer;

use crate::cpu::Task;
use crate::transport::MessageId;

/// An event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A node starts for the first time.
    Start(NodeId),
    /// A message arrives at a node.
    Message { to: NodeId, from: NodeId, message: MessageId },
    /// An action that a node initiated completes; `epoch` is the node's epoch at that time.
    Completion { node: NodeId, epoch: u32, completion: Completion },
    /// A task ends on a core of its own.
    TaskEnd(Task),
    /// A task ends on the shared CPU.
    SharedCpuTick,
    /// A cycle of the op generator.
    OpGeneratorCycle,
    /// The scripted fault with this number occurs.
    ScriptedFault(usize),
    /// A random failure of a node, from this entry of `faults.random_failures`.
    RandomFailure { entry: usize, node: NodeId },
    /// A temporary fault ends.
    FaultEnd(FaultEnd),
    /// All faults end and everything is repaired.
    HealAll,
    /// A sample of the time series is taken.
    Sample,
    /// The warm-up ends.
    WarmUpEnd,
}

impl Event {
    /// Returns the identifier of the message that the event carries.
    pub(crate) fn message_id(self) -> Option<MessageId> {
        match self {
            Self::Message { message, .. } => Some(message),
            _ => None,
        }
    }
}

/// The completion of an action that a node initiated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Completion {
    Timer(Timer),
    Arrived(BatchId),
    /// The plan with this number is ready.
    Planned(u32),
}

impl Completion {
    /// Returns whether its time is set by the node's clock, not by an event outside the node.
    pub(crate) fn follows_node_clock(self) -> bool {
        matches!(self, Self::Timer(_))
    }
}

/// The end of a temporary fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultEnd {
    /// The node recovers, if it is still in the incarnation in which it went down.
    Down { node: NodeId, incarnation: u32 },
    /// The node thaws, if it is still frozen by the fault with this number.
    Frozen { node: NodeId, fault: usize },
    /// The node runs at full speed again, if it is still slowed by the fault with this number.
    Slow { node: NodeId, fault: usize },
    /// The fault of links ends.
    Links { fault: usize },
}
