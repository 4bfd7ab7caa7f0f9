//! FailureDetector watches neighbours by heartbeats and suspects those that have been silent for too long.
//!
//! Watched are the neighbours in the flow, by candidates the leader, and by the leader the watched_producers of the
//! flow: nobody watches everybody, and still nobody dies unnoticed.

use dmos_core::settings::Dissemination;
use dmos_core::{Assignment, FlowVersion, Metric, NodeId, Span, Time};

use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::interface::Timer;
use crate::leadership::{Leadership, PeerEvent};
use crate::message::Message;

/// How often a node without neighbours looks whether it has any.
const POLL_INTERVAL: Span = Span::from_millis(500);

struct Watched {
    node: NodeId,
    heard: Time,
    suspected: bool,
}

/// Whom the node watches, and when it last heard of each.
#[derive(Default)]
pub(crate) struct FailureDetector {
    phase: Span,
    rounds: u32,
    /// Sorted by node.
    watched: Vec<Watched>,
    /// Used by look-ups alone, whose memory it keeps.
    to_watch: Vec<NodeId>,
    /// The flow and the leader by which it last looked whom to watch.
    refreshed_for: Option<(FlowVersion, Option<NodeId>)>,
    /// Nodes that the blackboard says are removed from the living, sorted.
    removed: Vec<NodeId>,
    peer_events: Vec<PeerEvent>,
}

impl FailureDetector {
    pub(crate) fn new(phase: Span) -> Self {
        Self { phase, ..Self::default() }
    }

    pub(crate) fn neighbours(&self) -> usize {
        self.watched.len()
    }

    pub(crate) fn set_removed(&mut self, node: NodeId, removed: bool) {
        match (self.removed.binary_search(&node), removed) {
            (Err(at), true) => self.removed.insert(at, node),
            (Ok(at), false) => {
                self.removed.remove(at);
            }
            _ => {}
        }
    }

    /// Returns the nodes to be believed to have failed: those that the blackboard says are removed, and those suspected.
    pub(crate) fn presumed_failed(&self) -> impl Iterator<Item = NodeId> + '_ {
        let suspected = self.watched.iter().filter(|watched| watched.suspected).map(|watched| watched.node);
        self.removed.iter().copied().chain(suspected)
    }

    /// Begins the rounds once there is somebody to watch.
    pub(crate) fn await_neighbours(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
    ) {
        if active.assignment().is_some() || leadership.watched_leader().is_some() {
            cx.set_timer(self.phase, Timer::Heartbeat);
        } else {
            cx.set_timer(POLL_INTERVAL, Timer::AwaitNeighbours);
        }
    }

    /// One round: asks every neighbour for a sign of incarnation, and reports the silent ones. A leader also asks
    /// the watched_producers of its flow.
    ///
    /// Returns the changes of mind since the last round.
    pub(crate) fn heartbeat_round(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
        watched_producers: &[NodeId],
    ) -> Vec<PeerEvent> {
        if self.rounds.is_multiple_of(cx.protocol.neighbours_every.get()) {
            self.refresh_neighbours(cx, active, leadership, watched_producers);
        }
        self.rounds = self.rounds.wrapping_add(1);
        for watched in &self.watched {
            cx.metrics.count(Metric::HeartbeatsSent);
            cx.send(watched.node, Message::HeartbeatRequest);
        }
        self.report_silent(cx, leadership);
        cx.set_timer(cx.protocol.heartbeat, Timer::Heartbeat);
        std::mem::take(&mut self.peer_events)
    }

    /// A new flow is active. Suspected nodes that it counts on get another chance: whoever planned it
    /// has heard of them, or will hear of the suspicion again.
    pub(crate) fn trust_members(&mut self, now: Time, assignment: &Assignment) {
        for watched in self.watched.iter_mut().filter(|watched| watched.suspected) {
            if assignment.neighbours().any(|node| node == watched.node) {
                (watched.heard, watched.suspected) = (now, false);
            }
        }
    }

    /// Returns whether the node is believed to have failed here.
    pub(crate) fn suspects(&self, node: NodeId) -> bool {
        let watched = self.watched.binary_search_by_key(&node, |watched| watched.node);
        watched.is_ok_and(|at| self.watched[at].suspected) || self.removed.binary_search(&node).is_ok()
    }

    fn refresh_neighbours(
        &mut self,
        cx: &Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
        watched_producers: &[NodeId],
    ) {
        // A flow never changes under its version.
        let by = (active.version(), leadership.watched_leader());
        if watched_producers.is_empty() && self.refreshed_for == Some(by) && active.assignment().is_some() {
            return;
        }
        self.refreshed_for = (watched_producers.is_empty() && active.assignment().is_some()).then_some(by);
        let neighbours = active.assignment().into_iter().flat_map(|assignment| assignment.neighbours());
        let others = leadership.watched_leader().into_iter().chain(watched_producers.iter().copied());
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
            if !silent || self.removed.binary_search(&watched.node).is_ok() {
                continue;
            }
            // A leader may have come and gone while it was suspected: say so as long as it is silent.
            if !watched.suspected || leadership.leader() == Some(watched.node) {
                watched.suspected = true;
                self.peer_events.push(PeerEvent::Suspected(watched.node));
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
    pub(crate) fn on_heartbeat_response(&mut self, now: Time, from: NodeId) -> Option<PeerEvent> {
        let at = self.watched.binary_search_by_key(&from, |watched| watched.node).ok()?;
        let watched = &mut self.watched[at];
        watched.heard = now;
        std::mem::take(&mut watched.suspected).then_some(PeerEvent::Trusted(from))
    }
}
