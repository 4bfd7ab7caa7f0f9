//! Failure detector: monitors other nodes by heartbeats and suspects those that are silent for too long.
//!
//! A node monitors its *neighbours* in the flow, whose links must work: the silence of one is reported to the leader,
//! which finds out whether the node or the link has failed ([`links`](crate::links)). And it monitors its *peers*,
//! from which it must hear on any way: a candidate those with which it exchanges election messages, and the leader;
//! the leader also the producers at the downstream end of the flow. A peer that misses a round is asked by
//! [relays](crate::relay) as well. No node monitors all others, yet every assigned node is monitored.
//!
//! The plugin ([`DetectorStrategy`]) decides how long the silence of a node is tolerated; it is judged in every
//! heartbeat round.
//!
//! | module | responsibility |
//! |---|---|
//! | [`monitored`] | what is known of one monitored node |
//! | [`selection`] | which nodes are monitored |

mod monitored;
mod selection;

use dmos_core::settings::Dissemination;
use dmos_core::strategy::DetectorStrategy;
use dmos_core::{Assignment, FlowVersion, NodeId, Span, Time};

use crate::assignment::ActiveAssignment;
use crate::context::Context;
use crate::interface::{Report, Timer};
use crate::leadership::{Leadership, PeerEvent};
use crate::links::Links;
use crate::message::Message;
use crate::relay::hops_after;
use monitored::MonitoredNode;

/// Interval at which a node without neighbours checks whether it has any.
const POLL_INTERVAL: Span = Span::from_millis(500);

/// Number of heartbeat rounds between two relayed requests to a peer that is suspected.
const SLOW_ROUNDS: u32 = 8;

/// Number of heartbeat rounds of silence that are reported before reports are relayed as well.
const PATIENT_REPORTS: u32 = 6;

/// The monitored nodes.
#[derive(Default)]
pub(crate) struct FailureDetector {
    phase: Span,
    rounds: u32,
    /// Sorted by node.
    monitored: Vec<MonitoredNode>,
    /// Scratch buffer of `refresh_neighbours`, kept to avoid allocation.
    scratch: Vec<MonitoredNode>,
    /// Flow version and leader at the last refresh of the neighbours.
    refreshed_for: Option<(FlowVersion, Option<NodeId>)>,
    rare: Box<Rare>,
}

/// State that is empty in most nodes, kept apart so that a node stays small.
#[derive(Default)]
struct Rare {
    /// Candidates with the time of the last election message from or to them, sorted by node.
    contacts: Vec<(NodeId, Time)>,
    /// Nodes that the blackboard lists as removed, sorted.
    removed: Vec<NodeId>,
    links: Links,
    peer_events: Vec<PeerEvent>,
}

impl FailureDetector {
    pub(crate) fn new(phase: Span) -> Self {
        Self { phase, ..Self::default() }
    }

    /// Sets the number of times that the node has recovered, which distinguishes its reports of links.
    pub(crate) fn set_incarnation(&mut self, incarnation: u32) {
        self.rare.links = Links::new(incarnation);
    }

    pub(crate) fn links(&self) -> &Links {
        &self.rare.links
    }

    pub(crate) fn links_mut(&mut self) -> &mut Links {
        &mut self.rare.links
    }

    pub(crate) fn neighbours(&self) -> usize {
        self.monitored.len()
    }

    pub(crate) fn set_removed(&mut self, node: NodeId, removed: bool) {
        match (self.rare.removed.binary_search(&node), removed) {
            (Err(at), true) => self.rare.removed.insert(at, node),
            (Ok(at), false) => {
                self.rare.removed.remove(at);
            }
            _ => {}
        }
    }

    /// Returns the nodes that are presumed to have failed: removed ones on the blackboard, and silent ones that
    /// the leader has not found alive.
    pub(crate) fn presumed_failed(&self) -> impl Iterator<Item = NodeId> + '_ {
        let failed = |peer: &&MonitoredNode| {
            peer.is_suspected || (peer.is_silent && !peer.is_peer && !self.rare.links.is_broken(peer.node))
        };
        self.rare.removed.iter().copied().chain(self.monitored.iter().filter(failed).map(|peer| peer.node))
    }

    /// Starts the heartbeat rounds once there is a node to monitor.
    pub(crate) fn await_neighbours(
        &mut self,
        cx: &mut Context<'_>,
        active: &ActiveAssignment,
        leadership: &Leadership,
    ) {
        let has_any = active.assignment().is_some() || leadership.monitored_leader().is_some();
        if has_any || !self.rare.contacts.is_empty() {
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
        for at in 0..self.monitored.len() {
            cx.request_heartbeat(self.monitored[at].node);
            self.request_by_relays(cx, at);
        }
        self.report_silent(cx, leadership);
        if cx.uses_relays() {
            self.rare.links.test(cx);
            self.rare.links.report(cx, leadership.current());
            let memory = cx.answer_memory();
            cx.relay.forget(cx.now, memory);
        }
        cx.set_timer(cx.protocol.heartbeat, Timer::Heartbeat);
        std::mem::take(&mut self.rare.peer_events)
    }

    /// Asks a peer by relays as well, once it has missed a round.
    fn request_by_relays(&mut self, cx: &mut Context<'_>, at: usize) {
        let peer = &mut self.monitored[at];
        if !peer.is_peer || !cx.uses_relays() {
            return;
        }
        // The response to the last round but one has not arrived.
        if cx.now.since(peer.heard_directly) * 2 <= cx.protocol.heartbeat * 3 {
            return cx.relay.set_detour(peer.node, None);
        }
        peer.relayed_rounds = peer.relayed_rounds.saturating_add(1);
        let hops = hops_after(peer.relayed_rounds);
        // Most likely a suspected peer is down, so other messages to it are not relayed.
        cx.relay.set_detour(peer.node, (!peer.is_suspected).then_some(hops));
        if !peer.is_suspected || self.rounds.is_multiple_of(SLOW_ROUNDS) {
            cx.send_by_relays(peer.node, hops, &Message::HeartbeatRequest);
        }
    }

    /// Clears the suspicion of nodes in a newly adopted assignment: its planner has heard from them since, or
    /// will receive the suspicion again.
    pub(crate) fn trust_members(&mut self, now: Time, assignment: &Assignment) {
        for monitored in self.monitored.iter_mut().filter(|peer| peer.is_silent && peer.is_neighbour) {
            let is_assigned = assignment.neighbours().any(|node| node == monitored.node);
            if is_assigned && !self.rare.links.is_broken(monitored.node) {
                (monitored.trusted, monitored.is_silent, monitored.reports) = (now, false, 0);
            }
        }
    }

    /// Returns whether this node cannot expect material from `node`: it is silent, or its link is broken.
    pub(crate) fn suspects(&self, node: NodeId) -> bool {
        self.find(node).is_some_and(|at| self.monitored[at].is_silent)
            || self.rare.removed.binary_search(&node).is_ok()
            || self.rare.links.is_broken(node)
    }

    /// Returns whether a monitored node has answered directly within half of `patience`.
    pub(crate) fn hears(&self, now: Time, node: NodeId, patience: Span) -> bool {
        let peer = self.find(node).map(|at| &self.monitored[at]);
        peer.is_some_and(|peer| peer.has_responded && now.since(peer.heard_directly) * 2 <= patience)
    }

    /// Returns whether this node hears from a peer on no way, so that messages from it do not count: it would not
    /// receive an answer.
    pub(crate) fn is_cut_off(&self, node: NodeId) -> bool {
        self.find(node).is_some_and(|at| self.monitored[at].is_suspected)
    }

    fn find(&self, node: NodeId) -> Option<usize> {
        self.monitored.binary_search_by_key(&node, |peer| peer.node).ok()
    }

    fn report_silent(&mut self, cx: &mut Context<'_>, leadership: &Leadership) {
        let is_blackboard = cx.protocol.dissemination == Dissemination::Blackboard;
        for at in 0..self.monitored.len() {
            if self.rare.removed.binary_search(&self.monitored[at].node).is_ok() {
                continue;
            }
            let was_trusted = !self.monitored[at].is_silent && !self.monitored[at].is_suspected;
            let is_reported = self.judge(cx, leadership, at);
            let peer = &self.monitored[at];
            if was_trusted && (peer.is_silent || peer.is_suspected) {
                let (node, silence) = (peer.node, cx.now.since(peer.heard_directly.max(peer.trusted)));
                cx.report(Report::Suspected { node, silence });
            }
            if is_reported {
                self.report(cx, leadership, at, is_blackboard);
            }
        }
    }

    /// Updates the suspicion of a node. Returns whether its silence matters and is too long.
    fn judge(&mut self, cx: &Context<'_>, leadership: &Leadership, at: usize) -> bool {
        let is_blackboard = cx.protocol.dissemination == Dissemination::Blackboard;
        let peer = &mut self.monitored[at];
        let is_cut_off = match is_blackboard {
            true => peer.is_late_directly(cx.now),
            false => peer.is_peer && peer.is_late_on_any_way(cx.now, &cx.protocol.detector_config()),
        };
        // A leader may have been replaced while it was suspected, so its silence is reported again.
        let is_leader = leadership.leader() == Some(peer.node);
        if is_cut_off && (!peer.is_suspected || is_leader) {
            peer.is_suspected = true;
            self.rare.peer_events.push(PeerEvent::Suspected(peer.node));
        }
        let matters = peer.is_neighbour || is_blackboard || (peer.is_suspected && leadership.leads());
        let is_too_silent = matters && peer.is_late_directly(cx.now);
        if is_too_silent && !std::mem::replace(&mut peer.is_silent, true) {
            self.rare.peer_events.push(PeerEvent::Silent);
        }
        is_too_silent
    }

    /// Reports the silence of a node to the leader, or finds its link broken.
    fn report(&mut self, cx: &mut Context<'_>, leadership: &Leadership, at: usize, is_blackboard: bool) {
        let peer = &mut self.monitored[at];
        if self.rare.links.is_broken(peer.node) {
            return;
        }
        // The answer to the request that followed the leader's finding would have arrived by now.
        if peer.found_alive.is_some_and(|found| cx.now.since(found) * 2 >= cx.protocol.heartbeat) {
            self.rare.links.on_broken(cx, peer.node);
            self.rare.links.test_suppliers(cx);
            return;
        }
        // A leader that is only a peer does not handle reports of its own failure, except in the prototype.
        let takes = |leader: &NodeId| is_blackboard || *leader != peer.node || peer.is_neighbour;
        let Some(leader) = leadership.leader().filter(takes) else { return };
        let number = peer.reports;
        peer.reports = peer.reports.saturating_add(1);
        // A neighbour is reported until another flow is active, of which a peer may be no part.
        if peer.is_neighbour || is_blackboard || number.is_multiple_of(SLOW_ROUNDS) {
            let is_relayed = number < SLOW_ROUNDS * 2 || number.is_multiple_of(SLOW_ROUNDS);
            let tries = if is_relayed { number / PATIENT_REPORTS } else { 0 };
            cx.send_again(leader, Message::Suspicion(peer.node), tries);
        }
    }

    /// Handles a heartbeat response that arrived directly. Returns the end of a suspicion.
    pub(crate) fn on_heartbeat_response(
        &mut self,
        cx: &mut Context<'_>,
        strategy: &dyn DetectorStrategy,
        from: NodeId,
    ) -> Option<PeerEvent> {
        let was_broken = self.rare.links.on_answer(from);
        let Some(at) = self.find(from) else {
            return was_broken.then_some(PeerEvent::Silent);
        };
        let peer = &mut self.monitored[at];
        peer.on_direct_response(cx.now, strategy, &cx.protocol.detector_config());
        let was_silent = std::mem::take(&mut peer.is_silent);
        if cx.uses_relays() {
            cx.relay.set_detour(from, None);
        }
        let trusted = self.on_response_by_any_way(cx.now, from);
        trusted.or((was_silent || was_broken).then_some(PeerEvent::Silent))
    }

    /// Handles a heartbeat response, whichever way it took. Returns the end of a suspicion.
    pub(crate) fn on_response_by_any_way(&mut self, now: Time, from: NodeId) -> Option<PeerEvent> {
        let at = self.find(from)?;
        let peer = &mut self.monitored[at];
        peer.heard = now;
        // The hops of the last request suffice.
        peer.relayed_rounds = peer.relayed_rounds.saturating_sub(1);
        std::mem::take(&mut peer.is_suspected).then_some(PeerEvent::Trusted(from))
    }

    /// Handles the leader's finding that a silent node is alive. If it does not answer another request either, its link
    /// is broken.
    pub(crate) fn on_found_alive(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(at) = self.find(node) {
            let peer = &mut self.monitored[at];
            if peer.is_silent && peer.is_neighbour && peer.found_alive.is_none() {
                peer.found_alive = Some(cx.now);
                cx.request_heartbeat(node);
            }
        }
    }
}
