//! Messages between nodes.

use std::sync::Arc;

use dmos_core::{Assignment, BatchId, FlowVersion, ItemId, Metric, NodeId, RequestId, Term};
use serde::{Deserialize, Serialize};

use crate::batch_range::BatchRange;
use crate::node_config::NodeConfig;
use crate::relay::Relayed;
use crate::server::{Order, OrderStatus};

/// Identifies a state of a node's links: later states compare greater, also after a crash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct LinksRevision {
    /// Number of times that the node has recovered from a crash.
    pub incarnation: u32,
    /// Number of changes since then.
    pub number: u32,
}

/// A message about the membership and the links of nodes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Membership {
    /// Node to leader: has received the leader's announcement of this term, so messages pass in both directions.
    Present(Term),
    /// Leader to a node that suspected another one: that node is alive.
    Alive(NodeId),
    /// Node to leader: the nodes to which its links are broken, in ascending order.
    Links {
        /// The state of the links.
        revision: LinksRevision,
        /// The nodes.
        broken: Arc<[NodeId]>,
    },
    /// Leader of a term to node: acknowledges a report of links.
    LinksAck(Term, LinksRevision),
}

/// A message between two nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Consumer to producer: requests one batch.
    Request {
        /// The consumer's number for the request.
        request: RequestId,
        /// The requested item.
        item: ItemId,
    },
    /// Producer to consumer: announces a batch that is committed to the consumer.
    Announcement {
        /// The request it answers, or `None` if it is announced again after a recovery by replay.
        request: Option<RequestId>,
        /// The batch.
        batch: BatchId,
        /// All batches of this producer before this serial number are settled with the consumer: confirmed,
        /// or never committed to it. The consumer need not remember them individually.
        settled: u32,
    },
    /// Producer to consumer: refuses a request because no batch is available.
    Unavailable {
        /// The request it answers.
        request: RequestId,
    },
    /// Consumer to producer: acknowledges the announcement; the transit has started.
    TransitStarted(BatchId),
    /// Consumer to producer: confirms that the batch has arrived and is logged.
    Delivered(BatchId),
    /// Consumer to producer: orders batches, under `production: server`.
    Order {
        /// The order.
        order: Order,
        /// True if it was sent before, so that it is acknowledged even if it waits.
        is_repeated: bool,
    },
    /// Producer to consumer: acknowledges an order that waits.
    OrderAck(OrderStatus),
    /// Producer to consumer: announces a shipment.
    Shipment {
        /// The batches.
        batches: BatchRange,
        /// The consumer's incarnation whose order it fills.
        incarnation: u32,
        /// Number of the latest order, which it acknowledges.
        order: u32,
        /// All batches of this producer before this serial number are settled with the consumer.
        settled: u32,
    },
    /// Consumer to producer: the shipment with this first batch is logged.
    ShipmentAck(BatchId),
    /// Requests a heartbeat response.
    HeartbeatRequest,
    /// Answers a heartbeat request.
    HeartbeatResponse {
        /// Number of times that the sender has recovered from a crash.
        incarnation: u32,
        /// The latest order of the receiver, which it acknowledges.
        order: OrderStatus,
    },
    /// To the leader: reports a node that has been silent for too long.
    Suspicion(NodeId),
    /// Leader to node: assigns a fragment of the flow.
    Assignment(FlowVersion, Arc<Assignment>),
    /// Node to leader: acknowledges the assignment of this version, or a newer one.
    AssignmentAck(FlowVersion),
    /// To the leader, or to a node that may know it: announces a recovery.
    Rejoin,
    /// Names the leader of a term.
    Leader(NodeId, Term),
    /// Node to leader: reports the node's configuration after commands.
    NodeConfig(Arc<NodeConfig>),
    /// Leader of a term to node: acknowledges this number of commands.
    NodeConfigAck(Term, u32),
    /// Message between elections.
    Election(Box<[u8]>),
    /// About the membership and the links of nodes.
    Membership(Membership),
    /// A control message between other nodes, or one that has come by them.
    Relayed(Relayed),
}

impl Message {
    /// Returns the metric that counts messages of this class at their sender.
    pub(crate) fn sent_metric(&self) -> Metric {
        match self {
            Self::Request { .. } => Metric::BatchRequestSent,
            Self::Announcement { .. } => Metric::BatchSentResponseSent,
            Self::Unavailable { .. } => Metric::BatchUnavailableResponseSent,
            Self::TransitStarted(_) => Metric::WaitingForBatchResponseSent,
            Self::Delivered(_) => Metric::BatchDeliveryConfirmResponseSent,
            Self::Order { .. } => Metric::OrderSent,
            Self::OrderAck(_) => Metric::OrderAckSent,
            Self::Shipment { .. } => Metric::ShipmentSent,
            Self::ShipmentAck(_) => Metric::ShipmentAckSent,
            Self::HeartbeatRequest => Metric::HeartbeatReqSent,
            Self::HeartbeatResponse { .. } => Metric::HeartbeatRespSent,
            Self::Suspicion(_) => Metric::InformLeaderOfDeathReqSent,
            Self::Assignment(..) => Metric::AssignmentSent,
            Self::AssignmentAck(_) => Metric::AssignmentAckSent,
            Self::Rejoin => Metric::RejoinNoticeSent,
            Self::Leader(..) => Metric::LeaderNoticeSent,
            Self::NodeConfig(_) => Metric::NodeConfigSent,
            Self::NodeConfigAck(..) => Metric::NodeConfigAckSent,
            Self::Election(_) => Metric::ElectionMessageSent,
            Self::Membership(_) => Metric::MembershipMessageSent,
            Self::Relayed(_) => Metric::RelayedMessageSent,
        }
    }

    /// Returns the metric that counts messages of this class at their receiver.
    pub(crate) fn received_metric(&self) -> Metric {
        match self {
            Self::Request { .. } => Metric::BatchRequestReceived,
            Self::Announcement { .. } => Metric::BatchSentResponseReceived,
            Self::Unavailable { .. } => Metric::BatchUnavailableResponseReceived,
            Self::TransitStarted(_) => Metric::WaitingForBatchResponseReceived,
            Self::Delivered(_) => Metric::BatchDeliveryConfirmResponseReceived,
            Self::Order { .. } => Metric::OrderReceived,
            Self::OrderAck(_) => Metric::OrderAckReceived,
            Self::Shipment { .. } => Metric::ShipmentReceived,
            Self::ShipmentAck(_) => Metric::ShipmentAckReceived,
            Self::HeartbeatRequest => Metric::HeartbeatReqReceived,
            Self::HeartbeatResponse { .. } => Metric::HeartbeatRespReceived,
            Self::Suspicion(_) => Metric::InformLeaderOfDeathReqReceived,
            Self::Assignment(..) => Metric::AssignmentReceived,
            Self::AssignmentAck(_) => Metric::AssignmentAckReceived,
            Self::Rejoin => Metric::RejoinNoticeReceived,
            Self::Leader(..) => Metric::LeaderNoticeReceived,
            Self::NodeConfig(_) => Metric::NodeConfigReceived,
            Self::NodeConfigAck(..) => Metric::NodeConfigAckReceived,
            Self::Election(_) => Metric::ElectionMessageReceived,
            Self::Membership(_) => Metric::MembershipMessageReceived,
            Self::Relayed(_) => Metric::RelayedMessageReceived,
        }
    }
}
