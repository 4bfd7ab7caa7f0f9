//! What a file may say of faults.

use std::num::NonZeroU64;

use dmos_core::Span;
use dmos_core::faults::{ClockFaults, Condition, DiskFaults, FailureMode, MaterialInCrash, OpGenerator};
use serde::{Deserialize, Serialize};

use super::values::{DistributionField, Needs, NodeName, NodesField, TargetField};

/// What breaks.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultsField {
    /// The prototype's killer and reviver.
    pub op_generator: Option<OpGenerator>,
    /// Nodes that fail and come back by distributions.
    pub random_failures: Vec<RandomFailuresField>,
    /// Faults at set times, or upon something else.
    pub script: Vec<ScriptField>,
    /// What the network does to messages.
    pub messages: MessagesField,
    /// What disks do.
    pub disks: DiskFaults,
    /// How wrong clocks are.
    pub clocks: ClockFaults,
    /// What becomes of material in a crash.
    pub material: MaterialInCrash,
    /// From when on nothing fails any more.
    pub heal_at: Option<Span>,
}

/// Nodes that fail and come back by distributions.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFailuresField {
    /// Which.
    pub nodes: NodesField,
    /// From a start or return to the next failure.
    pub time_to_failure: DistributionField,
    /// From a failure to the return.
    pub time_to_repair: DistributionField,
    /// What a failure is.
    #[serde(default)]
    pub mode: FailureMode,
}

/// What the network does to messages.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessagesField {
    /// The share that is lost.
    pub loss: f64,
    /// The share that arrives twice.
    pub duplication: f64,
    /// The share that is held back.
    pub reordering: f64,
    /// How long for.
    pub delay: Option<DistributionField>,
}

/// A fault of the script: exactly one of `at` and `when`, and exactly one fault.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptField {
    /// At this time.
    pub at: Option<Span>,
    /// When this comes about.
    pub when: Option<Condition>,
    /// For the number of the time; the first, if it does not say.
    pub nth: Option<NonZeroU64>,
    /// How long after that.
    pub wait: Option<Span>,
    /// A node stops and forgets all but its log.
    pub crash: Option<TargetField>,
    /// It does so in the middle of the next input.
    pub crash_midway: Option<TargetField>,
    /// A node stands still.
    pub freeze: Option<TargetField>,
    /// A node is slow.
    pub slow: Option<TargetField>,
    /// By how much for each input.
    pub by: Option<Span>,
    /// A node's next append fails.
    pub fail_append: Option<TargetField>,
    /// A node that is down starts again.
    pub recover: Option<TargetField>,
    /// No message gets from the one to the others.
    pub one_way_partition: Option<PartitionField>,
    /// No message gets from either group to the other.
    pub partition: Option<[Vec<NodeName>; 2]>,
    /// All cuts and splits end.
    pub heal: Option<Heal>,
    /// A node's recipe is changed.
    pub recipe: Option<RecipeField>,
    /// A node joins.
    pub add: Option<NodeName>,
    /// A node retires.
    pub retire: Option<NodeName>,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub duration: Option<Span>,
}

/// Who does not reach whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionField {
    /// Messages from these
    pub from: Vec<NodeName>,
    /// do not reach those.
    pub to: Vec<NodeName>,
}

/// What is healed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heal {
    /// All cuts and splits.
    Partitions,
}

/// A recipe from now on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeField {
    /// Whose.
    pub node: NodeName,
    /// What one production run takes.
    #[serde(default)]
    pub needs: Needs,
}
