//! The threads of a node: what each is at, and what waits for it.
//!
//! Work that takes time, or an input buffer that blocks, makes inputs wait. Each kind of input has a worker of
//! its own, in which one thing is done after the other. Where nothing takes time, workers stay empty.

use std::collections::VecDeque;

use dmos_core::{BatchId, NodeId, Span};
use dmos_node::{Effect, Timer};

use crate::message_store::MessageId;

/// The workers of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum WorkerId {
    /// Handles messages.
    Messages,
    /// Runs manufacture cycles.
    Stage,
    /// Sends heartbeats.
    Heartbeats,
    /// Plans, beside everything else.
    Planner,
    /// Sends messages off.
    Publisher,
}

/// How many workers a node has.
const WORKERS: usize = 5;

/// Something that a node set going, and that comes back to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Completion {
    Timer(Timer),
    Arrived(BatchId),
    /// The plan of this number is ready.
    Planned(u32),
}

impl Completion {
    /// Returns whether it comes when the node's clock says so, not when something outside has happened.
    pub(crate) fn follows_node_clock(self) -> bool {
        matches!(self, Self::Timer(_))
    }

    /// Where it is was_assigned on.
    #[inline]
    pub(crate) fn worker(self) -> WorkerId {
        match self {
            Self::Timer(Timer::ProductionCycle) => WorkerId::Stage,
            Self::Timer(Timer::Heartbeat | Timer::AwaitNeighbours) => WorkerId::Heartbeats,
            Self::Timer(_) | Self::Arrived(_) | Self::Planned(_) => WorkerId::Messages,
        }
    }
}

/// Something that waits its turn in a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkItem {
    Message {
        from: NodeId,
        message: MessageId,
    },
    Completion(Completion),
    /// A message to be sent off.
    Outgoing {
        to: NodeId,
        message: MessageId,
    },
    /// The plan of this number, which takes so long.
    Think {
        plan: u32,
        span: Span,
    },
}

impl WorkItem {
    /// Returns the message that it carries.
    pub(crate) fn mail(self) -> Option<MessageId> {
        match self {
            Self::Message { message, .. } | Self::Outgoing { message, .. } => Some(message),
            Self::Completion(_) | Self::Think { .. } => None,
        }
    }

    /// Where it is was_assigned on.
    pub(crate) fn worker(self) -> WorkerId {
        match self {
            Self::Message { .. } => WorkerId::Messages,
            Self::Completion(completion) => completion.worker(),
            Self::Outgoing { .. } => WorkerId::Publisher,
            Self::Think { .. } => WorkerId::Planner,
        }
    }
}

/// What a worker does when its work is done.
#[derive(Debug)]
pub(crate) enum Job {
    /// Let the node act on its input.
    Act(WorkItem),
    /// Carry out what the node wanted.
    CarryOut(Vec<Effect>),
    /// Tell the node that its plan is ready.
    EndPlan(u32),
    /// Let a message go.
    Release { to: NodeId, message: MessageId },
}

impl Job {
    /// Returns the message that it is about.
    fn mail(&self) -> Option<MessageId> {
        match self {
            Self::Act(work_item) => work_item.mail(),
            Self::Release { message, .. } => Some(*message),
            Self::CarryOut(_) | Self::EndPlan(_) => None,
        }
    }
}

/// What one worker is at.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) waiting: VecDeque<WorkItem>,
    pub(crate) job: Option<Job>,
    /// Waits for this batch, or this plan, before anything else.
    pub(crate) delay: Option<Hold>,
}

/// The workers of one node, made when one of them is first needed.
#[derive(Debug, Default)]
pub(crate) struct Workers(Option<Box<[Worker; WORKERS]>>);

impl Workers {
    /// Returns whether in a worker nothing is under way, waits, or is waited for.
    #[inline]
    pub(crate) fn is_idle(&self, id: WorkerId) -> bool {
        self.0.as_ref().is_none_or(|workers| workers[id as usize].is_idle())
    }

    pub(crate) fn get_mut(&mut self, id: WorkerId) -> &mut Worker {
        &mut self.0.get_or_insert_default()[id as usize]
    }

    /// Returns the messages in all of them.
    pub(crate) fn mail(&self) -> impl Iterator<Item = MessageId> {
        self.iter().flat_map(|worker| {
            let waiting = worker.waiting.iter().filter_map(|work_item| work_item.mail());
            waiting.chain(worker.job.as_ref().and_then(Job::mail))
        })
    }

    /// Returns all that have been needed so far.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.0.iter().flat_map(|workers| &**workers)
    }
}

/// What a held worker waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    Batch(BatchId),
    Plan(u32),
}

impl Worker {
    #[inline]
    fn is_idle(&self) -> bool {
        self.job.is_none() && self.delay.is_none() && self.waiting.is_empty()
    }

    /// Returns whether a work_item can be was_assigned on now.
    pub(crate) fn takes(&self, work_item: WorkItem) -> bool {
        let released = match (self.delay, work_item) {
            (None, _) => true,
            (Some(Hold::Batch(held)), WorkItem::Completion(Completion::Arrived(batch))) => held == batch,
            (Some(Hold::Plan(held)), WorkItem::Completion(Completion::Planned(plan))) => held == plan,
            (Some(_), _) => false,
        };
        released && self.job.is_none()
    }
}
