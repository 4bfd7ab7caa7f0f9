//! The faults of a scenario, as data: of nodes, messages, disks and clocks; and commands to running nodes.

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::ids::{ItemId, NodeId};
use crate::network::Requirement;
use crate::time::{Rate, Span, Time};

/// The faults of a scenario. Everything is optional; what is random is sampled from the run's seed.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Faults {
    /// The prototype's random crashes and recoveries.
    pub op_generator: Option<OpGenerator>,
    /// Random failures and repairs by distributions.
    pub random_failures: Vec<RandomFailures>,
    /// Faults at a set time or on a condition, in any order.
    pub script: Vec<ScriptedFault>,
    /// Faults of messages.
    pub messages: MessageFaults,
    /// Faults of disks.
    pub disks: DiskFaults,
    /// Faults of clocks.
    pub clocks: ClockFaults,
    /// Effect of a crash on the material of a node.
    pub material: MaterialInCrash,
    /// Time from which on nothing fails any more and everything is repaired: partitions heal, frozen and slow
    /// nodes continue, and nodes that are down recover unless they are down permanently.
    pub heal_at: Option<Time>,
}

impl Faults {
    /// Returns the fault-free counterpart: only planned changes remain, that is recipe changes, additions and
    /// retirements at set times. Failures and faults on a condition are removed.
    #[must_use]
    pub fn fault_free(&self) -> Self {
        let is_planned = |scripted: &&ScriptedFault| {
            matches!(scripted.trigger, Trigger::At(_))
                && matches!(scripted.fault, Fault::Recipe(..) | Fault::Add(_) | Fault::Retire(_))
        };
        Self { script: self.script.iter().filter(is_planned).cloned().collect(), ..Self::default() }
    }

    /// Returns whether nothing can fail. Settings that only matter after a crash are not faults.
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

/// The prototype's op generator: in each cycle it may crash a node, and in every fourth it may recover the
/// node that has been down longest.
///
/// It samples with Python's `random` under its own seed, so that it crashes the same nodes at the same times
/// as the prototype.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpGenerator {
    /// Average rate of crashes; at most one per cycle.
    pub failures: Rate,
    /// Average rate of recoveries.
    pub recoveries: Rate,
    /// Seed of the op generator, or `None` for the run's seed.
    pub seed: Option<u64>,
    /// Delay before the first cycle.
    pub pause: Span,
    /// Length of a cycle.
    pub cycle: Span,
    /// True if the leader may be crashed.
    pub leader_can_fail: bool,
    /// True if the first and the last node may be crashed.
    pub ends_can_fail: bool,
}

impl Default for OpGenerator {
    fn default() -> Self {
        Self {
            failures: Rate::NEVER,
            recoveries: Rate::NEVER,
            seed: None,
            pause: Span::from_secs(2),
            cycle: Span::from_millis(1010),
            leader_can_fail: false,
            ends_can_fail: false,
        }
    }
}

/// Nodes that fail and are repaired repeatedly, each independently.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RandomFailures {
    /// Affected nodes, in ascending order.
    pub nodes: Vec<NodeId>,
    /// Time from a node's start or recovery to its next failure.
    pub time_to_failure: Distribution,
    /// Time from a failure to the recovery.
    pub time_to_repair: Distribution,
    /// Failure mode.
    pub mode: FailureMode,
}

/// Failure mode of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureMode {
    /// The node stops and loses all state but its log.
    #[default]
    Crash,
    /// The node crashes while it handles its next input, between two effects.
    CrashMidway,
    /// The node stops for a while and then continues as if no time had passed.
    Freeze,
}

/// A scripted fault.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ScriptedFault {
    /// Trigger of the fault.
    pub trigger: Trigger,
    /// The fault.
    pub fault: Fault,
    /// Duration of the fault, or `None` for a permanent one.
    pub duration: Option<Span>,
}

/// Trigger of a scripted fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// At a set time.
    At(Time),
    /// On the `nth` occurrence of a condition, after a delay.
    When {
        /// The condition.
        condition: Condition,
        /// Occurrence that triggers the fault, counting from 1.
        nth: u64,
        /// Delay after the occurrence.
        wait: Span,
    },
}

/// Condition that can trigger a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A node becomes leader.
    LeaderElected,
    /// A leader starts a plan.
    PlanStarted,
    /// A batch starts its transit to its consumer.
    BatchInTransit,
    /// A batch is received by its consumer.
    Delivered,
    /// A batch of a final item is made.
    FinishedGoodMade,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Self; 5] = [
        Self::LeaderElected,
        Self::PlanStarted,
        Self::BatchInTransit,
        Self::Delivered,
        Self::FinishedGoodMade,
    ];
}

/// Target of a fault, resolved when the fault occurs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This node.
    Node(NodeId),
    /// All producers of an item.
    Item(ItemId),
    /// One producer of an item, chosen at random among the eligible ones.
    ProducerOf(ItemId),
    /// The last elected leader.
    Leader,
    /// The eligible node with the most completed production runs.
    Busiest,
    /// One of all eligible nodes, chosen at random.
    AnyNode,
}

/// A fault, or another scripted change.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nodes fail. A crash without a duration is permanent.
    Fail(Target, FailureMode),
    /// Nodes that are down recover from their logs.
    Recover(Target),
    /// Every input takes the nodes this much longer.
    Slow(Target, Span),
    /// The next append of the nodes fails; they stop, because they cannot continue without their log.
    FailAppend(Target),
    /// Links between nodes fail or heal.
    Links(LinkFault),
    /// A node's recipe changes: from now on it requires these inputs.
    Recipe(NodeId, Vec<Requirement>),
    /// A node joins that was not part of the start of the run.
    Add(NodeId),
    /// A node retires: it makes no more batches, and delivers those that are committed.
    Retire(NodeId),
}

/// A fault of links.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFault {
    /// Messages from some nodes to others are lost.
    Partition {
        /// Senders.
        from: Vec<NodeId>,
        /// Receivers.
        to: Vec<NodeId>,
        /// True if messages in the other direction are lost as well.
        both_directions: bool,
    },
    /// Some of the messages from some nodes to others are lost: a burst of message loss.
    Lossy {
        /// Senders.
        from: Vec<NodeId>,
        /// Receivers.
        to: Vec<NodeId>,
        /// Fraction of messages that are lost; from 0 to 1.
        loss: f64,
    },
    /// All faults of links end.
    Heal,
}

impl LinkFault {
    /// Returns the kind by which the fault is counted.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Partition { .. } => FaultKind::Partition,
            Self::Lossy { .. } => FaultKind::LossyLinks,
            Self::Heal => FaultKind::Heal,
        }
    }
}

/// Faults of messages, sampled independently for each message.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct MessageFaults {
    /// Fraction of messages that are lost; from 0 to 1.
    pub loss: f64,
    /// Fraction of messages that are delivered twice.
    pub duplication: f64,
    /// Fraction of messages that are delayed, so that later ones overtake them.
    pub reordering: f64,
    /// Additional delay of a reordered message or of a duplicate.
    pub delay: Option<Distribution>,
}

/// Faults of disks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskFaults {
    /// True if a crash can lose the commit in progress: the appends that are not synced.
    pub lose_unsynced: bool,
    /// True if a lost commit leaves part of its frame.
    pub torn: bool,
    /// Fraction of appends that fail; from 0 to 1. The node then stops.
    pub append_failure: f64,
    /// Downtime of a node after a failed append.
    pub repair_time: Span,
}

impl Default for DiskFaults {
    fn default() -> Self {
        Self { lose_unsynced: false, torn: false, append_failure: 0.0, repair_time: Span::from_secs(30) }
    }
}

/// Faults of clocks.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockFaults {
    /// Maximum relative error of a clock's rate in either direction: 0.01 is 1 %. Each node's clock has a
    /// rate of its own.
    pub drift: f64,
}

/// Effect of a crash on the material of the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaterialInCrash {
    /// Effect on its own batches in the output buffer, unless they are of a final item.
    pub outbound: CrashEffect,
    /// Effect on the batches in its input buffers.
    pub inbound: CrashEffect,
    /// Effect on batches of final items.
    pub finished: CrashEffect,
}

/// Effect of a crash on material.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashEffect {
    /// The material is still there after recovery.
    #[default]
    Kept,
    /// The material is scrapped. Scrap is counted and does not count as lost.
    Scrapped,
}

/// Defines [`FaultKind`] from a table: variant, name in every output, and definition.
///
/// A new kind also takes a row of `scripted_faults!` (`dmos-scenario/src/script.rs`), and its behaviour in
/// `dmos-sim/src`: `simulator/injection.rs` for nodes, `transport/links.rs` for links.
macro_rules! fault_kinds {
    ($($kind:ident $name:literal $definition:literal;)+) => {
        /// Kind of a fault, by which faults are counted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FaultKind {
            $(#[doc = $definition] $kind,)+
        }

        impl FaultKind {
            /// All kinds, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Returns the name used in every output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }
        }
    };
}

fault_kinds! {
    Crash "crash"
        "A node crashed and lost all state but its log.";
    CrashMidway "crash_midway"
        "A node crashed between two effects of one input.";
    Recover "recover"
        "A node recovered from its log.";
    Freeze "freeze"
        "A node froze.";
    Slow "slow"
        "A node was slowed down.";
    FailedAppend "failed_append"
        "An append failed, and the node stopped.";
    Partition "partition"
        "Messages between some nodes were lost by a partition.";
    LossyLinks "lossy_links"
        "Some messages between some nodes were lost.";
    Heal "heal"
        "All partitions healed.";
    Recipe "recipe"
        "A recipe was changed.";
    Add "add"
        "A node joined.";
    Retire "retire"
        "A node retired.";
    LostMessage "lost_message"
        "A message was lost.";
    DuplicatedMessage "duplicated_message"
        "A message was delivered twice.";
    ReorderedMessage "reordered_message"
        "A message was delayed.";
    LostAppend "lost_append"
        "An unsynced append was lost in a crash.";
    TornAppend "torn_append"
        "A crash left the frame of a lost commit torn.";
    Drift "drift"
        "A clock ran at a wrong rate.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_changes_are_not_failures() {
        let at = |fault| ScriptedFault { trigger: Trigger::At(Time::ZERO), fault, duration: None };
        let retire = at(Fault::Retire(NodeId::new(0)));
        let crash = at(Fault::Fail(Target::AnyNode, FailureMode::Crash));
        let mut faults = Faults { script: vec![retire.clone(), crash], ..Faults::default() };
        assert!(!faults.is_fault_free());
        faults = faults.fault_free();
        assert_eq!(faults.script, [retire]);
        assert!(faults.is_fault_free() && Faults::default().is_fault_free());
        let idle = OpGenerator::default();
        assert!(Faults { op_generator: Some(idle.clone()), ..Faults::default() }.is_fault_free());
        let busy = OpGenerator { failures: "1/min".parse().expect("a valid rate"), ..idle };
        assert!(!Faults { op_generator: Some(busy), ..Faults::default() }.is_fault_free());
    }
}
