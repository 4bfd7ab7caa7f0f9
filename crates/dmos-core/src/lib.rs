//! The contract of DMOS: the types that all other crates share.
//!
//! A factory [`Network`] of nodes makes items from items; a [`Flow`] assigns suppliers to consumers. A
//! [`FlowStrategy`] plans flows, and a [`LeaderStrategy`] elects the node that plans. A [`Scenario`]
//! describes one simulation, and a [`RunRecord`] holds its results.
//!
//! Start at [`network`], then [`flow`], then [`strategy`].
//!
//! | module | contents |
//! |---|---|
//! | [`ids`] | nodes, items, batches, terms |
//! | [`time`] | virtual time in whole nanoseconds, and durations and rates with units |
//! | [`network`] | items, nodes, recipes, and with them every possible supply edge |
//! | [`node_set`], [`serial_set`] | sets of nodes, and of serial numbers |
//! | [`broken_links`] | the links that plans have to avoid |
//! | [`flow`] | the chosen suppliers of every assigned node |
//! | [`strategy`] | the two plugin families, their parameters and the registry |
//! | [`distribution`] | probability distributions of durations |
//! | [`routes`] | sites, and transit times, message delays and costs between them |
//! | [`settings`] | the settings of protocol and CPU costs |
//! | [`faults`] | the faults of a scenario, as data |
//! | [`scenario`] | a complete, valid scenario |
//! | [`metrics`] | the fixed set of node metrics and their values |
//! | [`property`] | the properties that the invariant checker verifies |
//! | [`record`] | the results of a run |
//!
//! Architecture invariant: this crate does no I/O, reads no clock, starts no thread, knows no file format,
//! and uses no other crate of the project.

pub mod broken_links;
pub mod distribution;
pub mod faults;
pub mod flow;
pub mod ids;
pub mod metrics;
pub mod network;
pub mod node_set;
pub mod property;
pub mod record;
pub mod routes;
pub mod scenario;
pub mod serial_set;
pub mod settings;
pub mod strategy;
pub mod time;

pub use broken_links::BrokenLinks;
pub use distribution::Distribution;
pub use faults::{FaultKind, Faults};
pub use flow::{Assignment, Flow, FlowChange, FlowViolation, Share, Supply};
pub use ids::{BatchId, FlowVersion, ItemId, NodeId, RequestId, Term};
pub use metrics::{Metric, NodeMetrics};
pub use network::{Network, NetworkError, Recipe, Requirement, SupplyEdge};
pub use node_set::NodeSet;
pub use property::{Property, PropertyKind};
pub use record::RunRecord;
pub use routes::{Route, Routes};
pub use scenario::Scenario;
pub use serial_set::SerialSet;
pub use strategy::{
    FlowDescriptor, FlowStrategy, LeaderDescriptor, LeaderStrategy, Meter, NoFlow, PlanRequest, Registry,
};
pub use time::{Span, Time};

#[doc(hidden)]
pub use inventory;
