//! The fixed set of node metrics, and the values of one node.
//!
//! A metric is a small integer on the hot path. Its name, unit and definition are in the table below, from
//! which the documentation page is generated.

use crate::settings::Production;

/// Unit of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A count.
    Count,
    /// A level at one moment: the end of the run or, under `production: polled`, the last production cycle.
    Gauge,
    /// Virtual time, stored in nanoseconds and shown in seconds.
    Seconds,
}

impl Unit {
    /// Returns the unit's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Gauge => "gauge",
            Self::Seconds => "s",
        }
    }
}

/// Set of nodes that report a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportedBy {
    /// All nodes, even at zero.
    AllNodes,
    /// All nodes under `production: polled`, even at zero.
    PolledNodes,
    /// Nodes that counted or set it at least once.
    CountingNodes,
    /// The op generator, which is not a node.
    OpGenerator,
}

impl ReportedBy {
    /// Returns a description.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::AllNodes => "all nodes",
            Self::PolledNodes => "polled nodes",
            Self::CountingNodes => "nodes that counted it",
            Self::OpGenerator => "the op generator",
        }
    }
}

macro_rules! metrics {
    ($($id:ident $name:literal $unit:ident $by:ident $doc:literal;)*) => {
        /// A metric of a node, or of the op generator.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Metric {
            $(#[doc = $doc] $id,)*
        }

        impl Metric {
            /// All metrics, in the order of their table.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// Returns the name in every output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// Returns the unit.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self { $(Self::$id => Unit::$unit,)* }
            }

            /// Returns the set of nodes that report the metric.
            #[must_use]
            pub fn reported_by(self) -> ReportedBy {
                match self { $(Self::$id => ReportedBy::$by,)* }
            }

            /// Returns the definition.
            #[must_use]
            pub fn definition(self) -> &'static str {
                match self { $(Self::$id => $doc,)* }
            }
        }
    };
}

metrics! {
    TotalManufactureCycles "total_manufacture_cycles" Count AllNodes
        "Production runs started; under `production: polled` production cycles, including those before a flow exists and those of idle spares.";
    SuccessfulManufactureCycles "successful_manufacture_cycles" Count AllNodes
        "Production runs completed. Never reset; a run that a crash interrupts before it is durable does not count.";
    SkippedManufactureCycles "skipped_manufacture_cycles" Count PolledNodes
        "Cycles without a production run because there was no flow, an input was missing, or the output buffer was full. A node without suppliers in the flow does not count its idle cycles.";
    BatchesProducedTotal "batches_produced_total" Gauge AllNodes
        "Batches made; under `production: polled` as of the start of a cycle. Under `recovery: replay` a crash resets it and recovery counts only delivered batches.";
    BatchesConsumedTotal "batches_consumed_total" Gauge AllNodes
        "Batches consumed; under `production: polled` as of the start of a cycle. Under `recovery: replay` a crash resets it and recovery counts the consumed entries of the log.";
    OutboundMaterialBuildup "outbound_material_buildup" Gauge AllNodes
        "Batches in the output buffer; under `production: polled` at the start of a cycle.";
    InboundWalSize "inbound_wal_size" Gauge PolledNodes
        "Batches in the inbound log at the start of a cycle: received ones and, under `log: mixed_up`, own ones that were shipped. After a compaction, only those in the input buffers.";
    OutboundWalSize "outbound_wal_size" Gauge PolledNodes
        "Batches in the outbound log at the start of a cycle: all that the node made. After a compaction, only those in stock and in transit.";
    UnansweredBatchRequestsCurrent "unanswered_batch_requests_current" Gauge AllNodes
        "Suppliers that have not acknowledged the latest order; under `production: polled` requests sent and not answered, at the start of a cycle. Under `receiving: blocking` a shipment answers only when its transit ends.";
    FlowQueries "flow_queries" Count PolledNodes
        "Number of flow look-ups: one per production cycle, one per request handled, one per recovery.";
    FailedFlowQueries "failed_flow_queries" Count PolledNodes
        "Look-ups by a cycle or a recovery that found no flow. An empty flow counts as a flow.";
    FailedFlowUpdate "failed_flow_update" Count AllNodes
        "Plans without a result because the planning budget ran out.";
    EmptyInboundInventoryOccurrences "empty_inbound_inventory_occurrences" Count PolledNodes
        "Inputs that a production cycle found missing.";
    EmptyOutboundInventoryOccurrences "empty_outbound_inventory_occurrences" Count PolledNodes
        "Requests refused because the output buffer was empty.";
    BatchUnavailableMessagesSent "batch_unavailable_messages_sent" Count PolledNodes
        "Refusals sent.";
    BatchesDelivered "batches_delivered" Count AllNodes
        "Own batches whose arrival was confirmed, each counted once.";
    WalRecoveredInboundBatches "wal_recovered_inbound_batches" Count AllNodes
        "Received batches found in the log at a recovery: in an input buffer or consumed. Cumulative over recoveries.";
    WalRecoveredOutboundBatches "wal_recovered_outbound_batches" Count AllNodes
        "Own batches found in the log at a recovery: in stock or delivered. Cumulative over recoveries.";
    WalGhostInboundBatches "wal_ghost_inbound_batches" Count AllNodes
        "Inbound entries that a recovery could not assign. Cumulative over recoveries.";
    WalGhostOutboundBatches "wal_ghost_outbound_batches" Count AllNodes
        "Own batches in transit to an unknown consumer at a recovery. Cumulative over recoveries.";
    SentMessages "sent_messages" Count AllNodes
        "Messages of every class that the node sent.";
    ReceivedMessages "received_messages" Count AllNodes
        "Messages of every class that the node started to handle.";
    NodesDeterminedCrashed "nodes_determined_crashed" Count AllNodes
        "Nodes that this node, as leader, removed from the membership. Under `failure_reports: every_report` it stays 0, as in the prototype.";
    BatchRequestSent "BatchRequest_sent" Count CountingNodes "Requests for a batch sent.";
    BatchRequestReceived "BatchRequest_received" Count CountingNodes "Requests for a batch handled.";
    BatchSentResponseSent "BatchSentResponse_sent" Count CountingNodes "Batches announced to consumers.";
    BatchSentResponseReceived "BatchSentResponse_received" Count CountingNodes "Batch announcements handled, including duplicates.";
    BatchUnavailableResponseSent "BatchUnavailableResponse_sent" Count CountingNodes "Refusals sent, counted per message.";
    BatchUnavailableResponseReceived "BatchUnavailableResponse_received" Count CountingNodes "Refusals handled, counted per message.";
    WaitingForBatchResponseSent "WaitingForBatchResponse_sent" Count CountingNodes "Notices sent that a transit has started.";
    WaitingForBatchResponseReceived "WaitingForBatchResponse_received" Count CountingNodes "Notices handled that a transit has started.";
    BatchDeliveryConfirmResponseSent "BatchDeliveryConfirmResponse_sent" Count CountingNodes "Confirmations of arrival sent.";
    BatchDeliveryConfirmResponseReceived "BatchDeliveryConfirmResponse_received" Count CountingNodes "Confirmations of arrival handled.";
    HeartbeatReqSent "HeartbeatReq_sent" Count CountingNodes "Heartbeat requests sent.";
    HeartbeatReqReceived "HeartbeatReq_received" Count CountingNodes "Heartbeat requests handled.";
    HeartbeatRespSent "HeartbeatResp_sent" Count CountingNodes "Heartbeat responses sent.";
    HeartbeatRespReceived "HeartbeatResp_received" Count CountingNodes "Heartbeat responses handled.";
    InformLeaderOfDeathReqSent "InformLeaderOfDeathReq_sent" Count CountingNodes "Reports of a suspected failure sent.";
    InformLeaderOfDeathReqReceived "InformLeaderOfDeathReq_received" Count CountingNodes "Reports of a suspected failure handled.";
    HeartbeatsSent "heartbeats_sent" Count CountingNodes
        "Heartbeat requests sent; reported by every node that ever monitored a neighbour.";
    BatchesRequested "batches_requested" Count CountingNodes "Batches ordered or requested, excluding retransmissions.";
    BatchesReceived "batches_received" Count CountingNodes
        "Batches received after their transit, excluding duplicates.";
    BatchUnavailableMessagesReceived "batch_unavailable_messages_received" Count CountingNodes "Refusals handled.";
    BootstrapAllPathsTimeSec "bootstrap_all_paths_time_sec" Seconds CountingNodes
        "Virtual time spent on listing all possible supply edges in the last plan; 0 for strategies that list none.";
    FullFlowBootstrapTimeSec "full_flow_bootstrap_time_sec" Seconds CountingNodes
        "Virtual time of the node's last plan, from its start to its end.";
    OpGeneratorCycles "op_generator_cycles" Count OpGenerator
        "Cycles of the op generator.";
    CrashSignalsSent "crash_signals_sent" Count OpGenerator
        "Crash signals sent by the op generator.";
    RecoverSignalsSent "recover_signals_sent" Count OpGenerator
        "Recovery signals sent by the op generator.";
    AssignmentSent "Assignment_sent" Count CountingNodes "Assignments sent, including retransmissions. 0 under `dissemination: blackboard`. Not in the prototype.";
    AssignmentReceived "Assignment_received" Count CountingNodes "Assignments handled. Not in the prototype.";
    AssignmentAckSent "AssignmentAck_sent" Count CountingNodes "Acknowledgements of an assignment sent. Not in the prototype.";
    AssignmentAckReceived "AssignmentAck_received" Count CountingNodes "Acknowledgements of an assignment handled. Not in the prototype.";
    RejoinNoticeSent "RejoinNotice_sent" Count CountingNodes "Notices of a recovery sent. Not in the prototype.";
    RejoinNoticeReceived "RejoinNotice_received" Count CountingNodes "Notices of a recovery handled. Not in the prototype.";
    LeaderNoticeSent "LeaderNotice_sent" Count CountingNodes "Notices of the current leader sent. Not in the prototype.";
    LeaderNoticeReceived "LeaderNotice_received" Count CountingNodes "Notices of the current leader handled. Not in the prototype.";
    ElectionMessageSent "ElectionMessage_sent" Count CountingNodes "Messages of the leader strategy sent. Not in the prototype.";
    ElectionMessageReceived "ElectionMessage_received" Count CountingNodes "Messages of the leader strategy handled. Not in the prototype.";
    MembershipMessageSent "MembershipMessage_sent" Count CountingNodes "Messages about the membership and broken links sent. Not in the prototype.";
    MembershipMessageReceived "MembershipMessage_received" Count CountingNodes "Messages about the membership and broken links handled. Not in the prototype.";
    RelayedMessageSent "RelayedMessage_sent" Count CountingNodes "Messages of other classes sent to a node that forwards them, or forwarded. Not in the prototype.";
    RelayedMessageReceived "RelayedMessage_received" Count CountingNodes "Relayed messages handled, for the node itself or to be forwarded. Not in the prototype.";
    BrokenLinksFound "broken_links_found" Count CountingNodes "Broken links that the node, as leader, learned of. Not in the prototype.";
    PlansComputed "plans_computed" Count CountingNodes "Plans that the node computed, activated or not. Not in the prototype.";
    PlanningSteps "planning_steps" Count CountingNodes "Elementary steps of all plans that the node computed. Not in the prototype.";
    RequestsRetransmitted "requests_retransmitted" Count CountingNodes "Requests retransmitted after a timeout. Not in the prototype.";
    BatchesRetransmitted "batches_retransmitted" Count CountingNodes "Batch announcements retransmitted after a timeout. Not in the prototype.";
    DuplicatesRecognised "duplicates_recognised" Count CountingNodes "Announcements of a batch that had been announced before. Not in the prototype.";
    NodeConfigSent "NodeConfig_sent" Count CountingNodes "Node configurations sent to the leader after commands. Not in the prototype.";
    NodeConfigReceived "NodeConfig_received" Count CountingNodes "Node configurations handled. Not in the prototype.";
    NodeConfigAckSent "NodeConfigAck_sent" Count CountingNodes "Acknowledgements of a node configuration sent. Not in the prototype.";
    NodeConfigAckReceived "NodeConfigAck_received" Count CountingNodes "Acknowledgements of a node configuration handled. Not in the prototype.";
    RequestsRedirected "requests_redirected" Count CountingNodes "Requests redirected to another supplier of the flow after a timeout or because their supplier was suspected. Not in the prototype.";
    RequestsOverLimit "requests_over_limit" Count CountingNodes "Requests refused because of `commitment_limit`. Not in the prototype.";
    AssignmentsRefused "assignments_refused" Count CountingNodes "Assignments refused because they were older than the node's own. Not in the prototype.";
    MessagesDropped "messages_dropped" Count CountingNodes "Messages dropped because of `mailbox_limit`. Not in the prototype.";
    BatchesScrapped "batches_scrapped" Count CountingNodes "Batches destroyed by a crash, counted at recovery. Not in the prototype.";
    LogCompactions "log_compactions" Count CountingNodes "Log compactions. Not in the prototype.";
    OrderSent "Order_sent" Count CountingNodes "Orders sent, including retransmissions. Only under `production: server`.";
    OrderReceived "Order_received" Count CountingNodes "Orders handled. Only under `production: server`.";
    OrderAckSent "OrderAck_sent" Count CountingNodes "Acknowledgements of a waiting order sent. Only under `production: server`.";
    OrderAckReceived "OrderAck_received" Count CountingNodes "Acknowledgements of a waiting order handled. Only under `production: server`.";
    ShipmentSent "Shipment_sent" Count CountingNodes "Shipments announced, including retransmissions. Only under `production: server`.";
    ShipmentReceived "Shipment_received" Count CountingNodes "Announcements of a shipment handled, including duplicates. Only under `production: server`.";
    ShipmentAckSent "ShipmentAck_sent" Count CountingNodes "Acknowledgements of a shipment sent. Only under `production: server`.";
    ShipmentAckReceived "ShipmentAck_received" Count CountingNodes "Acknowledgements of a shipment handled. Only under `production: server`.";
    FinishedGoodsMade "finished_goods_made" Count CountingNodes "Batches of a final item made, without those that other nodes consume. Not in the prototype.";
}

/// Number of metrics.
const COUNT: usize = Metric::ALL.len();

impl Metric {
    /// Returns whether the metric accumulates over the run.
    #[must_use]
    pub fn is_total(self) -> bool {
        let is_total_gauge = matches!(self, Self::BatchesProducedTotal | Self::BatchesConsumedTotal);
        self.unit() == Unit::Count || is_total_gauge
    }
}

/// Metrics of one node. They belong to the observer, so a crash does not reset them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeMetrics {
    values: [u64; COUNT],
    /// One bit for each metric that was set although its value is zero. Only kept for metrics that are
    /// reported by counting nodes.
    zero: u128,
    production: Production,
}

impl NodeMetrics {
    /// Returns metrics of a node with this model of production, which have counted nothing.
    #[must_use]
    pub fn new(production: Production) -> Self {
        let () = const { assert!(COUNT <= 128, "one bit of `zero` per metric") };
        Self { values: [0; COUNT], zero: 0, production }
    }

    /// Counts one occurrence.
    #[inline]
    pub fn count(&mut self, metric: Metric) {
        self.values[metric as usize] += 1;
    }

    /// Adds `more`; zero still marks the metric as reported.
    pub fn add(&mut self, metric: Metric, more: u64) {
        self.set(metric, self.get(metric) + more);
    }

    /// Subtracts occurrences that turned out not to have happened.
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

    /// Returns the value, or zero if it was never counted.
    #[must_use]
    pub fn get(&self, metric: Metric) -> u64 {
        self.values[metric as usize]
    }

    /// Returns the metrics since an earlier moment: differences of counts and of totals, and the present values of
    /// other gauges and of times.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut metrics = self.clone();
        for &metric in Metric::ALL.iter().filter(|metric| metric.is_total()) {
            metrics.values[metric as usize] = self.get(metric).saturating_sub(earlier.get(metric));
        }
        metrics
    }

    /// Returns the value in the unit in which it is shown, if this node reports the metric.
    #[must_use]
    pub fn reported(&self, metric: Metric) -> Option<f64> {
        let reports = match metric.reported_by() {
            ReportedBy::AllNodes => true,
            ReportedBy::PolledNodes => self.production == Production::Polled,
            ReportedBy::CountingNodes => self.get(metric) > 0 || self.zero & (1 << metric as usize) != 0,
            ReportedBy::OpGenerator => false,
        };
        reports.then(|| shown(metric, self.get(metric)))
    }
}

/// Converts a metric's value to the unit in which it is shown.
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
    fn reports_follow_the_table() {
        let mut metrics = NodeMetrics::new(Production::Server);
        assert_eq!(metrics.reported(Metric::SentMessages), Some(0.0));
        assert_eq!(metrics.reported(Metric::FlowQueries), None);
        assert_eq!(NodeMetrics::new(Production::Polled).reported(Metric::FlowQueries), Some(0.0));
        assert_eq!(metrics.reported(Metric::BatchesRequested), None);
        assert_eq!(metrics.reported(Metric::OpGeneratorCycles), None);
        metrics.add(Metric::HeartbeatsSent, 0);
        assert_eq!(metrics.reported(Metric::HeartbeatsSent), Some(0.0));
        metrics.set(Metric::FullFlowBootstrapTimeSec, 1_500_000_000);
        assert_eq!(metrics.reported(Metric::FullFlowBootstrapTimeSec), Some(1.5));
    }

    #[test]
    fn totals_are_counted_from_a_moment_on() {
        let mut earlier = NodeMetrics::new(Production::Server);
        earlier.add(Metric::SentMessages, 3);
        earlier.set(Metric::BatchesProducedTotal, 5);
        earlier.set(Metric::OutboundMaterialBuildup, 9);
        let mut later = earlier.clone();
        later.count(Metric::SentMessages);
        later.count(Metric::SentMessages);
        later.subtract(Metric::SentMessages, 1);
        later.set(Metric::BatchesProducedTotal, 7);
        later.set(Metric::OutboundMaterialBuildup, 4);
        let since = later.since(&earlier);
        let metrics = [Metric::SentMessages, Metric::BatchesProducedTotal, Metric::OutboundMaterialBuildup];
        assert_eq!(metrics.map(|metric| since.get(metric)), [1, 2, 4]);
        earlier.set(Metric::BatchesRequested, 5);
        assert_eq!(earlier.clone().since(&earlier).reported(Metric::BatchesRequested), None);
        let described = [ReportedBy::AllNodes, ReportedBy::CountingNodes].map(ReportedBy::description);
        assert_eq!(described, ["all nodes", "nodes that counted it"]);
        let names = [Unit::Count, Unit::Gauge, Unit::Seconds].map(Unit::name);
        assert_eq!(names, ["count", "gauge", "s"]);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
