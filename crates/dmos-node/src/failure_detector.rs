//! Failure detector: monitors neighbours by heartbeats and suspects those that are silent for too long.
//!
//! A node monitors its neighbours in the flow; a candidate also monitors the leader; and the leader also
//! monitors the producers at the downstream end of the flow. No node monitors all others, yet every assigned
//! node is monitored.

use dmos_core::settings::Dissemination;
use dmos_core::{Assignment, FlowVersion, Metric, NodeId, Span, Time};

use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::interface::Timer;
use crate::leadership::{Leadership, PeerEvent};
use crate::message::Message;

/// Interval at which a node without neighbours checks whether it has any.
const POLL_INTERVAL: Span = Span::from_millis(500);

struct MonitoredNode {
    node: NodeId,
    last_heard: Time,
    suspected: bool,
}

/// Monitored nodes, and the last time each was heard from.
#[derive(Default)]
pub(crate) struct FailureDetector {
    phase: Span,
    rounds: u32,
    /// Sorted by node.
    monitored: Vec<MonitoredNode>,
    /// Scratch buffer of [`FailureDetector::refresh_neighbours`], kept to avoid allocation.
    scratch: Vec<NodeId>,
    /// Flow version and leader at the last refresh of the neighbours.
    refreshed_for: Option<(FlowVersion, Option<NodeId>)>,
    /// Nodes that the blackboard lists as removed, sorted.
    removed: Vec<NodeId>,
    peer_events: Vec<PeerEvent>,
}

impl FailureDetector {
    pub(crate) fn new(phase: Span) -> Self {
        Self { phase, ..Self::default() }
    }

    pub(crate) fn neighbours(&self) -> usize {
        self.monitored.len()
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

    /// Returns the nodes that are presumed to have failed: removed ones on the blackboard, and suspected
    /// ones.
    pub(crate) fn presumed_failed(&self) -> impl Iterator<Item = NodeId> + '_ {
        let suspected = self.monitored.iter().filter(|peer| peer.suspected).map(|peer| peer.node);
        self.removed.iter().copied().chain(suspected)
    }

    /// Starts the heartbeat rounds once there is a node to monitor.
    pub(crate) fn await_neighbours(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
    ) {
        if active.assignment().is_some() || leadership.monitored_leader().is_some() {
            cx.set_timer(self.phase, Timer::Heartbeat);
        } else {
            cx.set_timer(POLL_INTERVAL, Timer::AwaitNeighbours);
        }
    }

    /// Runs one heartbeat round: sends heartbeats to all monitored nodes and reports the silent ones. A
    /// leader also monitors `monitored_producers`.
    ///
    /// Returns the changes of suspicion since the last round.
    pub(crate) fn heartbeat_round(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
        monitored_producers: &[NodeId],
    ) -> Vec<PeerEvent> {
        if self.rounds.is_multiple_of(cx.protocol.neighbours_every.get()) {
            self.refresh_neighbours(cx, active, leadership, monitored_producers);
        }
        self.rounds = self.rounds.wrapping_add(1);
        for monitored in &self.monitored {
            cx.metrics.count(Metric::HeartbeatsSent);
            cx.send(monitored.node, Message::HeartbeatRequest);
        }
        self.report_silent(cx, leadership);
        cx.set_timer(cx.protocol.heartbeat, Timer::Heartbeat);
        std::mem::take(&mut self.peer_events)
    }

    /// Clears the suspicion of nodes in a newly adopted assignment: its planner has heard from them since, or
    /// will receive the suspicion again.
    pub(crate) fn trust_members(&mut self, now: Time, assignment: &Assignment) {
        for monitored in self.monitored.iter_mut().filter(|peer| peer.suspected) {
            if assignment.neighbours().any(|node| node == monitored.node) {
                (monitored.last_heard, monitored.suspected) = (now, false);
            }
        }
    }

    /// Returns whether this node suspects `node`.
    pub(crate) fn suspects(&self, node: NodeId) -> bool {
        let index = self.monitored.binary_search_by_key(&node, |peer| peer.node);
        index.is_ok_and(|at| self.monitored[at].suspected) || self.removed.binary_search(&node).is_ok()
    }

    fn refresh_neighbours(
        &mut self,
        cx: &Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
        monitored_producers: &[NodeId],
    ) {
        // A flow never changes without a new version.
        let by = (active.version(), leadership.monitored_leader());
        if monitored_producers.is_empty() && self.refreshed_for == Some(by) && active.assignment().is_some() {
            return;
        }
        self.refreshed_for = (monitored_producers.is_empty() && active.assignment().is_some()).then_some(by);
        let neighbours = active.assignment().into_iter().flat_map(|assignment| assignment.neighbours());
        let others = leadership.monitored_leader().into_iter().chain(monitored_producers.iter().copied());
        let nodes = &mut self.scratch;
        nodes.clear();
        nodes.extend(neighbours.chain(others).filter(|&node| node != cx.me));
        nodes.sort_unstable();
        nodes.dedup();
        if self.monitored.iter().map(|peer| peer.node).eq(nodes.iter().copied()) {
            return;
        }
        let old = std::mem::take(&mut self.monitored);
        self.monitored.extend(nodes.drain(..).map(|node| {
            let known = old.binary_search_by_key(&node, |peer| peer.node).map(|at| &old[at]);
            let (last_heard, suspected) =
                known.map_or((cx.now, false), |peer| (peer.last_heard, peer.suspected));
            MonitoredNode { node, last_heard, suspected }
        }));
    }

    fn report_silent(&mut self, cx: &mut Context<'_>, leadership: &Leadership) {
        for monitored in &mut self.monitored {
            let silent = cx.now.since(monitored.last_heard) > cx.protocol.suspect_after;
            if !silent || self.removed.binary_search(&monitored.node).is_ok() {
                continue;
            }
            // A leader may have been replaced while it was suspected, so its silence is reported again.
            if !monitored.suspected || leadership.leader() == Some(monitored.node) {
                monitored.suspected = true;
                self.peer_events.push(PeerEvent::Suspected(monitored.node));
            }
            // A leader does not handle reports of its own failure, except in the prototype.
            let takes = |leader: &NodeId| {
                cx.protocol.dissemination == Dissemination::Blackboard || *leader != monitored.node
            };
            if let Some(leader) = leadership.leader().filter(takes) {
                cx.send(leader, Message::Suspicion(monitored.node));
            }
        }
    }

    /// Handles a heartbeat response.
    pub(crate) fn on_heartbeat_response(&mut self, now: Time, from: NodeId) -> Option<PeerEvent> {
        let at = self.monitored.binary_search_by_key(&from, |peer| peer.node).ok()?;
        let monitored = &mut self.monitored[at];
        monitored.last_heard = now;
        std::mem::take(&mut monitored.suspected).then_some(PeerEvent::Trusted(from))
    }
}
