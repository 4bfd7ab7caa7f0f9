//! The threads of a node: what each is at, and what waits for it.
//!
//! Work that takes time, or a dock that blocks, makes inputs wait. Each kind of input has a lane of
//! its own, in which one thing is done after the other. Where nothing takes time, lanes stay empty.

use std::collections::VecDeque;

use dmos_core::{BatchId, NodeId, Span};
use dmos_node::{Effect, Timer};

use crate::mail::MailId;

/// The lanes of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum LaneId {
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

/// How many lanes a node has.
const LANES: usize = 5;

/// Something that a node set going, and that comes back to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Timer(Timer),
    Arrived(BatchId),
    /// The plan of this number is ready.
    Planned(u32),
}

impl Due {
    /// Whether it comes when the node's clock says so, not when something outside has happened.
    pub(crate) fn waits_for_the_clock(self) -> bool {
        matches!(self, Self::Timer(_))
    }

    /// Where it is worked on.
    #[inline]
    pub(crate) fn lane(self) -> LaneId {
        match self {
            Self::Timer(Timer::Stage) => LaneId::Stage,
            Self::Timer(Timer::Heartbeat | Timer::AwaitNeighbours) => LaneId::Heartbeats,
            Self::Timer(_) | Self::Arrived(_) | Self::Planned(_) => LaneId::Messages,
        }
    }
}

/// Something that waits its turn in a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Letter {
    Message {
        from: NodeId,
        message: MailId,
    },
    Due(Due),
    /// A message to be sent off.
    Outgoing {
        to: NodeId,
        message: MailId,
    },
    /// The plan of this number, which takes so long.
    Think {
        plan: u32,
        span: Span,
    },
}

impl Letter {
    /// The message that it carries.
    pub(crate) fn mail(self) -> Option<MailId> {
        match self {
            Self::Message { message, .. } | Self::Outgoing { message, .. } => Some(message),
            Self::Due(_) | Self::Think { .. } => None,
        }
    }

    /// Where it is worked on.
    pub(crate) fn lane(self) -> LaneId {
        match self {
            Self::Message { .. } => LaneId::Messages,
            Self::Due(due) => due.lane(),
            Self::Outgoing { .. } => LaneId::Publisher,
            Self::Think { .. } => LaneId::Planner,
        }
    }
}

/// What a lane does when its work is done.
#[derive(Debug)]
pub(crate) enum Job {
    /// Let the node act on its input.
    Act(Letter),
    /// Carry out what the node wanted.
    CarryOut(Vec<Effect>),
    /// Tell the node that its plan is ready.
    EndPlan(u32),
    /// Let a message go.
    Release { to: NodeId, message: MailId },
}

impl Job {
    /// The message that it is about.
    fn mail(&self) -> Option<MailId> {
        match self {
            Self::Act(letter) => letter.mail(),
            Self::Release { message, .. } => Some(*message),
            Self::CarryOut(_) | Self::EndPlan(_) => None,
        }
    }
}

/// What one lane is at.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) waiting: VecDeque<Letter>,
    pub(crate) job: Option<Job>,
    /// Waits for this batch, or this plan, before anything else.
    pub(crate) delay: Option<Hold>,
}

/// The lanes of one node, made when one of them is first needed.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Option<Box<[Lane; LANES]>>);

impl Lanes {
    /// Whether in a lane nothing is under way, waits, or is waited for.
    #[inline]
    pub(crate) fn is_idle(&self, id: LaneId) -> bool {
        self.0.as_ref().is_none_or(|lanes| lanes[id as usize].is_idle())
    }

    pub(crate) fn get_mut(&mut self, id: LaneId) -> &mut Lane {
        &mut self.0.get_or_insert_default()[id as usize]
    }

    /// The messages in all of them.
    pub(crate) fn mail(&self) -> impl Iterator<Item = MailId> {
        self.iter().flat_map(|lane| {
            let waiting = lane.waiting.iter().filter_map(|letter| letter.mail());
            waiting.chain(lane.job.as_ref().and_then(Job::mail))
        })
    }

    /// All that have been needed so far.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.0.iter().flat_map(|lanes| &**lanes)
    }
}

/// What a held lane waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    Batch(BatchId),
    Plan(u32),
}

impl Lane {
    #[inline]
    fn is_idle(&self) -> bool {
        self.job.is_none() && self.delay.is_none() && self.waiting.is_empty()
    }

    /// Whether a letter can be worked on now.
    pub(crate) fn takes(&self, letter: Letter) -> bool {
        let released = match (self.delay, letter) {
            (None, _) => true,
            (Some(Hold::Batch(held)), Letter::Due(Due::Arrived(batch))) => held == batch,
            (Some(Hold::Plan(held)), Letter::Due(Due::Planned(plan))) => held == plan,
            (Some(_), _) => false,
        };
        released && self.job.is_none()
    }
}
