//! Distribution of the active flow: each node receives its assignment until it acknowledges it.
//!
//! A node receives no assignment before it has answered the leader's announcement, so a leader that receives nothing cannot
//! impose a flow on nodes that it cannot hear. A node that does not acknowledge within `suspect_after` is removed from
//! the membership; it receives an empty assignment, and if it acknowledges that, it is alive and rejoins.

use std::sync::Arc;

use dmos_core::flow::FlowRates;
use dmos_core::settings::Production;
use dmos_core::{Assignment, Flow, FlowVersion, NodeId, Time};

use super::Planning;
use crate::context::Context;
use crate::interface::{Notice, Timer};
use crate::message::Message;
use crate::prototype::blackboard;
use crate::retransmission::Retransmission;

/// An assignment that its node has not acknowledged.
pub(super) struct PendingAssignment {
    version: FlowVersion,
    assignment: Arc<Assignment>,
    first_sent: Time,
    retransmission: Retransmission,
}

impl Planning {
    /// Activates a flow. Returns the node's own assignment, unless a blackboard publishes the flow to all
    /// nodes.
    pub(super) fn publish(
        &mut self,
        cx: &mut Context<'_>,
        flow: Arc<Flow>,
        planned: Option<FlowRates>,
    ) -> Option<(FlowVersion, Assignment)> {
        self.number += 1;
        let version = FlowVersion { term: self.term, number: self.number };
        let before = self.active.replace(Arc::clone(&flow));
        if blackboard::post(cx, || Notice::Flow(version, Arc::clone(&flow))) {
            return None;
        }
        self.monitored_producers = self.final_producers(&flow);
        let rates = match cx.protocol.production {
            Production::Server => planned.unwrap_or_else(|| FlowRates::derive(&self.network, &flow)),
            Production::Polled => FlowRates::default(),
        };
        let rates_before = std::mem::replace(&mut self.rates, rates);
        // The first flow is sent to all nodes, a later one only to those whose assignment changed.
        let nodes = match before {
            Some(before) => {
                let mut nodes = before.change_to(&flow).nodes();
                nodes.extend(self.rates.changed_nodes(&rates_before, &flow));
                nodes.sort_unstable();
                nodes.dedup();
                nodes
            }
            None => cx.network.nodes().collect(),
        };
        let me = cx.me;
        // Idle spares are many, so all of them share one empty assignment.
        let idle = Arc::new(Assignment::default());
        for node in nodes.into_iter().filter(|&node| node != me) {
            let assignment = self.rates.assignment(&self.network, &flow, node);
            let assignment = if assignment.is_idle() { Arc::clone(&idle) } else { Arc::new(assignment) };
            self.send_assignment(cx, node, version, assignment);
        }
        Some((version, self.rates.assignment(&self.network, &flow, me)))
    }

    /// Returns the nodes that the leader monitors, so that every assigned node is monitored: all others are
    /// monitored by their consumers.
    pub(crate) fn monitored_producers(&self) -> &[NodeId] {
        &self.monitored_producers
    }

    fn final_producers(&self, flow: &Flow) -> Vec<NodeId> {
        let network = &self.network;
        let mut monitored_producers = Vec::new();
        for &item in network.final_items() {
            let before = monitored_producers.len();
            let producers = network.producers(item).iter().copied();
            monitored_producers.extend(producers.clone().filter(|&node| flow.is_assigned(node)));
            if monitored_producers.len() == before {
                // A producer of a final item without inputs has no edge.
                let needs_nothing = |&node: &NodeId| network.requirements(node).is_empty();
                monitored_producers
                    .extend(producers.filter(|&node| self.alive.contains(node)).filter(needs_nothing));
            }
        }
        monitored_producers
    }

    fn send_assignment(
        &mut self,
        cx: &mut Context<'_>,
        node: NodeId,
        version: FlowVersion,
        assignment: Arc<Assignment>,
    ) {
        // A node that does not answer is removed, however often its assignment changes in the meantime.
        let first_sent = self.unacknowledged.get(&node).map_or(cx.now, |pending| pending.first_sent);
        let pending = PendingAssignment {
            version,
            assignment,
            first_sent,
            retransmission: Retransmission::new(cx.now),
        };
        self.send_pending(cx, node, &pending);
        self.unacknowledged.insert(node, pending);
        self.set_retransmit_timer(cx);
    }

    /// Sends a node its assignment, or the announcement that it has to answer first.
    fn send_pending(&self, cx: &mut Context<'_>, node: NodeId, pending: &PendingAssignment) {
        let tries = pending.retransmission.retries();
        let is_announced = cx.now.since(self.announced_at) < cx.protocol.retry_after.unwrap_or_default();
        if tries == 0 && is_announced && !self.contacted.contains(node) {
            return;
        }
        // A node that was removed after a confirmation most likely is down.
        let tries = if self.alive.contains(node) { tries } else { tries.min(1) };
        let message = match self.contacted.contains(node) {
            true => Message::Assignment(pending.version, Arc::clone(&pending.assignment)),
            false => Message::Leader(cx.me, self.term),
        };
        cx.send_again(node, message, tries);
    }

    /// Announces the leader to all nodes.
    pub(super) fn announce(&self, cx: &mut Context<'_>) {
        let (me, network) = (cx.me, cx.network);
        for node in network.nodes().filter(|&node| node != me) {
            cx.send_control(node, Message::Leader(me, self.term));
        }
    }

    /// Sends a node its assignment in the active flow.
    pub(super) fn send_current_assignment(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(flow) = self.active.as_ref().filter(|_| node != cx.me) {
            let version = FlowVersion { term: self.term, number: self.number };
            let assignment = Arc::new(self.rates.assignment(&self.network, flow, node));
            self.send_assignment(cx, node, version, assignment);
        }
    }

    fn set_retransmit_timer(&mut self, cx: &mut Context<'_>) {
        if let (None, Some(span)) = (self.retransmit_at, cx.protocol.retry_after) {
            self.retransmit_at = Some(cx.now + span);
            cx.set_timer(span, Timer::RetransmitAssignments);
        }
    }

    /// Retransmits overdue assignments, and removes nodes that have not acknowledged for too long.
    pub(crate) fn retransmit_assignments(&mut self, cx: &mut Context<'_>) {
        // A timer of an earlier term is ignored.
        if self.retransmit_at.take_if(|due| *due <= cx.now).is_none() {
            return;
        }
        let (mut silent, mut overdue) = (Vec::new(), Vec::new());
        for (&node, pending) in &mut self.unacknowledged {
            if pending.retransmission.is_due(cx.now, cx.protocol) {
                pending.retransmission = pending.retransmission.again(cx.now);
                overdue.push(node);
            }
            if cx.now.since(pending.first_sent) > cx.protocol.suspect_after && self.alive.contains(node) {
                silent.push(node);
            }
        }
        for node in overdue {
            self.send_pending(cx, node, &self.unacknowledged[&node]);
        }
        if !self.unacknowledged.is_empty() {
            self.set_retransmit_timer(cx);
        }
        self.remove(cx, &silent);
    }

    /// Handles the acknowledgement of an assignment, which also proves that messages pass in both directions.
    pub(crate) fn on_acknowledged(&mut self, cx: &mut Context<'_>, from: NodeId, version: FlowVersion) {
        if self.unacknowledged.get(&from).is_some_and(|pending| pending.version <= version) {
            self.unacknowledged.remove(&from);
        }
        self.contacted.insert(from);
        self.rejoin(cx, from);
    }
}
