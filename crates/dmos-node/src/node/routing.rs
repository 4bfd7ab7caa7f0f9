//! Routing of messages and timers to the components of a node.

use std::sync::Arc;

use dmos_core::strategy::ElectionInput;
use dmos_core::{Assignment, FlowVersion, Metric, NodeId, Term};

use super::{NodeSettings, VolatileState};
use crate::codec::read_message;
use crate::context::Context;
use crate::interface::Timer;
use crate::leadership::PeerEvent;
use crate::message::{Membership, Message};
use crate::relay::Relayed;

impl VolatileState {
    pub(super) fn on_message(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        from: NodeId,
        message: &Message,
    ) {
        cx.metrics.count(Metric::ReceivedMessages);
        cx.metrics.count(message.received_metric());
        match message {
            Message::Relayed(relayed) => self.on_relayed(cx, settings, from, relayed),
            Message::HeartbeatResponse { incarnation, order } => {
                if let Some((server, around)) = self.with_server() {
                    server.on_heartbeat_response(cx, &around, from, *incarnation, *order);
                }
                let event = self.failure_detector.on_heartbeat_response(cx, &*settings.detector, from);
                self.on_alive(cx, settings, from, event);
            }
            message => self.handle_message(cx, settings, from, message),
        }
    }

    /// Handles a relayed message: forwards it, or handles its content if it is for this node.
    fn on_relayed(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, from: NodeId, relayed: &Relayed) {
        let hears_target = self.failure_detector.hears(cx.now, relayed.target, cx.protocol.suspect_after);
        let Some(mut forwarding) = cx.relay.on_relayed(from, relayed, cx.now, hears_target) else {
            return;
        };
        forwarding.to.retain(|&to| !self.failure_detector.suspects(to));
        if relayed.target != cx.me {
            return cx.forward(forwarding);
        }
        // What is not a message of this network is dropped, as a driver does with messages from outside.
        match read_message(&relayed.content, cx.network) {
            Ok(Message::HeartbeatRequest) => {
                let response = self.heartbeat_response(relayed.origin);
                cx.answer_by_relays(relayed.origin, &response);
            }
            Ok(Message::HeartbeatResponse { .. }) => {
                let event = self.failure_detector.on_response_by_any_way(cx.now, relayed.origin);
                self.on_alive(cx, settings, relayed.origin, event);
            }
            Ok(message) => self.handle_message(cx, settings, relayed.origin, &message),
            Err(_) => {}
        }
    }

    /// Handles a sign of life, on whichever way it came.
    fn on_alive(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        from: NodeId,
        event: Option<PeerEvent>,
    ) {
        self.on_peer_event(cx, settings, event);
        let accusers = self.leader_planning().map_or(Vec::new(), |planning| planning.on_answer(from));
        for accuser in accusers {
            match accuser == cx.me {
                true => self.failure_detector.on_found_alive(cx, from),
                false => cx.send_control(accuser, Message::Membership(Membership::Alive(from))),
            }
        }
    }

    fn heartbeat_response(&self, to: NodeId) -> Message {
        let order = self.server.as_ref().map(|server| server.output().order_status(to));
        Message::HeartbeatResponse { incarnation: self.incarnation(), order: order.unwrap_or_default() }
    }

    fn handle_message(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        from: NodeId,
        message: &Message,
    ) {
        match *message {
            Message::Request { .. }
            | Message::Announcement { .. }
            | Message::Unavailable { .. }
            | Message::TransitStarted(_)
            | Message::Delivered(_) => {
                if self.server.is_none() {
                    self.on_polled_message(cx, from, message);
                }
            }
            Message::Order { .. }
            | Message::OrderAck(_)
            | Message::Shipment { .. }
            | Message::ShipmentAck(_) => {
                if let Some((server, around)) = self.with_server() {
                    server.on_message(cx, &around, from, message);
                }
            }
            Message::HeartbeatRequest => {
                let response = self.heartbeat_response(from);
                cx.send_control(from, response);
            }
            // Handled by their ways.
            Message::HeartbeatResponse { .. } | Message::Relayed(_) => {}
            Message::Membership(ref message) => self.on_membership(cx, from, message),
            Message::Assignment(version, ref assignment) => {
                self.on_assignment(cx, settings, from, version, assignment);
            }
            Message::Leader(leader, term) if leader == from && cx.uses_relays() => {
                self.on_announcement(cx, leader, term);
            }
            Message::Leader(leader, term) => {
                if self.on_leader_learned(cx, settings, leader, term)
                    && self.active.assignment().is_none()
                    && leader != cx.me
                {
                    cx.send_control(leader, Message::Rejoin);
                }
            }
            Message::Suspicion(_) | Message::AssignmentAck(_) | Message::Rejoin | Message::NodeConfig(_) => {
                self.on_message_to_leader(cx, from, message);
            }
            Message::NodeConfigAck(term, commands) => self.commands.on_acknowledged(term, commands),
            Message::Election(ref bytes) => {
                self.failure_detector.on_contact(cx, from);
                // A candidate that cannot hear this one would not accept an answer.
                if self.failure_detector.is_cut_off(from) {
                    return;
                }
                self.run_election(cx, settings, ElectionInput::Message { from, bytes });
            }
        }
    }

    /// Handles a message that is for the leader. A node that does not lead names the leader.
    fn on_message_to_leader(&mut self, cx: &mut Context<'_>, from: NodeId, message: &Message) {
        let is_certain = |node| from == cx.me && self.failure_detector.is_cut_off(node);
        let certain = matches!(message, Message::Suspicion(node) if is_certain(*node));
        match (self.leader_planning(), message) {
            (Some(planning), Message::Suspicion(node)) => planning.on_suspicion(cx, from, *node, certain),
            (Some(planning), Message::AssignmentAck(version)) => planning.on_acknowledged(cx, from, *version),
            (Some(planning), Message::Rejoin) => planning.on_rejoin(cx, from),
            (Some(planning), Message::NodeConfig(config)) => planning.on_node_config(cx, from, config),
            // An acknowledgement asks for nothing.
            (None, Message::AssignmentAck(_)) => {}
            (None, _) => self.leadership.send_leader(cx, from),
            (Some(_), _) => {}
        }
    }

    /// Handles an assignment: adopts it, unless a newer flow is known.
    fn on_assignment(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        from: NodeId,
        version: FlowVersion,
        assignment: &Arc<Assignment>,
    ) {
        self.on_leader_learned(cx, settings, from, version.term);
        if version < self.active.version() || version < self.leadership.accepted_flow() {
            cx.metrics.count(Metric::AssignmentsRefused);
            self.leadership.reject_leader(cx, from);
        } else {
            let edges = assignment.edge_count();
            self.adopt(cx, version, Arc::clone(assignment), edges);
            cx.send_control(from, Message::AssignmentAck(version));
        }
    }

    /// Handles the announcement of a leader by itself. It is believed once the leader has sent an assignment, because
    /// only then it is known to hear this node; until then it is answered.
    fn on_announcement(&mut self, cx: &mut Context<'_>, leader: NodeId, term: Term) {
        let known = self.leadership.current().map_or(Term(0), |known| known.1);
        if known.max(self.leadership.accepted_flow().term) > term {
            return self.leadership.reject_leader(cx, leader);
        }
        cx.send_control(leader, Message::Membership(Membership::Present(term)));
    }

    fn on_membership(&mut self, cx: &mut Context<'_>, from: NodeId, message: &Membership) {
        match message {
            Membership::Alive(node) => self.failure_detector.on_found_alive(cx, *node),
            Membership::LinksAck(term, revision) => {
                self.failure_detector.links_mut().on_acknowledged(*term, *revision);
            }
            Membership::Present(term) => {
                if let Some(planning) = self.leader_planning() {
                    planning.on_present(cx, from, *term);
                }
            }
            Membership::Links { revision, broken } => {
                if let Some(planning) = self.leader_planning() {
                    planning.on_links(cx, from, *revision, broken);
                }
            }
        }
    }

    /// Handles an exchange of single batches; other messages are ignored.
    fn on_polled_message(&mut self, cx: &mut Context<'_>, from: NodeId, message: &Message) {
        match *message {
            Message::Request { request, item } => {
                if self.commands.retired() {
                    self.outbound.refuse(cx, from, request);
                } else {
                    self.outbound.on_request(cx, &self.active, &mut self.inbound, from, request, item);
                }
            }
            Message::Announcement { request, batch, settled } => {
                self.inbound.on_announced(cx, from, request, batch, settled);
            }
            Message::Unavailable { request } => {
                self.inbound.on_refused(cx, self.active.assignment(), request)
            }
            Message::TransitStarted(batch) => self.outbound.on_transit_started(cx, from, batch),
            Message::Delivered(batch) => self.outbound.on_delivered(cx, from, batch),
            _ => {}
        }
    }

    pub(super) fn on_timer(&mut self, cx: &mut Context<'_>, settings: &NodeSettings, timer: Timer) {
        match timer {
            Timer::RunEnd => {
                if let Some((server, around)) = self.with_server() {
                    server.on_run_end(cx, &around);
                }
            }
            Timer::RetransmitOrders => {
                if let Some((server, around)) = self.with_server() {
                    server.retransmit_orders(cx, &around);
                }
            }
            Timer::ProductionCycle if self.commands.retired() || self.server.is_some() => {}
            Timer::ProductionCycle => {
                self.production.run_cycle(
                    cx,
                    &self.active,
                    &mut self.inbound,
                    &mut self.outbound,
                    &self.failure_detector,
                );
            }
            Timer::AwaitNeighbours => {
                self.failure_detector.await_neighbours(cx, &self.active, &self.leadership)
            }
            Timer::Heartbeat => {
                let planning = self.planning.as_ref().filter(|_| self.leadership.leads());
                let monitored_producers = planning.map_or(&[][..], |planning| planning.monitored_producers());
                for event in self.failure_detector.heartbeat_round(
                    cx,
                    &self.active,
                    &self.leadership,
                    monitored_producers,
                ) {
                    self.on_peer_event(cx, settings, Some(event));
                    if let Some((server, around)) = self.with_server() {
                        server.redirect(cx, &around);
                    }
                }
                self.update_own_links(cx);
            }
            Timer::RetransmitBatches => match self.with_server() {
                Some((server, _)) => server.retransmit_shipments(cx),
                None => self.outbound.retransmit_overdue(cx),
            },
            Timer::RetransmitAssignments => {
                if let Some(planning) = self.leader_planning() {
                    planning.retransmit_assignments(cx);
                }
            }
            Timer::ProbeAccused => {
                if let Some(planning) = self.leader_planning() {
                    planning.probe_accused(cx);
                }
            }
            Timer::Replan => {
                if let Some(planning) = self.leader_planning() {
                    planning.on_replan_timer(cx);
                }
            }
            Timer::AnnounceRejoin => {
                if !self.leadership.rejoin_is_known(&self.active) {
                    self.leadership.announce_rejoin(cx);
                }
            }
            Timer::SendNodeConfig => self.commands.on_timer(cx, self.leadership.current()),
            Timer::Election(timer) => self.run_election(cx, settings, ElectionInput::Timer(timer)),
        }
    }
}
