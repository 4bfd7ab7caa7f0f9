//! What nodes say to each other.

use std::sync::Arc;

use dmos_core::{Assignment, BatchId, FlowVersion, ItemId, Metric, NodeId, RequestId, Term};
use serde::{Deserialize, Serialize};

use crate::node_config::NodeConfig;

/// A message between two nodes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Consumer to producer: send me one batch.
    Request {
        /// The consumer's number for it.
        request: RequestId,
        /// Of what.
        item: ItemId,
    },
    /// Producer to consumer: this batch is yours.
    Announcement {
        /// The request it answers; none if it is sent again after the producer's crash by replay.
        request: Option<RequestId>,
        /// The batch.
        batch: BatchId,
        /// All batches of this producer before this one are settled with the consumer: confirmed, or never
        /// its own. It need not remember them one by one.
        settled: u32,
    },
    /// Producer to consumer: I have none.
    Unavailable {
        /// The request it answers.
        request: RequestId,
    },
    /// Consumer to producer: I know of the batch, it is in transit.
    TransitStarted(BatchId),
    /// Consumer to producer: the batch is in my inbound, and in my log.
    Delivered(BatchId),
    /// Are you alive?
    HeartbeatRequest,
    /// I am.
    HeartbeatResponse,
    /// To the leader: this node has been silent for too long.
    Suspicion(NodeId),
    /// Leader to node: your assignment of the flow.
    Assignment(FlowVersion, Arc<Assignment>),
    /// Node to leader: I have the assignment of this version, or a newer one.
    AssignmentAck(FlowVersion),
    /// To the leader, or to somebody who may know it: I am back from a crash.
    Rejoin,
    /// This node leads, in this term.
    Leader(NodeId, Term),
    /// Node to leader: this is where my orders leave me.
    NodeConfig(Arc<NodeConfig>),
    /// Leader of a term to node: I know of so many of your orders.
    NodeConfigAck(Term, u32),
    /// Between election machines.
    Election(Box<[u8]>),
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
            Self::HeartbeatRequest => Metric::HeartbeatReqSent,
            Self::HeartbeatResponse => Metric::HeartbeatRespSent,
            Self::Suspicion(_) => Metric::InformLeaderOfDeathReqSent,
            Self::Assignment(..) => Metric::AssignmentSent,
            Self::AssignmentAck(_) => Metric::AssignmentAckSent,
            Self::Rejoin => Metric::RejoinNoticeSent,
            Self::Leader(..) => Metric::LeaderNoticeSent,
            Self::NodeConfig(_) => Metric::NodeConfigSent,
            Self::NodeConfigAck(..) => Metric::NodeConfigAckSent,
            Self::Election(_) => Metric::ElectionMessageSent,
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
            Self::HeartbeatRequest => Metric::HeartbeatReqReceived,
            Self::HeartbeatResponse => Metric::HeartbeatRespReceived,
            Self::Suspicion(_) => Metric::InformLeaderOfDeathReqReceived,
            Self::Assignment(..) => Metric::AssignmentReceived,
            Self::AssignmentAck(_) => Metric::AssignmentAckReceived,
            Self::Rejoin => Metric::RejoinNoticeReceived,
            Self::Leader(..) => Metric::LeaderNoticeReceived,
            Self::NodeConfig(_) => Metric::NodeConfigReceived,
            Self::NodeConfigAck(..) => Metric::NodeConfigAckReceived,
            Self::Election(_) => Metric::ElectionMessageReceived,
        }
    }
}
