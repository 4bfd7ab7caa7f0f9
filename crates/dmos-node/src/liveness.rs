//! Liveness watches neighbours by heartbeats and suspects those that have been silent for too long.
//!
//! Watched are the neighbours in the flow, by candidates the leader, and by the leader the ends of the
//! flow: nobody watches everybody, and still nobody dies unnoticed.

use dmos_core::settings::Dissemination;
use dmos_core::{Assignment, FlowVersion, Metric, NodeId, Span, Time};

use crate::context::Context;
use crate::interface::Timer;
use crate::leadership::{Leadership, Verdict};
use crate::message::Message;
use crate::role::Role;

/// How often a node without neighbours looks whether it has any.
const LOOK_EVERY: Span = Span::from_millis(500);

struct Watched {
    node: NodeId,
    heard: Time,
    suspected: bool,
}

/// Whom the node watches, and when it last heard of each.
#[derive(Default)]
pub(crate) struct Liveness {
    phase: Span,
    rounds: u32,
    /// Sorted by node.
    watched: Vec<Watched>,
    /// Used by look-ups alone, whose memory it keeps.
    to_watch: Vec<NodeId>,
    /// The flow and the leader by which it last looked whom to watch.
    looked_by: Option<(FlowVersion, Option<NodeId>)>,
    /// Nodes that the board says are struck from the living, sorted.
    struck: Vec<NodeId>,
    verdicts: Vec<Verdict>,
}

impl Liveness {
    pub(crate) fn new(phase: Span) -> Self {
        Self { phase, ..Self::default() }
    }

    pub(crate) fn neighbours(&self) -> usize {
        self.watched.len()
    }

    pub(crate) fn set_struck(&mut self, node: NodeId, struck: bool) {
        match (self.struck.binary_search(&node), struck) {
            (Err(at), true) => self.struck.insert(at, node),
            (Ok(at), false) => {
                self.struck.remove(at);
            }
            _ => {}
        }
    }

    /// The nodes to be taken for dead: those that the board says are struck, and those suspected.
    pub(crate) fn dead(&self) -> impl Iterator<Item = NodeId> + '_ {
        let suspected = self.watched.iter().filter(|watched| watched.suspected).map(|watched| watched.node);
        self.struck.iter().copied().chain(suspected)
    }

    /// Begins the rounds once there is somebody to watch.
    pub(crate) fn await_neighbours(&mut self, cx: &mut Context<'_>, role: &Role, leadership: &Leadership) {
        if role.assignment().is_some() || leadership.watches().is_some() {
            cx.set_timer(self.phase, Timer::Heartbeat);
        } else {
            cx.set_timer(LOOK_EVERY, Timer::AwaitNeighbours);
        }
    }

    /// One round: asks every neighbour for a sign of incarnation, and reports the silent ones. A leader also asks
    /// the ends of its flow.
    ///
    /// Returns the changes of mind since the last round.
    pub(crate) fn round(
        &mut self,
        cx: &mut Context<'_>,
        role: &Role,
        leadership: &Leadership,
        ends: &[NodeId],
    ) -> Vec<Verdict> {
        if self.rounds.is_multiple_of(cx.protocol.neighbours_every.get()) {
            self.look_up_neighbours(cx, role, leadership, ends);
        }
        self.rounds = self.rounds.wrapping_add(1);
        for watched in &self.watched {
            cx.metrics.count(Metric::HeartbeatsSent);
            cx.send(watched.node, Message::HeartbeatRequest);
        }
        self.report_silent(cx, leadership);
        cx.set_timer(cx.protocol.heartbeat, Timer::Heartbeat);
        std::mem::take(&mut self.verdicts)
    }

    /// A new flow is in force. Suspected nodes that it counts on get another chance: whoever planned it
    /// has heard of them, or will hear of the suspicion again.
    pub(crate) fn trust_again(&mut self, now: Time, part: &Assignment) {
        for watched in self.watched.iter_mut().filter(|watched| watched.suspected) {
            if part.neighbours().any(|node| node == watched.node) {
                (watched.heard, watched.suspected) = (now, false);
            }
        }
    }

    /// Whether the node is taken for dead here.
    pub(crate) fn suspects(&self, node: NodeId) -> bool {
        let watched = self.watched.binary_search_by_key(&node, |watched| watched.node);
        watched.is_ok_and(|at| self.watched[at].suspected) || self.struck.binary_search(&node).is_ok()
    }

    fn look_up_neighbours(
        &mut self,
        cx: &Context<'_>,
        role: &Role,
        leadership: &Leadership,
        ends: &[NodeId],
    ) {
        // A flow never changes under its version.
        let by = (role.version(), leadership.watches());
        if ends.is_empty() && self.looked_by == Some(by) && role.assignment().is_some() {
            return;
        }
        self.looked_by = (ends.is_empty() && role.assignment().is_some()).then_some(by);
        let neighbours = role.assignment().into_iter().flat_map(|part| part.neighbours());
        let others = leadership.watches().into_iter().chain(ends.iter().copied());
        let nodes = &mut self.to_watch;
        nodes.clear();
        nodes.extend(neighbours.chain(others).filter(|&node| node != cx.me));
        nodes.sort_unstable();
        nodes.dedup();
        if self.watched.iter().map(|watched| watched.node).eq(nodes.iter().copied()) {
            return;
        }
        let old = std::mem::take(&mut self.watched);
        self.watched.extend(nodes.drain(..).map(|node| {
            let known = old.binary_search_by_key(&node, |watched| watched.node).map(|at| &old[at]);
            let (heard, suspected) =
                known.map_or((cx.now, false), |watched| (watched.heard, watched.suspected));
            Watched { node, heard, suspected }
        }));
    }

    fn report_silent(&mut self, cx: &mut Context<'_>, leadership: &Leadership) {
        for watched in &mut self.watched {
            let silent = cx.now.since(watched.heard) > cx.protocol.suspect_after;
            if !silent || self.struck.binary_search(&watched.node).is_ok() {
                continue;
            }
            // A leader may have come and gone while it was suspected: say so as long as it is silent.
            if !watched.suspected || leadership.leader() == Some(watched.node) {
                watched.suspected = true;
                self.verdicts.push(Verdict::Suspected(watched.node));
            }
            // A leader takes no report of its own death, except in the prototype.
            let takes = |leader: &NodeId| {
                cx.protocol.dissemination == Dissemination::Blackboard || *leader != watched.node
            };
            if let Some(leader) = leadership.leader().filter(takes) {
                cx.send(leader, Message::Suspicion(watched.node));
            }
        }
    }

    /// An answer came: a sign of incarnation.
    pub(crate) fn heard(&mut self, now: Time, from: NodeId) -> Option<Verdict> {
        let at = self.watched.binary_search_by_key(&from, |watched| watched.node).ok()?;
        let watched = &mut self.watched[at];
        watched.heard = now;
        std::mem::take(&mut watched.suspected).then_some(Verdict::HeardAgain(from))
    }
}
