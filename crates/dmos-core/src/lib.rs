//! The contract of DMOS: the words that every other crate speaks.
//!
//! A factory [`Network`] of nodes makes items out of items; a [`Flow`] says who supplies whom. A
//! [`FlowStrategy`] plans flows and a [`LeaderStrategy`] elects the node that plans. A
//! [`Scenario`] is one experiment, and a [`RunRecord`] is what came of it.
//!
//! Start at [`network`], then [`flow`], then [`strategy`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | nodes, items, batches, terms |
//! | [`time`] | virtual time in whole nanoseconds, and durations and rates with units |
//! | [`network`] | items, nodes and recipes, and with them every possible supply edge |
//! | [`node_set`], [`serial_set`] | sets of nodes, and of serial numbers |
//! | [`flow`] | the chosen suppliers of every working node |
//! | [`strategy`] | the two plugin families, their parameters and their registry |
//! | [`distribution`] | distributions by which durations are drawn |
//! | [`settings`] | what a scenario may set about protocol, world and work |
//! | [`faults`] | what breaks, as data |
//! | [`scenario`] | a whole, valid experiment |
//! | [`metrics`] | the fixed set of metrics and the arrays that hold them |
//! | [`property`] | what auditors check |
//! | [`record`] | what a run leaves behind |
//!
//! Architecture invariant: this crate does no I/O, reads no clock, starts no thread, knows no file
//! format, and uses no other crate of the project.

pub mod distribution;
pub mod faults;
pub mod flow;
pub mod ids;
pub mod metrics;
pub mod network;
pub mod node_set;
pub mod property;
pub mod record;
pub mod scenario;
pub mod serial_set;
pub mod settings;
pub mod strategy;
pub mod time;

pub use distribution::Distribution;
pub use faults::{FaultKind, Faults};
pub use flow::{Assignment, Flow, FlowChange, FlowViolation, Share, Supply};
pub use ids::{BatchId, FlowVersion, ItemId, NodeId, RequestId, Term};
pub use metrics::{Metric, NodeMetrics};
pub use network::{Network, NetworkError, Recipe, Requirement, SupplyEdge};
pub use node_set::NodeSet;
pub use property::{Property, PropertyKind};
pub use record::RunRecord;
pub use scenario::Scenario;
pub use serial_set::SerialSet;
pub use strategy::{
    FlowDescriptor, FlowStrategy, LeaderDescriptor, LeaderStrategy, Meter, NoFlow, PlanRequest, Registry,
};
pub use time::{Span, Time};

#[doc(hidden)]
pub use inventory;
