//! The fault fields of scenario files.

use std::num::NonZeroU64;

use dmos_core::Span;
use dmos_core::faults::{ClockFaults, Condition, DiskFaults, FailureMode, MaterialInCrash, OpGenerator};
use serde::{Deserialize, Serialize};

use super::values::{DistributionField, Needs, NodeName, NodesField, TargetField};

/// The faults of a scenario.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultsField {
    /// The prototype's random crashes and recoveries.
    pub op_generator: Option<OpGenerator>,
    /// Random failures and repairs by distributions.
    pub random_failures: Vec<RandomFailuresField>,
    /// Faults at a set time or on a condition.
    pub script: Vec<ScriptField>,
    /// Faults of messages.
    pub messages: MessagesField,
    /// Faults of disks.
    pub disks: DiskFaults,
    /// Faults of clocks.
    pub clocks: ClockFaults,
    /// Effect of a crash on material.
    pub material: MaterialInCrash,
    /// Time from which on nothing fails any more.
    pub heal_at: Option<Span>,
}

/// Nodes that fail and are repaired repeatedly.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFailuresField {
    /// Affected nodes.
    pub nodes: NodesField,
    /// Time from a start or recovery to the next failure.
    pub time_to_failure: DistributionField,
    /// Time from a failure to the recovery.
    pub time_to_repair: DistributionField,
    /// Failure mode.
    #[serde(default)]
    pub mode: FailureMode,
}

/// Faults of messages.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessagesField {
    /// Fraction of messages that are lost.
    pub loss: f64,
    /// Fraction of messages that are delivered twice.
    pub duplication: f64,
    /// Fraction of messages that are delayed.
    pub reordering: f64,
    /// Additional delay of delayed and duplicated messages.
    pub delay: Option<DistributionField>,
}

/// A scripted fault: exactly one of `at` and `when`, and exactly one fault.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptField {
    /// Time of the fault.
    pub at: Option<Span>,
    /// Condition that triggers the fault.
    pub when: Option<Condition>,
    /// Occurrence of the condition, counting from 1; the first if unset.
    pub nth: Option<NonZeroU64>,
    /// Delay after the occurrence.
    pub wait: Option<Span>,
    /// The node crashes and loses all state but its log.
    pub crash: Option<TargetField>,
    /// The node crashes in the middle of the next input.
    pub crash_midway: Option<TargetField>,
    /// The node freezes.
    pub freeze: Option<TargetField>,
    /// The node is slowed down.
    pub slow: Option<TargetField>,
    /// Additional time per input of a slowed node.
    pub by: Option<Span>,
    /// The node's next append fails.
    pub fail_append: Option<TargetField>,
    /// The node recovers.
    pub recover: Option<TargetField>,
    /// Messages from some nodes to others are lost.
    pub one_way_partition: Option<PartitionField>,
    /// Messages between two groups are lost.
    pub partition: Option<[Vec<NodeName>; 2]>,
    /// All partitions heal.
    pub heal: Option<Heal>,
    /// A node's recipe changes.
    pub recipe: Option<RecipeField>,
    /// A node joins.
    pub add: Option<NodeName>,
    /// A node retires.
    pub retire: Option<NodeName>,
    /// Duration of the fault.
    #[serde(rename = "for")]
    pub duration: Option<Span>,
}

/// Senders and receivers of a one-way partition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionField {
    /// The senders.
    pub from: Vec<NodeName>,
    /// The receivers.
    pub to: Vec<NodeName>,
}

/// The subject of a `heal` entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heal {
    /// All partitions.
    Partitions,
}

/// A new recipe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeField {
    /// The node.
    pub node: NodeName,
    /// Inputs of a production run.
    #[serde(default)]
    pub needs: Needs,
}
