//! What breaks, as data: nodes, messages, disks, clocks, and orders while the factory runs.

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::ids::{ItemId, NodeId};
use crate::network::Requirement;
use crate::time::{Rate, Span, Time};

/// What breaks in a run. Everything is optional, and whatever is random is drawn from the run's seed.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Faults {
    /// Someone who kills and revives nodes at random.
    pub op_generator: Option<OpGenerator>,
    /// Nodes that fail and come back by distributions.
    pub random_failures: Vec<RandomFailures>,
    /// What happens at a set time, or upon something else, in any order.
    pub script: Vec<ScriptedFault>,
    /// What the network does to messages.
    pub messages: MessageFaults,
    /// What disks do at a crash, and in between.
    pub disks: DiskFaults,
    /// How wrong clocks are.
    pub clocks: ClockFaults,
    /// What becomes of a node's material when it crashes.
    pub material: MaterialInCrash,
    /// From this moment on nothing fails any more, and what is under repair is repaired: partitions end,
    /// frozen and slow nodes go on, and nodes that are down come back unless they are down for good.
    pub heal_at: Option<Time>,
}

impl Faults {
    /// Only what is planned: recipes that are changed, nodes that join or retire at a set time. What fails, or what
    /// waits for something that may not come about, is taken out.
    #[must_use]
    pub fn fault_free(&self) -> Self {
        let is_planned = |scripted: &&ScriptedFault| {
            matches!(scripted.trigger, Trigger::At(_))
                && matches!(scripted.fault, Fault::Recipe(..) | Fault::Add(_) | Fault::Retire(_))
        };
        Self { script: self.script.iter().filter(is_planned).cloned().collect(), ..Self::default() }
    }

    /// Whether nothing can fail. Disks and material that would suffer from a crash do not make one.
    #[must_use]
    pub fn is_fault_free(&self) -> bool {
        let op_generator = self.op_generator.as_ref();
        op_generator.is_none_or(|op_generator| op_generator.failures == Rate::NEVER)
            && self.random_failures.is_empty()
            && self.script.len() == self.fault_free().script.len()
            && (self.messages.loss, self.messages.duplication, self.messages.reordering) == (0.0, 0.0, 0.0)
            && self.disks.append_failure == 0.0
            && self.clocks.drift == 0.0
    }
}

/// The prototype's op_generator: it takes turns, and in each draws whether to kill a node, and in every
/// fourth whether to revive the one that has been dead longest.
///
/// Its draws are those of Python's `random` under its own seed, so that it kills when and whom the
/// prototype's kills.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpGenerator {
    /// How often a node is killed, on average. At most one per turn.
    pub failures: Rate,
    /// How often a node is revived, on average.
    pub recoveries: Rate,
    /// The seed of the draws; the run's own seed if none is given.
    pub seed: Option<u64>,
    /// Before the first turn.
    pub pause: Span,
    /// The length of a turn.
    pub turn: Span,
    /// Whether the leader may be killed.
    pub leader_can_fail: bool,
    /// Whether the first and the last node may be killed.
    pub ends_can_fail: bool,
}

impl Default for OpGenerator {
    fn default() -> Self {
        Self {
            failures: Rate::NEVER,
            recoveries: Rate::NEVER,
            seed: None,
            pause: Span::from_secs(2),
            turn: Span::from_millis(1010),
            leader_can_fail: false,
            ends_can_fail: false,
        }
    }
}

/// Nodes that fail and come back, each on its own, for ever.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RandomFailures {
    /// Which nodes, in ascending order.
    pub nodes: Vec<NodeId>,
    /// From a node's start or return to its next failure.
    pub time_to_failure: Distribution,
    /// From a failure to the return.
    pub time_to_repair: Distribution,
    /// What a failure is.
    pub how: FailureMode,
}

/// How a node fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureMode {
    /// It stops and forgets all but its log.
    #[default]
    Crash,
    /// It does so in the middle of the next input that it handles, between two effects.
    CrashMidway,
    /// It stands still and then goes on as if no time had passed.
    Freeze,
}

/// A fault of the script.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ScriptedFault {
    /// When it happens.
    pub trigger: Trigger,
    /// What happens.
    pub fault: Fault,
    /// How long it lasts; for ever if none is given.
    pub lasts: Option<Span>,
}

/// When a fault of the script happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// At a set time.
    At(Time),
    /// When something has come about for the `nth` time, and then after a wait.
    When {
        /// What.
        condition: Condition,
        /// The how-manieth time, from 1.
        nth: u64,
        /// How long after that.
        wait: Span,
    },
}

/// What a fault may wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A node takes office as leader.
    LeaderElected,
    /// A leader begins a plan.
    PlanStarted,
    /// A batch sets out for its consumer.
    BatchInTransit,
    /// A batch has come in at its consumer.
    Delivered,
    /// A batch of a final item is made.
    FinishedGoodMade,
}

impl Condition {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::LeaderElected,
        Self::PlanStarted,
        Self::BatchInTransit,
        Self::Delivered,
        Self::FinishedGoodMade,
    ];
}

/// Whom a fault hits, decided when it happens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This node.
    Node(NodeId),
    /// All producers of an item.
    Item(ItemId),
    /// One producer of an item, drawn from those that can be hit.
    ProducerOf(ItemId),
    /// Whoever put the flow in force, or took office last if there is none.
    Leader,
    /// The node that has made most of those that can be hit.
    Busiest,
    /// A node drawn from all that can be hit.
    AnyNode,
}

/// What can happen by script.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nodes fail. A crash without a duration is for good.
    Fail(Target, FailureMode),
    /// Nodes that are down start again from their logs.
    Recover(Target),
    /// Each input of the nodes takes this much longer.
    Slow(Target, Span),
    /// The next append of the nodes fails: they stop rather than go on without their log.
    FailAppend(Target),
    /// No message gets from the one nodes to the others.
    Partition {
        /// From these.
        from: Vec<NodeId>,
        /// To those.
        to: Vec<NodeId>,
        /// Nor back.
        both_ways: bool,
    },
    /// All cuts end.
    Heal,
    /// A node's recipe is changed: from now on it requires this.
    Recipe(NodeId, Vec<Requirement>),
    /// A node that was not there before joins. It does not start at the beginning of the run.
    Add(NodeId),
    /// A node retires: it makes no more, and delivers what it has promised.
    Retire(NodeId),
}

/// What the network does to messages, each on its own.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct MessageFaults {
    /// The share that is lost; from 0 up to 1.
    pub loss: f64,
    /// The share that arrives twice.
    pub duplication: f64,
    /// The share that is held back, so that later ones overtake it.
    pub reordering: f64,
    /// How long a message is held back, and how much later than the first a duplicate comes.
    pub delay: Option<Distribution>,
}

/// What disks do at a crash, and in between.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskFaults {
    /// At a crash, appends that were not yet synced are lost from a random one on.
    pub lose_unsynced: bool,
    /// At a crash, the first append that is lost leaves a part of itself behind.
    pub torn: bool,
    /// The share of appends that fail; from 0 up to 1. The node then stops.
    pub append_failure: f64,
    /// How long a node is down whose append failed so.
    pub repair_time: Span,
}

impl Default for DiskFaults {
    fn default() -> Self {
        Self { lose_unsynced: false, torn: false, append_failure: 0.0, repair_time: Span::from_secs(30) }
    }
}

/// How wrong clocks are.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockFaults {
    /// Each node's clock runs at a rate of its own, wrong by up to this much either way: 0.01 is up to 1 %.
    pub drift: f64,
}

/// What becomes of a node's material when it crashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaterialInCrash {
    /// Own batches in stock that are no final item.
    pub outbound: InCrash,
    /// Batches of others in the inbound.
    pub inbound: InCrash,
    /// Batches of final items.
    pub finished: InCrash,
}

/// What becomes of material in a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InCrash {
    /// They are there when the node returns.
    #[default]
    Kept,
    /// They are scrap. That is counted; they are not lost.
    Scrapped,
}

/// The classes of faults, by which they are counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A node stopped and forgot all but its log.
    Crash,
    /// It did so between two effects of one input.
    CrashMidway,
    /// A node started again from its log.
    Recover,
    /// A node stood still.
    Freeze,
    /// A node was slow.
    Slow,
    /// An append failed, and the node stopped.
    FailedAppend,
    /// Messages between some nodes were cut off.
    Partition,
    /// All cuts ended.
    Heal,
    /// A recipe was changed.
    Recipe,
    /// A node joined.
    Add,
    /// A node retired.
    Retire,
    /// A message was lost.
    LostMessage,
    /// A message came twice.
    DuplicatedMessage,
    /// A message was held back.
    HeldMessage,
    /// An append that was not synced was lost in a crash.
    LostAppend,
    /// An append was left torn by a crash.
    TornAppend,
    /// A clock ran at the wrong rate.
    Drift,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 17] = [
        Self::Crash,
        Self::CrashMidway,
        Self::Recover,
        Self::Freeze,
        Self::Slow,
        Self::FailedAppend,
        Self::Partition,
        Self::Heal,
        Self::Recipe,
        Self::Add,
        Self::Retire,
        Self::LostMessage,
        Self::DuplicatedMessage,
        Self::HeldMessage,
        Self::LostAppend,
        Self::TornAppend,
        Self::Drift,
    ];

    /// The word for it in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::CrashMidway => "crash_midway",
            Self::Recover => "recover",
            Self::Freeze => "freeze",
            Self::Slow => "slow",
            Self::FailedAppend => "failed_append",
            Self::Partition => "partition",
            Self::Heal => "heal",
            Self::Recipe => "recipe",
            Self::Add => "add",
            Self::Retire => "retire",
            Self::LostMessage => "lost_message",
            Self::DuplicatedMessage => "duplicated_message",
            Self::HeldMessage => "held_message",
            Self::LostAppend => "lost_append",
            Self::TornAppend => "torn_append",
            Self::Drift => "drift",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_is_no_failure() {
        let at = |fault| ScriptedFault { trigger: Trigger::At(Time::ZERO), fault, lasts: None };
        let retire = at(Fault::Retire(NodeId::new(0)));
        let crash = at(Fault::Fail(Target::AnyNode, FailureMode::Crash));
        let mut faults = Faults { script: vec![retire.clone(), crash], ..Faults::default() };
        assert!(!faults.is_fault_free());
        faults = faults.fault_free();
        assert_eq!(faults.script, [retire]);
        assert!(faults.is_fault_free() && Faults::default().is_fault_free());
        let idle = OpGenerator::default();
        assert!(Faults { op_generator: Some(idle.clone()), ..Faults::default() }.is_fault_free());
        let busy = OpGenerator { failures: "1/min".parse().expect("a rate"), ..idle };
        assert!(!Faults { op_generator: Some(busy), ..Faults::default() }.is_fault_free());
    }
}
