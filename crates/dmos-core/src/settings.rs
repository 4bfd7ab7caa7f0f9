//! Settings of a scenario: the node protocol and CPU costs.
//!
//! Each field's default is the correct protocol, with instant work and without faults. The prototype's quirks
//! are values of the same fields; there is no separate mode.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::strategy::DetectorConfig;
use crate::time::{Span, StepCost};

/// The protocol of the nodes. The first value of each enum is the correct one, the second is the prototype's.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protocol {
    /// Model of production.
    pub production: Production,
    /// Under `production: server`, number of production runs for which inputs are ordered ahead; by the planned
    /// need if unset.
    pub runs_ahead: Option<NonZeroU32>,
    /// Delay from a node's start to its first production cycle and heartbeats.
    pub start_delay: Span,
    /// Additional delay before the first production cycle.
    pub production_delay: Span,
    /// Pause before each production cycle.
    pub cycle: Span,
    /// Interval between two rounds of heartbeats.
    pub heartbeat: Span,
    /// Silence after which a neighbour is suspected, unless the failure detector has learned better.
    pub suspect_after: Span,
    /// Initial retransmission timeout, or `None` for no retransmission. It doubles with each retransmission.
    pub retry_after: Option<Span>,
    /// Maximum retransmission timeout.
    pub retry_max: Span,
    /// Maximum number of batches in the output buffer; unlimited if unset. Final items have no limit, because
    /// they leave the factory.
    pub stock_limit: Option<NonZeroU32>,
    /// Maximum number of unconfirmed batches committed to one consumer, beyond which its requests are
    /// refused; unlimited if unset.
    pub commitment_limit: Option<NonZeroU32>,
    /// Maximum number of messages waiting at one node, beyond which messages are dropped; unlimited if unset.
    pub mailbox_limit: Option<NonZeroU32>,
    /// Number of log records, beyond twice those left by the last compaction, at which the log is compacted;
    /// never if unset. Compaction requires exact recovery from separate logs.
    pub compact_after: Option<NonZeroU32>,
    /// Number of heartbeat rounds between two refreshes of the set of neighbours.
    pub neighbours_every: NonZeroU32,
    /// Distribution of leadership, flows and failures.
    pub dissemination: Dissemination,
    /// Handling of messages during a transit.
    pub receiving: Receiving,
    /// Timing of requests for missing inputs.
    pub requests: Requests,
    /// Order in which competing consumers are served.
    pub serving: Serving,
    /// Handling of failure reports by the leader.
    pub failure_reports: FailureReports,
    /// Handling of messages while the leader replans.
    pub planning: PlanningMode,
    /// Handling of nodes that recover.
    pub rejoin: Rejoin,
    /// Log in which a shipped batch is recorded.
    pub log: LogKeeping,
    /// Recovery of a node from its log.
    pub recovery: Recovery,
    /// Handling of messages to a crashed node.
    pub mailbox: Mailbox,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            production: Production::Server,
            runs_ahead: None,
            start_delay: Span::ZERO,
            production_delay: Span::ZERO,
            cycle: Span::from_secs(1),
            heartbeat: Span::from_secs(3),
            suspect_after: Span::from_secs(15),
            retry_after: Some(Span::from_secs(5)),
            retry_max: Span::from_secs(30),
            stock_limit: NonZeroU32::new(10),
            commitment_limit: NonZeroU32::new(10),
            mailbox_limit: NonZeroU32::new(10_000),
            compact_after: NonZeroU32::new(1_000),
            neighbours_every: NonZeroU32::MIN,
            dissemination: Dissemination::Messages,
            receiving: Receiving::Concurrent,
            requests: Requests::UntilAnswered,
            serving: Serving::InTurn,
            failure_reports: FailureReports::OncePerFailure,
            planning: PlanningMode::Concurrent,
            rejoin: Rejoin::OnReturn,
            log: LogKeeping::Separate,
            recovery: Recovery::Exact,
            mailbox: Mailbox::LostInCrash,
        }
    }
}

impl Protocol {
    /// Returns the settings that matter to failure detectors.
    #[must_use]
    pub fn detector_config(&self) -> DetectorConfig {
        DetectorConfig { heartbeat: self.heartbeat, suspect_after: self.suspect_after }
    }

    /// Returns whether the log determines exactly what its node holds. Only such a log can be compacted, and
    /// only then do batches leave the stock for good in the order of their serial numbers, so that ranges of
    /// serial numbers can be settled.
    #[must_use]
    pub fn has_exact_logs(&self) -> bool {
        self.recovery == Recovery::Exact && self.log == LogKeeping::Separate
    }
}

/// Model of production.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Production {
    /// A node is a server: one production run at a time, each of which takes its process time. Inputs are
    /// ordered up to a level.
    Server,
    /// The prototype's loop: a node tries a production run in every cycle, makes the product at once, and
    /// requests single batches.
    Polled,
}

/// Distribution of leadership, flows and failures among nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dissemination {
    /// The leader sends each node its assignment.
    Messages,
    /// A shared blackboard that all nodes see at once replaces the messages, like the prototype's shared
    /// files.
    Blackboard,
}

/// Handling of messages during a transit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiving {
    /// Any number of batches are in transit while messages are handled.
    Concurrent,
    /// One batch at a time is in transit, and no message is handled until it has arrived.
    Blocking,
}

/// Timing of requests for missing inputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    /// As soon as an input of the next production run is missing, and once until answered.
    UntilAnswered,
    /// In every cycle that lacks an input, whatever was requested before, and in no cycle that makes
    /// something.
    EveryCycle,
}

/// Order in which competing consumers are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// The consumer that was refused first comes first, as long as it keeps requesting.
    InTurn,
    /// The first consumer that requests when stock is available.
    FirstCome,
}

/// Handling of failure reports by the leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReports {
    /// The leader replans at the first report of each failure.
    OncePerFailure,
    /// The leader replans at every report.
    EveryReport,
}

/// Handling of messages while the leader replans.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanningMode {
    /// Messages are handled while the plan is computed.
    Concurrent,
    /// Messages wait until the plan is ready. The first plan blocks no messages.
    Blocking,
}

/// Handling of nodes that recover.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejoin {
    /// The node announces its return, and the leader plans with it again.
    OnReturn,
    /// A removed node is never planned with again.
    Never,
}

/// Log in which a shipped batch is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKeeping {
    /// In the outbound log, with its consumer, before it is announced.
    Separate,
    /// In the inbound log; the outbound log learns of it only from the consumer.
    MixedUp,
}

/// Recovery of a node from its log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// Restores the state of the last durable point; committed batches are announced again to their
    /// consumers.
    Exact,
    /// The prototype's rules: each entry is replayed by its last state, to the current neighbours, and totals
    /// count only settled batches.
    Replay,
}

/// Handling of messages to a crashed node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mailbox {
    /// They are lost, as are messages that the node had not handled.
    LostInCrash,
    /// They wait until recovery; if the node was idle at the crash, the first is lost.
    SurvivesCrash,
}

/// CPU time of work. All zero by default: work is then instant and costs nothing to simulate.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Production cycle.
    pub cycle: Span,
    /// Production cycle: additional time per batch in both logs.
    pub cycle_per_log_entry: Span,
    /// Production cycle: additional time per flow edge that the node knows.
    pub cycle_per_flow_edge: Span,
    /// Round of heartbeats.
    pub heartbeat: Span,
    /// Round of heartbeats: additional time per neighbour.
    pub heartbeat_per_neighbour: Span,
    /// Check for a first flow, made every half second until there is one.
    pub flow_poll: Span,
    /// Handling of a message.
    pub message: Span,
    /// Handling of a request for a batch, in place of `message`.
    pub request: Span,
    /// Handling of a request: additional time per node of the network.
    pub request_per_node: Span,
    /// Handling of a request: additional time per flow edge that the node knows.
    pub request_per_flow_edge: Span,
    /// Append to a log, per batch in that log.
    pub append_per_log_entry: Span,
    /// Sending of a message.
    pub send: Span,
    /// Elementary planning step, as counted by the planner's meter.
    pub planning_step: StepCost,
    /// CPU shared by all nodes, or `None` if each thread of each node has a core of its own.
    pub shared_cpu: Option<SharedCpu>,
}

impl Work {
    /// Returns whether all work is instant, so that nothing needs to be queued.
    #[must_use]
    pub fn is_instant(&self) -> bool {
        *self == Self { shared_cpu: self.shared_cpu, ..Self::default() }
    }
}

/// A CPU shared by all nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedCpu {
    /// Number of cores. A single piece of work uses at most one.
    pub cores: NonZeroU32,
}

/// Default maximum number of planning steps: 2,000 million, about four times the requirement of the
/// prototype's search on its largest published network.
pub const PLANNING_BUDGET: NonZeroU64 = NonZeroU64::new(2_000_000_000).expect("a positive budget");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_exact_if_recovery_is_exact_and_logs_are_separate() {
        let is_exact = |recovery, log| Protocol { recovery, log, ..Protocol::default() }.has_exact_logs();
        assert!(is_exact(Recovery::Exact, LogKeeping::Separate));
        assert!(!is_exact(Recovery::Exact, LogKeeping::MixedUp));
        assert!(!is_exact(Recovery::Replay, LogKeeping::Separate));
    }

    #[test]
    fn work_is_instant_if_nothing_takes_time() {
        assert!(Work::default().is_instant());
        let shared_cpu = Some(SharedCpu { cores: NonZeroU32::MIN });
        assert!(Work { shared_cpu, ..Work::default() }.is_instant());
        assert!(!Work { send: Span::from_nanos(1), ..Work::default() }.is_instant());
    }

    #[test]
    fn detectors_know_the_heartbeats() {
        let (heartbeat, suspect_after) = (Span::from_secs(7), Span::from_secs(40));
        let config = Protocol { heartbeat, suspect_after, ..Protocol::default() }.detector_config();
        assert_eq!(config, DetectorConfig { heartbeat, suspect_after });
        assert_eq!(config.silence_max(), Span::from_secs(80));
    }
}
