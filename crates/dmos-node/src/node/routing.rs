//! Routing of messages and timers to the components of a node.

use std::sync::Arc;

use dmos_core::strategy::ElectionInput;
use dmos_core::{Assignment, FlowVersion, Metric, NodeId};

use super::{NodeSettings, VolatileState};
use crate::context::Context;
use crate::interface::Timer;
use crate::message::Message;
use crate::server::OrderStatus;

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
                let incarnation = self.incarnation();
                let order = self.server.as_ref().map(|server| server.output().order_status(from));
                let order = order.unwrap_or_default();
                cx.send(from, Message::HeartbeatResponse { incarnation, order });
            }
            Message::HeartbeatResponse { incarnation, order } => {
                self.on_heartbeat_response(cx, settings, from, incarnation, order);
            }
            Message::Suspicion(node) => match self.leader_planning() {
                Some(planning) => planning.on_failure_report(cx, node),
                None => self.leadership.send_leader(cx, from),
            },
            Message::Assignment(version, ref assignment) => {
                self.on_assignment(cx, settings, from, version, assignment);
            }
            Message::AssignmentAck(version) => {
                if let Some(planning) = self.leader_planning() {
                    planning.on_acknowledged(cx, from, version);
                }
            }
            Message::Rejoin => match self.leader_planning() {
                Some(planning) => planning.on_rejoin(cx, from),
                None => self.leadership.send_leader(cx, from),
            },
            Message::Leader(leader, term) => {
                if self.on_leader_learned(cx, settings, leader, term)
                    && self.active.assignment().is_none()
                    && leader != cx.me
                {
                    cx.send(leader, Message::Rejoin);
                }
            }
            Message::NodeConfig(ref node_config) => match self.leader_planning() {
                Some(planning) => planning.on_node_config(cx, from, node_config),
                None => self.leadership.send_leader(cx, from),
            },
            Message::NodeConfigAck(term, commands) => self.commands.on_acknowledged(term, commands),
            Message::Election(ref bytes) => {
                self.run_election(cx, settings, ElectionInput::Message { from, bytes });
            }
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
            cx.send(from, Message::AssignmentAck(version));
        }
    }

    /// Handles a sign of life, with what a supplier knows of this node's orders.
    fn on_heartbeat_response(
        &mut self,
        cx: &mut Context<'_>,
        settings: &NodeSettings,
        from: NodeId,
        incarnation: u32,
        order: OrderStatus,
    ) {
        if let Some((server, around)) = self.with_server() {
            server.on_heartbeat_response(cx, &around, from, incarnation, order);
        }
        let event = self.failure_detector.on_heartbeat_response(cx.now, from);
        self.on_peer_event(cx, settings, event);
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
            Timer::RetryPlan => {
                if let Some(planning) = self.leader_planning() {
                    planning.plan_after_failure(cx);
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
