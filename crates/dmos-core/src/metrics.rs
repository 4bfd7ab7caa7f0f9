//! The fixed set of metrics, and the arrays that hold one node's values.
//!
//! A metric is a small integer on the hot path; its name, unit and definition stand once, in the
//! table below, from which the documentation page is made as well.

/// In what a metric is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Whole things.
    Count,
    /// A number of things at one moment, as of the last manufacture cycle.
    Gauge,
    /// Virtual time, held in nanoseconds and shown in seconds.
    Seconds,
}

impl Unit {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Gauge => "gauge",
            Self::Seconds => "s",
        }
    }
}

/// Which nodes report a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportedBy {
    /// All, even at zero.
    AllNodes,
    /// Those for which it was counted or set at least once.
    CountingNodes,
    /// The op_generator that injects faults, who is no node.
    OpGenerator,
}

impl ReportedBy {
    /// The words for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AllNodes => "all nodes",
            Self::CountingNodes => "nodes that counted it",
            Self::OpGenerator => "the op_generator",
        }
    }
}

macro_rules! metrics {
    ($($id:ident $name:literal $unit:ident $by:ident $doc:literal;)*) => {
        /// A metric of a node, or of the op_generator.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Metric {
            $(#[doc = $doc] $id,)*
        }

        impl Metric {
            /// All metrics, in the order of their table.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// The name in every output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// What it is counted in.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self { $(Self::$id => Unit::$unit,)* }
            }

            /// Which nodes report it.
            #[must_use]
            pub fn reported_by(self) -> ReportedBy {
                match self { $(Self::$id => ReportedBy::$by,)* }
            }

            /// What it counts, and when.
            #[must_use]
            pub fn definition(self) -> &'static str {
                match self { $(Self::$id => $doc,)* }
            }
        }
    };
}

metrics! {
    TotalManufactureCycles "total_manufacture_cycles" Count AllNodes
        "Turns of the stage, also before a flow exists and also of spares.";
    SuccessfulManufactureCycles "successful_manufacture_cycles" Count AllNodes
        "Cycles that made something. Never reset; a making that a crash takes before it is durable does not count.";
    SkippedManufactureCycles "skipped_manufacture_cycles" Count AllNodes
        "Cycles that made nothing because there was no flow, an item was missing, or the stock was full. A node without suppliers in the flow does not count its idle cycles.";
    BatchesProducedTotal "batches_produced_total" Gauge AllNodes
        "Batches made, as the node knows it at the head of a cycle. Under `recovery: replay` a crash resets it and recovery counts only delivered batches.";
    BatchesConsumedTotal "batches_consumed_total" Gauge AllNodes
        "Batches used up, as the node knows it at the head of a cycle. Under `recovery: replay` a crash resets it and recovery counts the consumed entries of the log.";
    OutboundMaterialBuildup "outbound_material_buildup" Gauge AllNodes
        "Batches in stock, at the head of a cycle.";
    InboundWalSize "inbound_wal_size" Gauge AllNodes
        "Batches in the inbound log at the head of a cycle: received ones and, under `log: mixed_up`, own ones that were sent. Compaction leaves those in the dock.";
    OutboundWalSize "outbound_wal_size" Gauge AllNodes
        "Batches in the outbound log at the head of a cycle: all that the node made. Compaction leaves those in stock and under way.";
    UnansweredBatchRequestsCurrent "unanswered_batch_requests_current" Gauge AllNodes
        "Requests sent and not answered, at the head of a cycle. Under `dock: blocking` a delivery answers only when its transit ends.";
    FlowQueries "flow_queries" Count AllNodes
        "Times the flow was looked up: once per manufacture cycle, once per request served, once per recovery.";
    FailedFlowQueries "failed_flow_queries" Count AllNodes
        "Look-ups by a cycle or a recovery that found no flow. An empty flow is a flow.";
    FailedFlowUpdate "failed_flow_update" Count AllNodes
        "Plans that ended without an answer because the planning budget ran out.";
    EmptyInboundInventoryOccurrences "empty_inbound_inventory_occurrences" Count AllNodes
        "Items found missing by a manufacture cycle and asked for.";
    EmptyOutboundInventoryOccurrences "empty_outbound_inventory_occurrences" Count AllNodes
        "Requests refused because the stock was empty.";
    BatchUnavailableMessagesSent "batch_unavailable_messages_sent" Count AllNodes
        "Refusals sent.";
    BatchesDelivered "batches_delivered" Count AllNodes
        "Own batches whose arrival was confirmed, each once.";
    WalRecoveredInboundBatches "wal_recovered_inbound_batches" Count AllNodes
        "Received batches found in the log at a recovery: in the dock or consumed. Adds up over recoveries.";
    WalRecoveredOutboundBatches "wal_recovered_outbound_batches" Count AllNodes
        "Own batches found in the log at a recovery: in stock or delivered. Adds up over recoveries.";
    WalGhostInboundBatches "wal_ghost_inbound_batches" Count AllNodes
        "Inbound entries that a recovery could do nothing with. Adds up over recoveries.";
    WalGhostOutboundBatches "wal_ghost_outbound_batches" Count AllNodes
        "Own batches on their way to nobody known at a recovery. Adds up over recoveries.";
    SentMessages "sent_messages" Count AllNodes
        "Messages of every class that the node sent.";
    ReceivedMessages "received_messages" Count AllNodes
        "Messages of every class that the node began to handle.";
    NodesDeterminedCrashed "nodes_determined_crashed" Count AllNodes
        "Nodes that this node, as leader, struck from the living. Under `failure_reports: every_report` it stays 0, as in the prototype.";
    BatchRequestSent "BatchRequest_sent" Count CountingNodes "Requests for a batch sent.";
    BatchRequestReceived "BatchRequest_received" Count CountingNodes "Requests for a batch handled.";
    BatchSentResponseSent "BatchSentResponse_sent" Count CountingNodes "Batches sent off.";
    BatchSentResponseReceived "BatchSentResponse_received" Count CountingNodes "Batches that came in, duplicates included.";
    BatchUnavailableResponseSent "BatchUnavailableResponse_sent" Count CountingNodes "Refusals sent, counted per message.";
    BatchUnavailableResponseReceived "BatchUnavailableResponse_received" Count CountingNodes "Refusals handled, counted per message.";
    WaitingForBatchResponseSent "WaitingForBatchResponse_sent" Count CountingNodes "Notices sent that a batch is in transit.";
    WaitingForBatchResponseReceived "WaitingForBatchResponse_received" Count CountingNodes "Notices handled that a batch is in transit.";
    BatchDeliveryConfirmResponseSent "BatchDeliveryConfirmResponse_sent" Count CountingNodes "Confirmations of arrival sent.";
    BatchDeliveryConfirmResponseReceived "BatchDeliveryConfirmResponse_received" Count CountingNodes "Confirmations of arrival handled.";
    HeartbeatReqSent "HeartbeatReq_sent" Count CountingNodes "Heartbeat requests sent.";
    HeartbeatReqReceived "HeartbeatReq_received" Count CountingNodes "Heartbeat requests handled.";
    HeartbeatRespSent "HeartbeatResp_sent" Count CountingNodes "Heartbeat answers sent.";
    HeartbeatRespReceived "HeartbeatResp_received" Count CountingNodes "Heartbeat answers handled.";
    InformLeaderOfDeathReqSent "InformLeaderOfDeathReq_sent" Count CountingNodes "Reports of a suspected death sent.";
    InformLeaderOfDeathReqReceived "InformLeaderOfDeathReq_received" Count CountingNodes "Reports of a suspected death handled.";
    HeartbeatsSent "heartbeats_sent" Count CountingNodes
        "Heartbeat requests sent; reported by every node that ever had a neighbour to watch.";
    BatchesRequested "batches_requested" Count CountingNodes "Requests for a batch sent, by consumers in the flow.";
    BatchesReceived "batches_received" Count CountingNodes
        "First deliveries completed, after the transit.";
    BatchUnavailableMessagesReceived "batch_unavailable_messages_received" Count CountingNodes "Refusals handled.";
    BootstrapAllPathsTimeSec "bootstrap_all_paths_time_sec" Seconds CountingNodes
        "Virtual time that listing all possible supply edges took, as part of the last plan; 0 for strategies that list none.";
    FullFlowBootstrapTimeSec "full_flow_bootstrap_time_sec" Seconds CountingNodes
        "Virtual time that the node's last plan took, from its beginning to its end.";
    OpGeneratorCycles "op_generator_cycles" Count OpGenerator
        "Turns of the op_generator.";
    CrashSignalsSent "crash_signals_sent" Count OpGenerator
        "Crashes that the op_generator ordered.";
    RecoverSignalsSent "recover_signals_sent" Count OpGenerator
        "Recoveries that the op_generator ordered.";
    AssignmentSent "Assignment_sent" Count CountingNodes "Parts of a flow sent, repeats included. Ours; 0 where a board stands in.";
    AssignmentReceived "Assignment_received" Count CountingNodes "Parts of a flow handled. Ours.";
    AssignmentAckSent "AssignmentAck_sent" Count CountingNodes "Acknowledgements of a part sent. Ours.";
    AssignmentAckReceived "AssignmentAck_received" Count CountingNodes "Acknowledgements of a part handled. Ours.";
    RejoinNoticeSent "RejoinNotice_sent" Count CountingNodes "Notices of a return from a crash sent. Ours.";
    RejoinNoticeReceived "RejoinNotice_received" Count CountingNodes "Notices of a return from a crash handled. Ours.";
    LeaderNoticeSent "LeaderNotice_sent" Count CountingNodes "Notices of who leads sent. Ours.";
    LeaderNoticeReceived "LeaderNotice_received" Count CountingNodes "Notices of who leads handled. Ours.";
    ElectionMessageSent "ElectionMessage_sent" Count CountingNodes "Messages of the leader strategy sent. Ours.";
    ElectionMessageReceived "ElectionMessage_received" Count CountingNodes "Messages of the leader strategy handled. Ours.";
    PlansComputed "plans_computed" Count CountingNodes "Plans this node computed, kept or not. Ours.";
    PlanningSteps "planning_steps" Count CountingNodes "Elementary steps of all plans this node computed. Ours.";
    RequestsRetransmitted "requests_retransmitted" Count CountingNodes "Requests sent again because no answer came. Ours.";
    BatchesRetransmitted "batches_retransmitted" Count CountingNodes "Batches announced again because no confirmation came. Ours.";
    DuplicatesRecognised "duplicates_recognised" Count CountingNodes "Announcements of a batch that had come before. Ours.";
    NodeConfigSent "NodeConfig_sent" Count CountingNodes "Notices to the leader of what was ordered sent. Ours.";
    NodeConfigReceived "NodeConfig_received" Count CountingNodes "Notices of what was ordered handled. Ours.";
    NodeConfigAckSent "NodeConfigAck_sent" Count CountingNodes "Acknowledgements of such a notice sent. Ours.";
    NodeConfigAckReceived "NodeConfigAck_received" Count CountingNodes "Acknowledgements of such a notice handled. Ours.";
    RequestsRedirected "requests_redirected" Count CountingNodes "Requests that went to another supplier of the flow because no answer came, or their supplier was suspected. Ours.";
    RequestsOverLimit "requests_over_limit" Count CountingNodes "Requests refused because too much promised to the consumer was not confirmed. Ours.";
    AssignmentsRefused "assignments_refused" Count CountingNodes "Parts of a flow refused because they were older than the node's own. Ours.";
    MessagesDropped "messages_dropped" Count CountingNodes "Messages dropped because too many were waiting. Ours.";
    BatchesScrapped "batches_scrapped" Count CountingNodes "Batches that a crash destroyed, found at recovery. Ours.";
    LogCompactions "log_compactions" Count CountingNodes "Times the log was compacted. Ours.";
    FinishedGoodsMade "finished_goods_made" Count CountingNodes "Batches of a final item made. Ours.";
}

/// How many metrics there are.
const COUNT: usize = Metric::ALL.len();

/// The metrics of one node. They belong to who watches the node: a crash does not touch them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeMetrics {
    values: [u64; COUNT],
    /// Those that have a value although it is zero, one bit each. It is asked for, and kept, where only nodes that
    /// touched a metric report it.
    zero: u128,
}

impl Default for NodeMetrics {
    fn default() -> Self {
        let () = const { assert!(COUNT <= 128, "one bit of `zero` per metric") };
        Self { values: [0; COUNT], zero: 0 }
    }
}

impl NodeMetrics {
    /// Counts one more.
    #[inline]
    pub fn count(&mut self, metric: Metric) {
        self.values[metric as usize] += 1;
    }

    /// Counts `more`; none still marks the metric as reported.
    pub fn add(&mut self, metric: Metric, more: u64) {
        self.set(metric, self.get(metric) + more);
    }

    /// Counts so many fewer: they had been counted before it was sure that they happened.
    ///
    /// # Panics
    /// If fewer had been counted.
    pub fn subtract(&mut self, metric: Metric, fewer: u64) {
        let left = self.get(metric).checked_sub(fewer).expect("only what was counted is taken back");
        self.set(metric, left);
    }

    /// Sets a gauge or a time in nanoseconds.
    pub fn set(&mut self, metric: Metric, value: u64) {
        self.values[metric as usize] = value;
        if value == 0 && metric.reported_by() == ReportedBy::CountingNodes {
            self.zero |= 1 << metric as usize;
        }
    }

    /// The value, zero if it was never counted.
    #[must_use]
    pub fn get(&self, metric: Metric) -> u64 {
        self.values[metric as usize]
    }

    /// The value as it is shown, if this node reports the metric.
    #[must_use]
    pub fn reported(&self, metric: Metric) -> Option<f64> {
        let reports = match metric.reported_by() {
            ReportedBy::AllNodes => true,
            ReportedBy::CountingNodes => self.get(metric) > 0 || self.zero & (1 << metric as usize) != 0,
            ReportedBy::OpGenerator => false,
        };
        reports.then(|| shown(metric, self.get(metric)))
    }
}

/// A metric's value in the unit in which it is shown.
#[must_use]
pub fn shown(metric: Metric, value: u64) -> f64 {
    match metric.unit() {
        Unit::Seconds => value as f64 / 1e9,
        Unit::Count | Unit::Gauge => value as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_what_its_table_says() {
        let mut metrics = NodeMetrics::default();
        assert_eq!(metrics.reported(Metric::SentMessages), Some(0.0));
        assert_eq!(metrics.reported(Metric::BatchesRequested), None);
        assert_eq!(metrics.reported(Metric::OpGeneratorCycles), None);
        metrics.add(Metric::HeartbeatsSent, 0);
        assert_eq!(metrics.reported(Metric::HeartbeatsSent), Some(0.0));
        metrics.set(Metric::FullFlowBootstrapTimeSec, 1_500_000_000);
        assert_eq!(metrics.reported(Metric::FullFlowBootstrapTimeSec), Some(1.5));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
