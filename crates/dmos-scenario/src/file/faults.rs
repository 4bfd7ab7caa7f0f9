//! The fault fields of scenario files.

use dmos_core::Span;
use dmos_core::faults::{ClockFaults, DiskFaults, FailureMode, MaterialInCrash, OpGenerator};
use serde::{Deserialize, Serialize};

use super::values::{DistributionField, NodesField};
use crate::script::ScriptField;

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
