//! What a scenario may set about the protocol, the world and the work.
//!
//! Each field's default is the right protocol in a world of instant work without faults. The
//! prototype's quirks are values of the same fields: nothing is hidden behind a mode.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::time::{Span, StepCost};

/// How the nodes behave. See the fields for each choice; the first value of a choice is right, the
/// second is the prototype's.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protocol {
    /// From a node's start until its stage and its heartbeats begin.
    pub start_delay: Span,
    /// The stage's pause before its first cycle.
    pub production_delay: Span,
    /// The stage's pause before each manufacture cycle.
    pub cycle: Span,
    /// The pause between two rounds of heartbeats.
    pub heartbeat: Span,
    /// The silence after which a neighbour is suspected.
    pub suspect_after: Span,
    /// The silence after which an unanswered message is sent again; none for never. It doubles with each
    /// time.
    pub retry_after: Option<Span>,
    /// The longest such silence.
    pub retry_max: Span,
    /// Batches in stock from which on a node makes no more; none for no limit. Final items have no limit:
    /// they leave the factory.
    pub stock_limit: Option<NonZeroU32>,
    /// Batches promised to one consumer and not confirmed from which on its requests are refused; none for
    /// no limit.
    pub promise_limit: Option<NonZeroU32>,
    /// Messages that wait at one node from which on more of them are dropped; none for no limit.
    pub mailbox_limit: Option<NonZeroU32>,
    /// Records in the log, beyond twice those that it held after it was last compacted, from which on it is
    /// compacted again; none for never. Only an exact recovery from separate logs can do with a compacted one.
    pub compact_after: Option<NonZeroU32>,
    /// Every how many rounds of heartbeats the set of neighbours is looked up again.
    pub neighbours_every: NonZeroU32,
    /// How a leader, a flow and a death become known.
    pub dissemination: Dissemination,
    /// Whether a batch in transit keeps the consumer from handling messages.
    pub receiving: Receiving,
    /// When a missing item is asked for.
    pub requests: Requests,
    /// Who gets a batch that several want.
    pub serving: Serving,
    /// What a leader does with reports of a death.
    pub failure_reports: FailureReports,
    /// Whether planning after a death keeps the leader from handling messages.
    pub planning: PlanningMode,
    /// Whether a node that returns from a crash gets a role again.
    pub rejoin: Rejoin,
    /// In which log a batch that is sent off is entered.
    pub log: LogKeeping,
    /// What a node makes of its log after a crash.
    pub recovery: Recovery,
    /// What becomes of messages that reach a crashed node.
    pub mailbox: Mailbox,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            start_delay: Span::ZERO,
            production_delay: Span::ZERO,
            cycle: Span::from_secs(1),
            heartbeat: Span::from_secs(3),
            suspect_after: Span::from_secs(15),
            retry_after: Some(Span::from_secs(5)),
            retry_max: Span::from_secs(30),
            stock_limit: NonZeroU32::new(10),
            promise_limit: NonZeroU32::new(10),
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
    /// Whether a log says exactly what its node holds. Only such a log can be compacted, and only then do
    /// batches leave a stock in the order of their numbers for good, so that numbers can be settled.
    #[must_use]
    pub fn has_exact_logs(&self) -> bool {
        self.recovery == Recovery::Exact && self.log == LogKeeping::Separate
    }
}

/// How a leader, a flow and a death become known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dissemination {
    /// The leader sends each node its part of the flow.
    Messages,
    /// A board that all see at once stands in for those messages, as the prototype's shared files.
    Blackboard,
}

/// Whether a batch in transit keeps the consumer from handling messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiving {
    /// Any number of batches are in transit while messages are handled.
    Concurrent,
    /// One batch at a time, and no message is handled until it is in.
    Blocking,
}

/// When a missing item is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    /// As soon as it is missing, also for the next making, and once until it is answered.
    UntilAnswered,
    /// In every cycle that lacks it, whatever was asked before, and in no cycle that makes.
    EveryCycle,
}

/// Who gets a batch that several want.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// Whoever was refused first, as long as it goes on asking.
    InTurn,
    /// Whoever asks when there is one.
    FirstCome,
}

/// What a leader does with reports of a death.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReports {
    /// It plans anew at the first report of each death.
    OncePerFailure,
    /// It plans anew at every report.
    EveryReport,
}

/// Whether planning after a death keeps the leader from handling messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanningMode {
    /// Messages are handled meanwhile.
    Concurrent,
    /// Messages wait until the plan is there. The first plan holds none back.
    Blocking,
}

/// Whether a node that returns from a crash gets a role again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejoin {
    /// It says that it is back, and the leader plans with it.
    OnReturn,
    /// Who was struck from the living stays struck.
    Never,
}

/// In which log a batch that is sent off is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKeeping {
    /// In the outbound log, with the consumer it was promised to, before it is sent.
    Separate,
    /// In the inbound log; the outbound one learns of it only from the consumer.
    MixedUp,
}

/// What a node makes of its log after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The state of the last durable point; what is under way is sent again to whom it was promised.
    Exact,
    /// The prototype's rules: each entry is replayed by its last state, to whoever is a neighbour
    /// now, and totals count only what is settled.
    Replay,
}

/// What becomes of messages that reach a crashed node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mailbox {
    /// They are lost, as are those that it had not handled.
    LostInCrash,
    /// They wait and are handled after recovery; if the node was idle at the crash, the first is lost.
    SurvivesCrash,
}

/// How long things take on their way.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Delays {
    /// Between the starts of two nodes, in the order of their numbers.
    pub between_starts: Span,
    /// From a message's sending to its arrival.
    pub message: Distribution,
    /// From a batch's announcement at the consumer to its arrival in the receiving.
    pub transit: Distribution,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            between_starts: Span::ZERO,
            message: Distribution::Fixed(Span::from_millis(1)),
            transit: Distribution::Fixed(Span::from_secs(1)),
        }
    }
}

/// How much CPU time work takes. All zero by default: work is instant, and costs nothing to simulate.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// A manufacture cycle.
    pub cycle: Span,
    /// A manufacture cycle, more per batch in both logs.
    pub cycle_per_log_entry: Span,
    /// A manufacture cycle, more per edge of the flow that the node knows.
    pub cycle_per_flow_edge: Span,
    /// A round of heartbeats.
    pub heartbeat: Span,
    /// A round of heartbeats, more per neighbour.
    pub heartbeat_per_neighbour: Span,
    /// A look whether there is a flow yet, every half second until there is one.
    pub flow_poll: Span,
    /// Handling a message.
    pub message: Span,
    /// Serving a request for a batch, instead of `message`.
    pub request: Span,
    /// Serving a request, more per node of the network.
    pub request_per_node: Span,
    /// Serving a request, more per edge of the flow that the node knows.
    pub request_per_flow_edge: Span,
    /// Appending to a log, per batch that is in it.
    pub append_per_log_entry: Span,
    /// Sending a message.
    pub send: Span,
    /// One elementary step of planning, as counted on the planner's meter.
    pub planning_step: StepCost,
    /// The machine that all nodes share, its cores evenly; none if each thread of each node has a
    /// core of its own.
    pub shared_cpu: Option<SharedCpu>,
}

impl Work {
    /// Whether no work takes any time, so that nothing need be queued.
    #[must_use]
    pub fn is_instant(&self) -> bool {
        *self == Self { shared_cpu: self.shared_cpu, ..Self::default() }
    }
}

/// A machine on which all nodes run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedCpu {
    /// How many cores it has. A single piece of work uses at most one.
    pub cores: NonZeroU32,
}

/// The most steps a plan may take, unless the scenario says otherwise: two thousand million, some four
/// times what the prototype's search needs for its largest published network.
pub const PLANNING_BUDGET: NonZeroU64 = NonZeroU64::new(2_000_000_000).expect("more than none");
