//! The worker threads of a node and their queues.
//!
//! Inputs wait if work takes time or a blocking transit is in progress. Each kind of input has its own
//! worker, which handles one item after the other. Where no work takes time, the queues stay empty.

use std::collections::VecDeque;

use dmos_core::{BatchId, NodeId, Span, Time};
use dmos_node::{Effect, Timer};

use crate::event::Completion;
use crate::transport::MessageId;

/// The workers of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum WorkerId {
    /// Handles messages.
    Messages,
    /// Runs production cycles.
    Production,
    /// Sends heartbeats.
    Heartbeats,
    /// Computes plans, concurrently with everything else.
    Planner,
    /// Sends messages.
    Publisher,
}

impl WorkerId {
    /// Returns the worker that handles a completion.
    #[inline]
    pub(crate) fn of(completion: Completion) -> Self {
        match completion {
            Completion::Timer(Timer::ProductionCycle | Timer::RunEnd) => Self::Production,
            Completion::Timer(Timer::Heartbeat | Timer::AwaitNeighbours) => Self::Heartbeats,
            Completion::Timer(_) | Completion::Arrived(_) | Completion::Planned(_) => Self::Messages,
        }
    }
}

/// Number of workers of a node.
const WORKERS: usize = 5;

/// An item in the queue of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkItem {
    Message {
        from: NodeId,
        message: MessageId,
    },
    Completion(Completion),
    /// A message to be sent.
    Outgoing {
        to: NodeId,
        message: MessageId,
    },
    /// The computation of the plan with this number, which takes this long.
    Plan {
        plan: u32,
        span: Span,
    },
}

impl WorkItem {
    /// Returns the identifier of the message that it carries.
    pub(crate) fn message_id(self) -> Option<MessageId> {
        match self {
            Self::Message { message, .. } | Self::Outgoing { message, .. } => Some(message),
            Self::Completion(_) | Self::Plan { .. } => None,
        }
    }

    /// Returns the worker that handles it.
    pub(crate) fn worker(self) -> WorkerId {
        match self {
            Self::Message { .. } => WorkerId::Messages,
            Self::Completion(completion) => WorkerId::of(completion),
            Self::Outgoing { .. } => WorkerId::Publisher,
            Self::Plan { .. } => WorkerId::Planner,
        }
    }
}

/// The job that a worker performs when its task ends.
#[derive(Debug)]
pub(crate) enum Job {
    /// Let the node handle its input.
    Handle(WorkItem),
    /// Execute the effects of the node.
    Execute(Vec<Effect>),
    /// Return the plan to the node.
    CompletePlan(u32),
    /// Send a message.
    Send { to: NodeId, message: MessageId },
}

impl Job {
    /// Returns the identifier of the message that it carries.
    fn message_id(&self) -> Option<MessageId> {
        match self {
            Self::Handle(work_item) => work_item.message_id(),
            Self::Send { message, .. } => Some(*message),
            Self::Execute(_) | Self::CompletePlan(_) => None,
        }
    }
}

/// State of one worker.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    /// Items that wait, each with the time of its arrival.
    pub(crate) waiting: VecDeque<(Time, WorkItem)>,
    pub(crate) job: Option<Job>,
    /// Arrival of the item of the job.
    pub(crate) arrived: Time,
    /// Blocks all other items until this batch has arrived or this plan is ready.
    pub(crate) blocked_on: Option<Blocker>,
}

/// The workers of one node, created when the first of them is needed.
#[derive(Debug, Default)]
pub(crate) struct Workers(Option<Box<[Worker; WORKERS]>>);

impl Workers {
    /// Returns whether a worker has no job, no queue, and is not blocked.
    #[inline]
    pub(crate) fn is_idle(&self, id: WorkerId) -> bool {
        self.0.as_ref().is_none_or(|workers| workers[id as usize].is_idle())
    }

    pub(crate) fn get_mut(&mut self, id: WorkerId) -> &mut Worker {
        &mut self.0.get_or_insert_default()[id as usize]
    }

    /// Returns the messages of all workers.
    pub(crate) fn message_ids(&self) -> impl Iterator<Item = MessageId> {
        self.iter().flat_map(|worker| {
            let waiting = worker.waiting.iter().filter_map(|(_, work_item)| work_item.message_id());
            waiting.chain(worker.job.as_ref().and_then(Job::message_id))
        })
    }

    /// Returns all workers that were created.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.0.iter().flat_map(|workers| &**workers)
    }
}

/// The reason why a worker is blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocker {
    Batch(BatchId),
    Plan(u32),
}

impl Worker {
    #[inline]
    fn is_idle(&self) -> bool {
        self.job.is_none() && self.blocked_on.is_none() && self.waiting.is_empty()
    }

    /// Returns whether a work item can be started now.
    pub(crate) fn can_start(&self, work_item: WorkItem) -> bool {
        self.admits(work_item) && self.job.is_none()
    }

    /// Returns whether the worker is not blocked, or blocked until this work item.
    pub(crate) fn admits(&self, work_item: WorkItem) -> bool {
        match (self.blocked_on, work_item) {
            (None, _) => true,
            (Some(Blocker::Batch(held)), WorkItem::Completion(Completion::Arrived(batch))) => held == batch,
            (Some(Blocker::Plan(held)), WorkItem::Completion(Completion::Planned(plan))) => held == plan,
            (Some(_), _) => false,
        }
    }
}
